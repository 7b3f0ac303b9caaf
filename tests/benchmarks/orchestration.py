"""Five steps that do nothing: ``python -m tests.benchmarks orchestration``.

The floor is five ``python`` processes, one after the other, that read and write the same files.
Ours isolates each step in a process, with cache and ledger on. Kedro runs all in one process.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from tests.benchmarks import peers
from tests.benchmarks.harness import PYTHON, ROOT, Contender, Goal, flags, in_turns, once, tell
from tests.benchmarks.noop import FIRST, NEXT

FLOOR = "floor: 5 x python"
OURS, CACHED = "trefoil", "trefoil, all cached"
GOALS = [
    Goal(OURS, FLOOR, 2.5),
    Goal(CACHED, OURS, 0.4),
    Goal(OURS, "kedro SequentialRunner", 1 / 4),
    Goal(OURS, "kfp.local SubprocessRunner", 1 / 10),
    Goal(OURS, "zenml local", 1 / 30),
]
PIPELINE = "tests/benchmarks/noop.yaml"
PEERS = ROOT / "tests" / "benchmarks" / "peer"


def main(argv: list[str] | None = None) -> None:
    """Print the table; a peer that cannot be measured is named with the reason."""
    arguments = flags(argv, rounds=9)
    missing: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        found = in_turns(_contenders(Path(folder), missing), arguments.rounds)
    tell(found, FLOOR, {"wall": GOALS}, missing, arguments.json)


def _contenders(place: Path, missing: list[str]) -> list[Contender]:
    workspace = place / "workspace"
    ours = [PYTHON, "-m", "pipelines.run", "--pipeline", PIPELINE]
    environment = {"TREFOIL_WORKSPACE": str(workspace)}

    def forget() -> None:
        """A fresh workspace, but for the IR."""
        for name in ("runs", "cache", "ledger.jsonl"):
            shutil.rmtree(workspace / name, ignore_errors=True)
            (workspace / name).unlink(missing_ok=True) if (workspace / name).is_file() else None

    once(Contender(OURS, ours, environment=environment))
    files = [str(place / f"f{number}") for number in range(6)]
    script = place / "floor.sh"
    lines = [f'{PYTHON} -c "{FIRST}" {files[0]}']
    lines += [f'{PYTHON} -c "{NEXT}" {files[at]} {files[at + 1]}' for at in range(4)]
    script.write_text("\n".join(["set -e", *lines]))
    found = [
        Contender(FLOOR, ["sh", str(script)]),
        Contender(OURS, ours, forget, environment),
        Contender(CACHED, ours, environment=environment),
        Contender(
            "kfp.local SubprocessRunner",
            [PYTHON, str(PEERS / "kfp_five.py"), str(place / "kfp")],
            folder=place,
        ),
    ]
    return [*found, *_kedro(place, missing), *_zenml(place, missing)]


def _kedro(place: Path, missing: list[str]) -> list[Contender]:
    python, reason = peers.python_of("kedro")
    if python is None:
        missing.append(reason)
        return []
    data = place / "kedro"
    data.mkdir()
    command = [python, str(PEERS / "kedro_five.py"), str(data)]
    return [Contender("kedro SequentialRunner", command, folder=data)]


def _zenml(place: Path, missing: list[str]) -> list[Contender]:
    python, reason = peers.python_of("zenml")
    if python is None:
        missing.append(reason)
        return []
    folder = place / "zenml"
    folder.mkdir()
    environment = {
        "ZENML_CONFIG_PATH": str(folder / "config"),
        "ZENML_ANALYTICS_OPT_IN": "false",
        "AUTO_OPEN_DASHBOARD": "false",
        "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}",
    }
    zenml = Contender("zenml init", [str(Path(python).with_name("zenml")), "init"],
                      environment=environment, folder=folder)  # fmt: skip
    try:
        once(zenml)
    except RuntimeError as error:
        missing.append(f"zenml is not measured: {error}")
        return []
    shutil.copy(PEERS / "zenml_five.py", folder)  # it wants the script below its own root
    command = [python, "zenml_five.py"]
    return [Contender("zenml local", command, environment=environment, folder=folder)]


if __name__ == "__main__":
    main()
