"""Training and processing jobs by boto3: what a container finds, and what is told of it."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.rehearsal.served import free_port
from tests.infra.aws.emulator.cloudy import (
    NUMBER,
    REGION,
    channel,
    client,
    cloud,
    logged,
    objects,
    processed,
    processing,
    put,
    seen,
    sink,
    source,
    spot,
    trained,
    training,
    until,
    uri,
)

LOOK = """
import json
config = {f.stem: json.loads(f.read_text()) for f in (ml / 'input/config').iterdir()}
data = {str(f.relative_to(ml / 'input/data')): f.read_text()
        for f in (ml / 'input/data').rglob('*') if f.is_file() and f.name != 'main.py'}
names = ('TRAINING_JOB_NAME', 'TRAINING_JOB_ARN', 'AWS_REGION', 'COLOUR')
found = {'config': config, 'data': data, 'env': {n: os.environ.get(n) for n in names}}
(ml / 'model/found.json').write_text(json.dumps(found))
(ml / 'output/data/curve.csv').write_text('1,2')
print('looked')
"""
COUNT = """
import signal, sys, time
place = ml / 'checkpoints/at'
at, starts = map(int, place.read_text().split()) if place.exists() else (0, 0)
end = at + 10 if starts == LAST else 10**6
def save(*_):
    print(f'saved {at}')
    place.write_text(f'{at} {starts + 1}')
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
print(f'from {at}')
while at < end:
    time.sleep(0.02)
    at += 1
    print(f'step {at}')
