"""The unmodified boto3, led by its environment alone, against moto under AWS's own host names."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import botocore.exceptions
import pytest

from infra.aws.emulator.moto import Moto
from infra.aws.emulator.names import named
from infra.errors import ProviderError
from infra.rehearsal.ground import ground
from infra.rehearsal.log import Log, lines
from infra.rehearsal.proxy import REFUSED

ROOT = Path(__file__).parents[4]
REGION, ACCOUNT = "eu-central-1", "123456789012"
LOST = (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError)
ONCE = botocore.config.Config(retries={"total_max_attempts": 1})


@contextmanager
def _standing(folder: Path, *faults: dict[str, Any]) -> Iterator[Log]:
    log = Log(folder / "requests.jsonl", named)
    with closing(Moto(folder / "s3", folder / "requests.jsonl", ACCOUNT, faults)) as moto:
        moto.wait()
        routes = {r"([\w.-]+\.)?(s3|sts|iam|ecr)(\.[\w-]+)?\.amazonaws\.com": moto.address}
        with ground(routes, log):
            yield log


def _client(service: str, config: Any = None) -> Any:
    return boto3.client(service, region_name=REGION, config=config)


def _bucket(name: str = "models-of-a-rehearsal") -> Any:
    place = {"LocationConstraint": REGION}
    _client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=place)
    return boto3.resource("s3", region_name=REGION).Bucket(name)


def test_large_objects_in_parts_both_ways(tmp_path: Path) -> None:
    """Checksums are over the bytes; a proxy that touched one would break every upload."""
    content = os.urandom(20 * 2**20)
    (tmp_path / "sent").write_bytes(content)
    with _standing(tmp_path) as log:
        bucket = _bucket()
        bucket.upload_file(str(tmp_path / "sent"), "runs/a b/weights.bin")
        bucket.download_file("runs/a b/weights.bin", str(tmp_path / "back"))
        assert [each.key for each in bucket.objects.all()] == ["runs/a b/weights.bin"]
        told = log.told()
    assert (tmp_path / "back").read_bytes() == content
    assert any(line.startswith("S3 POST  200") for line in told)  # it was sent in parts
    hosts = {line["headers"]["Host"] for line in lines(tmp_path / "requests.jsonl")}
    assert f"models-of-a-rehearsal.s3.{REGION}.amazonaws.com" in hosts


def test_who_we_are(tmp_path: Path) -> None:
    """The account is that of the settings, so that roles and images can be told to be of it."""
    with _standing(tmp_path) as log:
        assert _client("sts").get_caller_identity()["Account"] == ACCOUNT
        assert log.told() == ["STS GetCallerIdentity  200"]


def test_what_lies_in_s3_is_there_for_the_next_command(tmp_path: Path) -> None:
    """`status --rehearse` looks at what an earlier command rehearsed."""
    with _standing(tmp_path):
        bucket = _bucket()
        bucket.put_object(Key="a", Body=b"1", ContentType="text/plain", Metadata={"run": "r-1"})
        bucket.put_object(Key="a/b", Body=b"2")
        bucket.put_object(Key="gone", Body=b"3")
        bucket.put_object(Key="a/b", Body=b"22")
        bucket.delete_objects(Delete={"Objects": [{"Key": "gone"}]})
    with _standing(tmp_path):
        bucket = boto3.resource("s3", region_name=REGION).Bucket("models-of-a-rehearsal")
        found = {each.key: each.get() for each in bucket.objects.all()}
        assert {key: each["Body"].read() for key, each in found.items()} == {
            "a": b"1", "a/b": b"22",
        }  # fmt: skip
        assert (found["a"]["ContentType"], found["a"]["Metadata"]) == ("text/plain", {"run": "r-1"})


@pytest.mark.parametrize(
    ("service", "call", "fault", "status"),
    [
        ("s3", "list_buckets", {"host": r"^s3\.", "error": "SlowDown"}, 503),
        ("s3", "list_buckets", {"host": r"^s3\.", "error": "ExpiredToken"}, 400),
        ("sts", "get_caller_identity", {"host": r"^sts\.", "error": "Throttling"}, 400),
        ("ecr", "describe_repositories", {"operation": "Describe.*", "error": "Throttling"}, 400),
    ],
)
def test_a_fault_is_in_the_words_of_the_service(
    tmp_path: Path, service: str, call: str, fault: dict[str, Any], status: int
) -> None:
    """XML of S3, XML of a query and JSON: botocore finds the code in each where AWS has it."""
    with _standing(tmp_path, fault):
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            getattr(_client(service, ONCE), call)()
        getattr(_client(service, ONCE), call)()
    answer = refused.value.response
    assert answer["Error"]["Code"] == fault["error"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status


def test_a_lost_answer_is_asked_for_again(tmp_path: Path) -> None:
    """The bytes are there, and botocore does not know; it must not see an answer at all."""
    with _standing(tmp_path, {"method": "PUT", "path": "/lost"}):
        bucket = _bucket()
        with pytest.raises(LOST):
            _client("s3", ONCE).put_object(Bucket=bucket.name, Key="lost", Body=b"1")
        assert [each.key for each in bucket.objects.all()] == ["lost"]


_WATCHED = """
import json, sys
addresses = []
def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto"):
        addresses.append(str(arguments[1]))
    if event == "socket.getaddrinfo":
        addresses.append(str(arguments[0]))
