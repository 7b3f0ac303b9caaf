"""What ``docker`` and ``kind`` answer in these tests: ``python fake_tools.py STATE docker info``.

STATE is a folder: ``state.json`` says what is there, ``calls.jsonl`` is what was asked for.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

NODE = "trefoil-control-plane"


def main(place: Path, program: str, words: list[str]) -> int:
    """Note the call and answer it; the exit code."""
    with (place / "calls.jsonl").open("a", encoding="utf-8") as calls:
        calls.write(f"{json.dumps([program, *words])}\n")
    file = place / "state.json"
    state: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if failing := state["fails"].get(f"{program} {words[0]}"):
        print(failing, file=sys.stderr)
        return 1
    code = _docker(state, words) if program == "docker" else _kind(state, words)
    file.write_text(json.dumps(state), encoding="utf-8")
    return code


def _docker(state: dict[str, Any], words: list[str]) -> int:
    if words[0] == "info":
        print(json.dumps(state["info"]))
    elif words[:2] == ["container", "inspect"]:
        if not state["node"]:
            print(f"Error response from daemon: No such container: {words[-1]}", file=sys.stderr)
            return 1
        print(json.dumps(state["node"]))
    elif words[:2] == ["image", "inspect"]:
        if words[-1] not in state["images"]:
            print(f"Error: No such image: {words[-1]}", file=sys.stderr)
            return 1
        print(state["images"][words[-1]])
    elif words[0] == "start":
        state["node"]["State"]["Running"] = True
    elif words[0] == "exec":
        _in_node(state, words)
    return 0


def _in_node(state: dict[str, Any], words: list[str]) -> None:
    limits = state["inotify"]
    if "crictl" in words:
        images = [{"repoTags": [tag]} for tag in state["loaded"]]
        print(json.dumps({"images": [*images, {"repoTags": None}]}))  # one lost its tag
    elif "-n" in words:
        print("\n".join(str(limits[name]) for name in words[words.index("-n") + 1 :]))
    elif "-w" in words:
        for word in words[words.index("-w") + 1 :]:
            limits[word.partition("=")[0]] = int(word.partition("=")[2])


def _kind(state: dict[str, Any], words: list[str]) -> int:
    if words[0] == "version":
        print(f"kind v{state['kind']} go1.25.4 linux/amd64")
    elif words[:2] == ["create", "cluster"]:
        print("Creating cluster ...", file=sys.stderr)
        state["node"] = _node(json.load(sys.stdin)["nodes"][0])
        _kubeconfig(state)
    elif words[:2] == ["export", "kubeconfig"]:
        _kubeconfig(state)
    elif words[:2] == ["delete", "cluster"]:
        state["node"] = None
    elif words[:2] == ["load", "docker-image"]:
        state["loaded"].append(f"docker.io/library/{words[2]}")
    return 0


def _node(config: dict[str, Any]) -> dict[str, Any]:
    """What Docker tells of a node that kind made from this configuration."""
    mapped = {
        f"{each['containerPort']}/tcp": [
            {"HostIp": each["listenAddress"], "HostPort": str(each["hostPort"])}
        ]
        for each in config["extraPortMappings"]
    }
    mounts = [
        {"Source": each["hostPath"], "Destination": each["containerPath"]}
        for each in config["extraMounts"]
    ]
    running = {"Running": True}
    return {"State": running, "HostConfig": {"PortBindings": mapped}, "Mounts": mounts}


def _kubeconfig(state: dict[str, Any]) -> None:
    Path(os.environ["KUBECONFIG"]).write_text(state["kubeconfig"], encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