(ml / 'model/at').write_text(str(at))
"""


def _count(last: int) -> str:
    """Counts on from its checkpoint, until it is ended; started for the last time, ten steps."""
    return COUNT.replace("LAST", str(last))


def test_what_a_training_container_finds_and_leaves(tmp_path: Path) -> None:
    """The contract of /opt/ml: configuration, channels, environment; model and data to S3."""
    with cloud(tmp_path):
        put("in/a/b.txt", b"1")
        put("in/c.txt", b"2")
        put("step.json", b"3")
        found = trained(
            training(
                "job-1", LOOK, HyperParameters={"rate": "0.1"}, Environment={"COLOUR": "green"},
                InputDataConfig=[channel("set", uri("in")), channel("one", uri("step.json"))],
            )
        )  # fmt: skip
        assert found["TrainingJobStatus"] == "Completed", found
        assert seen(found) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
        assert found["ModelArtifacts"]["S3ModelArtifacts"] == uri("out/job-1/output/model/")
        left = objects()
        assert left["out/job-1/output/data/curve.csv"] == b"1,2"
        told = json.loads(left["out/job-1/output/model/found.json"])
        assert logged("job-1") == ["looked"]
    assert told["data"] == {"set/a/b.txt": "1", "set/c.txt": "2", "one/step.json": "3"}
    assert told["env"] == {
        "TRAINING_JOB_NAME": "job-1", "AWS_REGION": REGION, "COLOUR": "green",
        "TRAINING_JOB_ARN": f"arn:aws:sagemaker:{REGION}:{NUMBER}:training-job/job-1",
    }  # fmt: skip
    config = told["config"]
    assert config["hyperparameters"] == {"rate": "0.1"}
    assert config["inputdataconfig"]["set"]["TrainingInputMode"] == "File"
    assert config["resourceconfig"]["hosts"] == ["algo-1"]
    assert config["resourceconfig"]["current_instance_type"] == "ml.m5.large"
    assert "checkpointconfig" not in config


def test_a_model_is_packed_unless_it_is_not_to_be(tmp_path: Path) -> None:
    """What serves a model unpacks model.tar.gz; its files lie at the top of it."""
    output = {"S3OutputPath": uri("out/")}
    with cloud(tmp_path):
        found = trained(training("job-1", LOOK, OutputDataConfig=output))
        assert found["ModelArtifacts"]["S3ModelArtifacts"] == uri("out/job-1/output/model.tar.gz")
        packed = objects()["out/job-1/output/model.tar.gz"]
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getnames() == ["found.json"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise SystemExit(3)", "AlgorithmError: , exit code: 3"),
        (
            "(ml / 'output/failure').write_text('bad data'); raise SystemExit(1)",
            "AlgorithmError: bad data, exit code: 1",
        ),
        ("import os; os.kill(os.getpid(), 9)", "AlgorithmError: , exit code: 137"),
    ],
)
def test_why_a_training_job_failed(tmp_path: Path, code: str, reason: str) -> None:
    with cloud(tmp_path):
        found = trained(training("job-1", code))
    assert (found["TrainingJobStatus"], found["FailureReason"]) == ("Failed", reason)
    assert seen(found)[-1] == "Failed"


def test_input_that_is_not_there_fails_the_job(tmp_path: Path) -> None:
    """SageMaker looks at the data only when the machine is up and paid for."""
    with cloud(tmp_path):
        found = trained(
            training("job-1", "", InputDataConfig=[channel("set", uri("nothing/here"))])
        )
        assert logged_nothing()
    assert found["FailureReason"].startswith("ClientError: Data download failed")
    assert uri("nothing/here") in found["FailureReason"]


def logged_nothing() -> bool:
    """Whether no job has printed anything so far: there is no log group then."""
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        logged("job-1")
    return True


def test_a_stopped_job_has_time_to_save(tmp_path: Path) -> None:
    with cloud(tmp_path):
        sagemaker = client()
        sagemaker.create_training_job(**spot("job-1", _count(1)))
        until(lambda: {"on": "step 5" in logged_so_far("job-1")}, "on", (True,))
        sagemaker.stop_training_job(TrainingJobName="job-1")
        sagemaker.stop_training_job(TrainingJobName="job-1")
        found = until(
            lambda: sagemaker.describe_training_job(TrainingJobName="job-1"), "TrainingJobStatus"
        )
        assert found["TrainingJobStatus"] == "Stopped"
        assert seen(found)[-3:] == ["Stopping", "Uploading", "Stopped"]
        assert int(objects()["checkpoints/job-1/at"].split()[0]) >= 5


def logged_so_far(name: str) -> list[str]:
    """What a job printed; nothing before it prints."""
    try:
        return logged(name)
    except ClientError:
        return []


def test_a_job_that_runs_too_long_is_stopped(tmp_path: Path) -> None:
    condition = {"MaxRuntimeInSeconds": 1}
    with cloud(tmp_path):
        found = trained(
            training("job-1", "import time; time.sleep(600)", StoppingCondition=condition)
        )
    assert (found["TrainingJobStatus"], found["SecondaryStatus"]) == (
        "Stopped", "MaxRuntimeExceeded"
    )  # fmt: skip


def test_a_spot_machine_is_taken_away_and_the_job_goes_on(tmp_path: Path) -> None:
    """SIGTERM, a checkpoint to S3, another machine, the checkpoint back: nothing is done twice."""
    with cloud(tmp_path, interruptions=[{"step": "job-1", "says": r"step \d?7\n", "times": 2}]):
        found = trained(spot("job-1", _count(2)))
        assert found["TrainingJobStatus"] == "Completed"
        assert seen(found) == [
            *["Starting", "Downloading", "Training", "Interrupted"] * 2,
            "Starting", "Downloading", "Training", "Uploading", "Completed",
        ]  # fmt: skip
        lines = logged("job-1")
        left = objects()["out/job-1/output/model/at"]
    saved = [line.removeprefix("saved ") for line in lines if line.startswith("saved")]
    begun = [line.removeprefix("from ") for line in lines if line.startswith("from")]
    assert begun == ["0", *saved]
    assert _steps(lines) == list(range(1, int(left) + 1))


def _steps(lines: list[str]) -> list[int]:
    """The steps that were done, as they were done."""
    return [int(line.removeprefix("step ")) for line in lines if line.startswith("step")]


def test_whoever_does_not_hear_sigterm_is_killed(tmp_path: Path) -> None:
    """A container without a handler loses what it did since its last checkpoint, and no more."""
    code = """
import signal, sys, time
saved = ml / 'checkpoints/step'
if saved.exists():
    sys.exit(0)
