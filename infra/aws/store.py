"""The objects of a bucket of S3. See infra.cloud.store."""

from __future__ import annotations

from collections.abc import Iterable

from infra.aws import AwsSettings
from infra.aws.session import Aws
from infra.cloud.store import Stored

_THERE = r"PreconditionFailed|412|ConditionalRequestConflict|409"
"""How S3 says that there is an object of that key already."""
_AT_ONCE = 1000
"""Objects that one request removes at most."""


class S3:
    """The bucket of the settings, encrypted with their key of KMS where they name one."""

    def __init__(self, aws: Aws, settings: AwsSettings) -> None:
        self._aws, self._bucket = aws, settings.bucket
        self._encrypted = encrypted(settings)

    def put(self, key: str, content: bytes, *, once: bool = False) -> bool:
        """See Store."""
        wanted = {"Bucket": self._bucket, "Key": key, "Body": content, **self._encrypted}
        doing = f"write {self.uri(key)}"
        if once:
            made = self._aws.find("s3", "put_object", doing, _THERE, IfNoneMatch="*", **wanted)
            return made is not None
        self._aws.ask("s3", "put_object", doing, **wanted)
        return True

    def get(self, key: str) -> bytes | None:
        """See Store."""
        return self._aws.read(self._bucket, key, f"read {self.uri(key)}")

    def list(self, prefix: str) -> list[Stored]:
        """See Store."""
        pages = self._aws.pages(
            "s3", "list_objects_v2", "Contents", f"list {self.uri(prefix)}",
            Bucket=self._bucket, Prefix=prefix,
        )  # fmt: skip
        return [
            Stored(each["Key"], each["Size"], each["LastModified"].timestamp()) for each in pages
        ]

    def remove(self, keys: Iterable[str]) -> None:
        """See Store."""
        named = [{"Key": key} for key in keys]
        for at in range(0, len(named), _AT_ONCE):
            self._aws.ask(
                "s3", "delete_objects", f"remove objects of {self.uri('')}", Bucket=self._bucket,
                Delete={"Objects": named[at : at + _AT_ONCE], "Quiet": True},
            )  # fmt: skip

    def uri(self, key: str) -> str:
        """See Store."""
        return f"s3://{self._bucket}/{key}"


def encrypted(settings: AwsSettings) -> dict[str, str]:
    """How an object is put to S3 where the settings name a key of KMS."""
    if not settings.kms_key:
        return {}
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": settings.kms_key}
