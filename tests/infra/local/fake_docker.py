"""A docker program for tests: notes each call and runs a container's command as a process.

Paths of mounts are put back to where they lie. ``FAKE_DOCKER`` is the folder with calls.jsonl;
``images`` in it lists what is there, ``behaviour`` (exit code, then what docker says) overrides the
next container, and one is created but not started while there is ``held``. As the real client does,
this one hands SIGTERM on to a container that has started, and to no other.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_FLAGS = {"--init"}


def main() -> int:
    """One call of docker."""
    home, words = Path(os.environ["FAKE_DOCKER"]), sys.argv[1:]
    with (home / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(words) + "\n")
    if (home / "down").exists():
        print("Cannot connect to the Docker daemon at unix:///x. Is it running?", file=sys.stderr)
        return 1
    if words[:2] == ["image", "inspect"]:
        return _image(home, words[-1])
    if words[:2] == ["container", "inspect"]:
        print((home / "state").read_text())
        return 0
    if words[0] == "kill":
        return _kill(home, words)
    return _run(home, words[1:]) if words[0] == "run" else 0


def _kill(home: Path, words: list[str]) -> int:
    if not (home / "running").exists():
        print(f"Error response from daemon: {words[-1]} is not running", file=sys.stderr)
        return 1
    number = signal.SIGTERM if "TERM" in words else signal.SIGKILL
    os.kill(int((home / "running").read_text()), number)
    return 0


def _image(home: Path, name: str) -> int:
    known = dict(line.split() for line in (home / "images").read_text().splitlines())
    if name not in known:
        print(f"Error: No such image: {name}", file=sys.stderr)
        return 1
    print(known[name])
    return 0


def _run(home: Path, words: list[str]) -> int:
    options: list[tuple[str, str]] = []
    while words[0].startswith("--"):
        flag = words.pop(0)
        options.append((flag, "" if flag in _FLAGS else words.pop(0)))
    if (home / "behaviour").exists():
        code, _, said = (home / "behaviour").read_text().partition(" ")
        print(said)
        return int(code)
    back: dict[str, str] = {}
    for _, mount in (pair for pair in options if pair[0] == "--mount"):
        fields = dict(part.strip('"').split("=", 1) for part in mount.split(",") if "=" in part)
        back[fields["target"]] = fields["source"]
    env = {"PATH": os.environ["PATH"]}
    for _, given in (pair for pair in options if pair[0] == "--env"):
        name, equals, value = given.partition("=")
        env[name] = _put_back(value if equals else os.environ[name], back)
    argv = [_put_back(word, back) for word in words[1:]]
    signal.signal(signal.SIGTERM, lambda *_: None)
    while (home / "held").exists():
        time.sleep(0.01)
    with subprocess.Popen([sys.executable, *argv[1:]], env=env) as container:
        (home / "pid").write_text(str(container.pid))
        (home / "pid").rename(home / "running")
        ended = container.wait()
    (home / "running").unlink(missing_ok=True)
    return ended if ended >= 0 else 128 - ended


def _put_back(word: str, back: dict[str, str]) -> str:
    for target, source in sorted(back.items(), reverse=True):
        word = word.replace(target, source)
    return word


if __name__ == "__main__":
    sys.exit(main())