signal.signal(signal.SIGTERM, lambda *_: print('deaf', flush=True))
saved.write_text('1')
print('ready', flush=True)
while True:
    time.sleep(0.1)
"""
    with cloud(tmp_path, grace=1.0, interruptions=[{"step": ".", "says": "ready"}]):
        found = trained(spot("job-1", code))
        assert found["TrainingJobStatus"] == "Completed"
        assert seen(found).count("Interrupted") == 1
        assert logged("job-1") == ["ready", "deaf"]


def test_only_a_spot_machine_is_taken_away(tmp_path: Path) -> None:
    with cloud(tmp_path, interruptions=[{"step": "."}]):
        assert "Interrupted" not in seen(trained(training("job-1", _count(0))))


@pytest.mark.parametrize("times", [1, 3])
def test_no_capacity(tmp_path: Path, times: int) -> None:
    """On demand it fails at once; a spot job waits, as long as it may."""
    with cloud(tmp_path, no_capacity=[{"step": "", "times": times, "wait": 500}], speed=1e6):
        failed = trained(training("job-1", "pass"))
        waited = trained(spot("job-2", "pass"))
    assert failed["FailureReason"].startswith("CapacityError")
    if times == 1:
        assert waited["TrainingJobStatus"] == "Completed"
    else:
        assert waited["SecondaryStatus"] == "MaxWaitTimeExceeded"


def test_two_hosts_know_each_other(tmp_path: Path) -> None:
    """Ranks and the address of the first are made of resourceconfig.json alone."""
    code = """
import json, socket, time
about = json.loads((ml / 'input/config/resourceconfig.json').read_text())
first, me = sorted(about['hosts'])[0], about['current_host']
if me == first:
    with socket.create_server((first, 45871)) as server:
        with server.accept()[0] as other:
            print('heard', other.recv(100).decode())
else:
    while True:
        try:
            with socket.create_connection((first, 45871)) as there:
                there.sendall(me.encode())
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
""".replace("45871", str(free_port()))
    machines = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 10}
    with cloud(tmp_path):
        found = trained(training("job-1", code, ResourceConfig=machines))
        assert found["TrainingJobStatus"] == "Completed", found["FailureReason"]
        assert logged("job-1") == ["heard 127.0.0.2"]


def test_one_host_that_fails_ends_the_others(tmp_path: Path) -> None:
    """A job whose first machine waits for ever for the dead second is paid for ever."""
    code = """
import json, time
about = json.loads((ml / 'input/config/resourceconfig.json').read_text())
if about['current_host'] == about['hosts'][1]:
    raise SystemExit(4)
time.sleep(600)
"""
    machines = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 10}
    with cloud(tmp_path):
        found = trained(training("job-1", code, ResourceConfig=machines))
    assert found["TrainingJobStatus"] == "Failed"


def test_what_a_processing_container_finds_and_leaves(tmp_path: Path) -> None:
    code = """
import json
text = (ml / 'processing/input/set/a.txt').read_text()
(ml / 'processing/output/double/b.txt').write_text(text * 2)
config = {f.stem: json.loads(f.read_text()) for f in (ml / 'config').iterdir()}
(ml / 'processing/output/double/config.json').write_text(json.dumps(config))
(ml / 'output/message').write_text('did it')
"""
    with cloud(tmp_path):
        put("in/a.txt", b"ab")
        found = processed(
            processing(
                "job-1", code, ProcessingInputs=[source("set", uri("in"))],
                ProcessingOutputConfig={"Outputs": [sink("double", uri("out/r"))]},
            )
        )  # fmt: skip
        left = objects()
    assert (found["ProcessingJobStatus"], found["ExitMessage"]) == ("Completed", "did it")
    assert left["out/r/b.txt"] == b"abab"
    config = json.loads(left["out/r/config.json"])
    assert config["resourceconfig"]["current_host"] == "algo-1"
    assert config["processingjobconfig"]["ProcessingJobName"] == "job-1"


def test_a_failed_processing_job_leaves_only_what_it_uploads_as_it_goes(tmp_path: Path) -> None:
    code = """
