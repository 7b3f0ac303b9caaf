"""The verbs of endpoints against the stand-in: what serves, after each, and what is left."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.aws import endpoint, lower
from infra.aws.emulator.cloud import standing
from infra.aws.serving.requests import SERVER_IMAGE
from infra.errors import InputError, ProviderError
from infra.rehearsal.log import lines
from infra.served import Endpoint
from tests.infra.aws.lowering import SETTINGS
from tests.infra.aws.running import ACCOUNT

pytestmark = pytest.mark.timeout(180)
_ROLE = "arn:aws:iam::123456789012:role/trefoil-serving"
_IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/little:1"
_MACHINES: dict[str, Any] = {"serving_instance_type": "ml.m5.large", "serving_instances": 3}
_SERVER = """
import http.server, json, os, pathlib, sys
card = json.loads(pathlib.Path(os.environ["TREFOIL_OPT_ML"], "model/serving.json").read_text())
if "ill" in card:
    sys.exit("these weights are of another model")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply({})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.reply({"version": os.environ["TREFOIL_MODEL_VERSION"], **asked})

    def reply(self, told):
        body = json.dumps(told).encode()
        self.send_response(500 if "broken" in card and told else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


class Place:
    """An account, and models to serve there."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        own = SETTINGS._replace(serving_role_arn=_ROLE, **settings)
        self.environment = {**lower.ground(own), SERVER_IMAGE: _IMAGE}
        self.folder = folder

    def deploy(self, version: str, canary: int = 0, **card: Any) -> Endpoint:
        """Serve a version; the ``card`` says what is wrong with it."""
        model = self.folder / f"model-{version}"
        model.mkdir(exist_ok=True)
        (model / "serving.json").write_text(json.dumps({"operations": {"sample": {}}, **card}))
        (model / "weights").write_text(version)
        return endpoint.deploy(
            workspace=self.folder, name="digits", version=version, model=model,
            model_name="vae", canary=canary, environment=self.environment,
        )  # fmt: skip

    def ask(self, verb: str) -> Endpoint:
        """Roll back, or stop."""
        does = getattr(endpoint, verb)
        found: Endpoint = does(workspace=self.folder, name="digits", environment=self.environment)
        return found

    def serving(self, requests: int = 10) -> list[str]:
        """The versions that answer so many requests, by boto3's own call."""
        import boto3

        runtime = boto3.session.Session().client("sagemaker-runtime", region_name="eu-west-1")
        found = [
            runtime.invoke_endpoint(
                EndpointName="digits", ContentType="application/json", Body=b'{"n": 1}'
            )
            for _ in range(requests)
        ]
        return sorted(json.loads(each["Body"].read())["version"] for each in found)

    def kept(self, kind: str) -> list[dict[str, Any]]:
        """What the account has: Model, EndpointConfig, Endpoint, ModelPackage."""
        files = (self.folder / "cloud/sagemaker" / kind).glob("*.json")
        return [json.loads(file.read_text()) for file in sorted(files)]

    def sent(self, operation: str) -> list[dict[str, Any]]:
        """The requests of one operation."""
        log = lines(self.folder / "cloud/requests.jsonl")
        return [json.loads(line["body"]) for line in log if line["name"].endswith(operation)]


@contextmanager
def place(folder: Path, **settings: Any) -> Iterator[Place]:
    """The account while the block runs."""
    script = folder / "server.py"
    script.write_text(_SERVER)
    account = ACCOUNT._replace(roles=frozenset({*ACCOUNT.roles, _ROLE}))
    scenario = {"commands": {"little": ["python", str(script)]}}
    with standing(account, folder / "cloud", scenario):
        yield Place(folder, **settings)


def test_versions_canary_and_back(tmp_path: Path) -> None:
    """A version, a canary of the next, all of it, back, and the end: each is what answers."""
    with place(tmp_path, **_MACHINES) as there:
        assert (there.deploy("1").state, there.serving(3)) == ("serving", ["1"] * 3)
        found = there.deploy("2", canary=20)
        assert (found.state, found.version, found.previous) == ("canary", "1, canary 2", "1")
        assert there.serving() == ["1"] * 8 + ["2"] * 2
        assert (there.deploy("2").previous, there.serving(3)) == ("1", ["2"] * 3)
        assert (there.ask("rollback").version, there.serving(3)) == ("1", ["1"] * 3)
        assert there.ask("stop").state == "stopped"
        assert there.kept("Endpoint") == []
        told = endpoint.endpoints(workspace=tmp_path, environment=there.environment)
        assert [(each.name, each.version, each.state) for each in told] == [
            ("digits", "1", "stopped")
        ]


@pytest.mark.parametrize("canary", [0, 10])
def test_a_rollback_whose_answer_is_lost_goes_back_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, canary: int
) -> None:
    """Twice, and the bad version serves again, or the champion is lost with the canary."""
    begun = endpoint._begun

    def lost(*given: Any) -> bool:
        begun(*given)
        return False  # boto3 repeats it, and is refused as the first goes on

    with place(tmp_path, **_MACHINES) as there:
        there.deploy("1")
        there.deploy("2")
        if canary:
            there.deploy("3", canary)
        before = len(there.sent("UpdateEndpoint"))
        monkeypatch.setattr(endpoint, "_begun", lost)
        found = there.ask("rollback")
        assert (found.version, found.previous) == (("2", "1") if canary else ("1", "2"))
        assert there.serving(2) == [found.version] * 2
        assert len(there.sent("UpdateEndpoint")) == before + 1