sys.addaudithook(watch)
from contextlib import closing
from pathlib import Path
import boto3, botocore.exceptions
from infra.aws.emulator.moto import Moto
from infra.rehearsal.ground import ground
from infra.rehearsal.log import Log
folder = Path(sys.argv[1])
with closing(Moto(folder / "s3", folder / "log", "123456789012")) as moto:
    with ground({r"sts\\..*": moto.address}, Log(folder / "log")):
        boto3.client("sts", region_name="eu-central-1").get_caller_identity()
        for service, call in (("ec2", "describe_instances"), ("s3", "list_buckets")):
            try:
                getattr(boto3.client(service, region_name="eu-central-1"), call)()
            except botocore.exceptions.ProxyConnectionError:
                addresses.append("refused")
print(json.dumps(addresses))
"""


def test_nothing_leaves_this_machine(tmp_path: Path) -> None:
    """Every address that the process names is loopback's; not even a name is looked up."""
    run = [sys.executable, "-c", _WATCHED, str(tmp_path)]
    found = json.loads(subprocess.check_output(run, cwd=ROOT, text=True))
    assert found.count("refused") == 2
    assert {address for address in found if "127.0.0.1" not in address} == {"refused"}
    refused = [line for line in lines(tmp_path / "log") if line["outcome"] == REFUSED]
    assert {line["path"] for line in refused} == {
        f"ec2.{REGION}.amazonaws.com", f"s3.{REGION}.amazonaws.com"
    }  # fmt: skip


_KILLED = """
import sys, time
from pathlib import Path
from infra.aws.emulator.moto import Moto
moto = Moto(Path(sys.argv[1]) / "s3", Path(sys.argv[1]) / "log", "123456789012")
moto.wait()
print(moto.pid, flush=True)
time.sleep(600)
"""


def test_moto_ends_with_a_rehearsal_that_is_killed(tmp_path: Path) -> None:
    """kill -9 leaves nobody to clean up; a process that stays holds memory, and a port."""
    run = [sys.executable, "-c", _KILLED, str(tmp_path)]
    with subprocess.Popen(run, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        handle = os.pidfd_open(pid)
        process.send_signal(signal.SIGKILL)
    import select

    assert select.select([handle], [], [], 60)[0], "moto is still there"
    os.close(handle)


def test_a_connection_lasts_and_the_rest_of_a_body_is_no_request(tmp_path: Path) -> None:
    """A handshake a call would be most of a rehearsal; a body read as a request would poison it."""
    fault = {"method": "HEAD", "path": "/refused", "status": 503}
    moto = Moto(
        tmp_path / "s3", tmp_path / "log", ACCOUNT, [fault], bucket="a-bucket", region=REGION
    )
    with closing(moto):
        moto.wait()
        there = HTTPConnection(moto.address.removeprefix("http://"))
        who = (
            f"Credential=anyone/20260101/{REGION}/s3/aws4_request, SignedHeaders=host, Signature=0"
        )
        signed = {"Host": f"s3.{REGION}.amazonaws.com", "Authorization": f"AWS4-HMAC-SHA256 {who}"}
        statuses, sockets = [], set()
        for method, path in (
            ("HEAD", "/a-bucket/refused"),
            ("PUT", "/a-bucket/a"),
            ("DELETE", "/a-bucket/a"),
            ("HEAD", "/a-bucket/a"),
            ("GET", "/a-bucket/a"),
        ):
            body = b"GET / HTTP/1.1\r\n\r\n" * 9 if method in ("PUT", "DELETE") else None
            there.request(method, path, body, signed)
            sockets.add(there.sock)
            answer = there.getresponse()
            answer.read()
            statuses.append(answer.status)
        there.close()
    assert statuses == [503, 200, 204, 404, 404]
    assert len(sockets) == 1


def test_moto_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "s3").mkdir()
    (tmp_path / "s3" / "broken.json").write_text("{")
    moto = Moto(tmp_path / "s3", tmp_path / "log", ACCOUNT)
    with closing(moto), pytest.raises(ProviderError, match=r"did not start \(.*JSONDecodeError"):
        moto.wait()