for name in ('end', 'now'):
    (ml / f'processing/output/{name}/a').write_text(name)
raise SystemExit(5)
"""
    outputs = [sink("end", uri("end")), sink("now", uri("now"), "Continuous")]
    with cloud(tmp_path):
        found = processed(processing("job-1", code, ProcessingOutputConfig={"Outputs": outputs}))
        assert objects() == {"now/a": b"now"}
    assert found["FailureReason"].startswith("AlgorithmError")


def test_what_is_not_there_and_what_is_there_already(tmp_path: Path) -> None:
    """The very codes: a client that attaches on repeat tells a repeat by ResourceInUse."""
    with cloud(tmp_path, limits={"ml.m5.large": 1}):
        sagemaker = client()
        job = training("job-1", "import time; time.sleep(600)")
        arn = sagemaker.create_training_job(**job)["TrainingJobArn"]
        refused = [
            ("ResourceInUse", lambda: sagemaker.create_training_job(**job)),
            ("ResourceLimitExceeded", lambda: trained(training("job-2", ""))),
            ("ValidationException", lambda: trained(training("job-3", "", RoleArn=_role()))),
            (
                "ValidationException",
                lambda: sagemaker.describe_training_job(TrainingJobName="none"),
            ),
            ("UnknownOperationException", sagemaker.list_algorithms),
        ]
        codes = []
        for _, ask in refused:
            with pytest.raises(ClientError) as error:
                ask()
            codes.append(error.value.response["Error"]["Code"])
        assert codes == [code for code, _ in refused]
        sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "run", "Value": "r-1"}])
        assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "run", "Value": "r-1"}]
        sagemaker.delete_tags(ResourceArn=arn, TagKeys=["run"])
        assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == []
        listed = sagemaker.list_training_jobs(NameContains="job")["TrainingJobSummaries"]
        assert [each["TrainingJobName"] for each in listed] == ["job-1"]


def _role() -> str:
    return f"arn:aws:iam::{NUMBER}:role/nobody"


def test_a_later_command_goes_on_with_what_was_under_way(tmp_path: Path) -> None:
    """The cloud does not forget a job because a client went away; its checkpoints are there."""
    with cloud(tmp_path):
        client().create_training_job(**spot("job-1", _count(1)))
        until(lambda: {"on": "step 5" in logged_so_far("job-1")}, "on", (True,))
    with cloud(tmp_path, looking=True):
        found = client().describe_training_job(TrainingJobName="job-1")
        assert found["TrainingJobStatus"] == "InProgress"
    with cloud(tmp_path):
        sagemaker: Any = client()
        found = until(
            lambda: sagemaker.describe_training_job(TrainingJobName="job-1"), "TrainingJobStatus"
        )
        lines = logged("job-1")
        left = objects()["out/job-1/output/model/at"]
    assert _steps(lines) == list(range(1, int(left) + 1))


def test_pages_of_a_list_and_of_a_log(tmp_path: Path) -> None:
    """A client that reads one page alone must be found out here."""
    with cloud(tmp_path):
        for number in range(3):
            trained(training(f"job-{number}", f"print('a{number}'); print('b')"))
        pages = client().get_paginator("list_training_jobs").paginate(MaxResults=2)
        names = [[each["TrainingJobName"] for each in p["TrainingJobSummaries"]] for p in pages]
        assert names == [["job-2", "job-1"], ["job-0"]]
        logs, group = client("logs"), "/aws/sagemaker/TrainingJobs"
        (stream,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="job-1/")[
            "logStreams"
        ]
        where = {"logGroupName": group, "logStreamName": stream["logStreamName"]}
        first = logs.get_log_events(**where, startFromHead=True, limit=1)
        second = logs.get_log_events(**where, nextToken=first["nextForwardToken"], limit=5)
        third = logs.get_log_events(**where, nextToken=second["nextForwardToken"])
        assert [[e["message"] for e in page["events"]] for page in (first, second, third)] == [
            ["a1"], ["b"], [],
        ]  # fmt: skip
        assert third["nextForwardToken"] == second["nextForwardToken"]