def test_the_same_version_again_changes_nothing(tmp_path: Path) -> None:
    """A run that is repeated deploys once more: no second machine may come of it."""
    with place(tmp_path, **_MACHINES) as there:
        there.deploy("1")
        there.deploy("1")
        assert len(there.sent("CreateEndpoint")) == len(there.sent("CreateModel")) == 1
        assert there.sent("UpdateEndpoint") == []


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ({"ill": True}, "did not pass the ping health check.*these weights are of another model"),
        ({"broken": True}, "500"),
    ],
)
def test_a_version_that_does_not_serve_is_taken_back(
    tmp_path: Path, card: dict[str, Any], words: str
) -> None:
    """The old version answers all the time, and the new one leaves nothing that costs money."""
    with place(tmp_path, **_MACHINES) as there:
        there.deploy("1")
        with pytest.raises(ProviderError) as caught:
            there.deploy("2", **card)
        assert re.search(words, str(caught.value), re.DOTALL)
        assert "version 1 still serves" in str(caught.value)
        assert there.serving(3) == ["1"] * 3
        assert len(there.kept("Model")) == len(there.kept("EndpointConfig")) == 1


def test_a_first_version_that_does_not_serve_leaves_nothing(tmp_path: Path) -> None:
    with place(tmp_path) as there:
        with pytest.raises(ProviderError, match="did not get the new version to serve"):
            there.deploy("1", ill=True)
        assert [there.kept(kind) for kind in ("Model", "EndpointConfig", "Endpoint")] == [[]] * 3
        with pytest.raises(InputError, match="was never deployed"):
            there.ask("rollback")


def test_a_package_is_approved_when_its_version_gets_all_requests(tmp_path: Path) -> None:
    """A canary is on trial: whoever deploys what is approved must not get it."""
    with place(tmp_path, **_MACHINES, model_package_group="vae") as there:
        import boto3

        sagemaker = boto3.session.Session().client("sagemaker", region_name="eu-west-1")
        sagemaker.create_model_package_group(ModelPackageGroupName="vae")
        there.deploy("1")
        there.deploy("2", canary=10)
        assert _approvals(there) == ["Approved", "PendingManualApproval"]
        there.deploy("2")
        assert _approvals(there) == ["Approved", "Approved"]


def test_machines_come_and_go_between_the_limits_or_stay_as_they_are(tmp_path: Path) -> None:
    """With one machine nothing is to be scaled, and what scaled before has to stop."""
    with place(tmp_path, **_MACHINES) as there:
        there.deploy("1")
        (target,) = there.kept("ScalableTarget")
        assert target["request"]["MaxCapacity"] == 3
        assert len(there.kept("ScalingPolicy")) == 1
        one = Place(tmp_path, **{**_MACHINES, "serving_instances": 1})
        one.deploy("2")
        assert there.kept("ScalableTarget") == there.kept("ScalingPolicy") == []
        one.deploy("3")
        assert there.serving(1) == ["3"]


def test_a_serverless_and_an_asynchronous_endpoint(tmp_path: Path) -> None:
    with place(tmp_path) as there:
        there.deploy("1")
        assert there.serving(2) == ["1", "1"]
    later = tmp_path / "later"
    later.mkdir()
    with place(later, **_MACHINES, serving_async=True) as there:
        assert there.deploy("1").state == "serving"


def _approvals(there: Place) -> list[str]:
    return [each["request"]["ModelApprovalStatus"] for each in there.kept("ModelPackage")]
