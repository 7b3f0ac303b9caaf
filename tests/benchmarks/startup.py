"""What looking costs: ``python -m tests.benchmarks startup``. The floor is ``python -c pass``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks import peers
from tests.benchmarks.harness import PYTHON, Contender, Goal, flags, in_turns, once, tell

FLOOR = "python -c pass"
GOALS = [
    Goal("run --help", FLOOR, 6),
    Goal("run --dry-run", FLOOR, 15),
    Goal("plan", FLOOR, 15),
    Goal("run --provider aws --dry-run", FLOOR, 20),
    Goal("run --provider gcp --dry-run", FLOOR, 20),
    Goal("run --provider azure --dry-run", FLOOR, 20),
]
ACCOUNT = {
    "TREFOIL_REGION": "eu-west-1",
    "TREFOIL_BUCKET": "example-bucket",
    "TREFOIL_PIPELINE_ROLE_ARN": "arn:aws:iam::123456789012:role/trefoil-pipeline",
    "TREFOIL_TRAINING_ROLE_ARN": "arn:aws:iam::123456789012:role/trefoil-training",
    "TREFOIL_SERVING_ROLE_ARN": "arn:aws:iam::123456789012:role/trefoil-serving",
}
PROJECT = {
    "TREFOIL_PROJECT": "example-project",
    "TREFOIL_REGION": "europe-west4",
    "TREFOIL_BUCKET": "example-bucket",
    "TREFOIL_SERVICE_ACCOUNT": "trefoil-training@example-project.iam.gserviceaccount.com",
}
SUBSCRIPTION = {
    "TREFOIL_SUBSCRIPTION": "11111111-1111-4111-8111-111111111111",
    "TREFOIL_RESOURCE_GROUP": "example",
    "TREFOIL_ML_WORKSPACE": "example-workspace",
    "TREFOIL_REGION": "westeurope",
    "TREFOIL_STORAGE_ACCOUNT": "examplestore",
    "TREFOIL_CONTAINER": "trefoil",
    "TREFOIL_DATASTORE": "trefoil",
}


def main(argv: list[str] | None = None) -> None:
    """Print the table; a peer that cannot be measured is named with the reason."""
    arguments = flags(argv, rounds=21)
    missing: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        ours = {"TREFOIL_WORKSPACE": str(Path(place, "workspace"))}
        run = [PYTHON, "-m", "pipelines.run"]
        contenders = [
            Contender(FLOOR, [PYTHON, "-c", "pass"]),
            Contender("run --help", [*run, "--help"], environment=ours),
            Contender(
                "run --dry-run", [PYTHON, "-m", "pipelines.run", "--dry-run"], environment=ours
            ),
            Contender("plan", [PYTHON, "-m", "pipelines", "plan"], environment=ours),
            Contender(
                "run --provider aws --dry-run",
                [*run, "--provider", "aws", "--dry-run"],
                environment=ours | ACCOUNT,
            ),
            Contender(
                "run --provider gcp --dry-run",
                [*run, "--provider", "gcp", "--dry-run"],
                environment=ours | PROJECT,
            ),
            Contender(
                "run --provider azure --dry-run",
                [*run, "--provider", "azure", "--dry-run"],
                environment=ours | SUBSCRIPTION,
            ),
        ]
        contenders += _peers(missing)
        once(contenders[2])  # compiles the pipeline: from here on its IR is kept
        found = in_turns(contenders, arguments.rounds)
    tell(found, FLOOR, {"wall": GOALS}, missing, arguments.json)


def _peers(missing: list[str]) -> list[Contender]:
    """What a peer's command takes to say what it can do."""
    commands = {"kfp": PYTHON}
    for name in peers.PINS:
        python, reason = peers.python_of(name)
        if python is None:
            missing.append(reason)
        else:
            commands[name] = python
    return [
        Contender(f"{name} --help", [str(Path(python).with_name(name)), "--help"],
                  environment={"ZENML_ANALYTICS_OPT_IN": "false"})
        for name, python in commands.items()
    ]  # fmt: skip


if __name__ == "__main__":
    main()
