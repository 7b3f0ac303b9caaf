"""The way to AWS: clients made when they are first needed, and each failure one of ours."""

from __future__ import annotations

import functools
import os
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from infra.aws.errors import told
from infra.errors import InputError

Found: TypeAlias = dict[str, Any]

MISSING = r"ResourceNotFound|NoSuchKey|404|ValidationException: .*([Nn]ot found|[Cc]ould not find)"
"""How SageMaker, S3 and CloudWatch say that there is no such thing."""
IN_USE = r"ResourceInUse|ConflictException|ValidationException: .*must be unique"
"""How SageMaker says that there is one already."""
_ATTEMPTS = 8
_OPTIONAL = ("iam", "ecr", "service-quotas")
"""What is only looked at before a run, and passed over where it does not answer."""
_CONNECT, _READ = 10, 60
"""Seconds."""
_LEADING = ("AWS_", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")
"""How the variables begin that say who we are, and how AWS is reached."""


@functools.cache
def models() -> Any:
    """botocore's loader of the services' models, which remembers what it has read: megabytes."""
    from botocore.loaders import Loader

    return Loader()


def session(region: str, *keys: str) -> Any:
    """boto3's own; ``keys`` are an access key and its secret. Raises InputError without boto3."""
    try:
        import boto3
        import botocore.session
    except ImportError:
        raise InputError("AWS needs boto3: run `make setup`, or install the extra aws") from None
    found = botocore.session.get_session()
    found.register_component("data_loader", models())
    return boto3.session.Session(*keys, region_name=region, botocore_session=found)


class Aws:
    """One account in one region, with the credentials that boto3 finds."""

    def __init__(self, region: str) -> None:
        self.region = region
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def ask(self, service: str, operation: str, doing: str, **request: Any) -> Found:
        """Call an operation, named as boto3 does. Raises TrefoilError; ``doing`` is told in it."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found: Found = getattr(self.client(service), operation)(**request)
        except (BotoCoreError, ClientError) as error:
            raise told(error, doing) from error
        return found

    def find(
        self, service: str, operation: str, doing: str, unless: str = MISSING, **request: Any
    ) -> Found | None:
        """The same; None where the refusal, as "Code: message", begins as the pattern has it."""
        from botocore.exceptions import ClientError

        from infra.errors import TrefoilError

        try:
            return self.ask(service, operation, doing, **request)
        except TrefoilError as error:
            cause = error.__cause__
            if isinstance(cause, ClientError) and re.match(unless, _words(cause.response)):
                return None
            raise

    def read(self, bucket: str, key: str, doing: str) -> bytes | None:
        """What an object of S3 holds; None where there is none."""
        from botocore.exceptions import BotoCoreError

        found = self.find("s3", "get_object", doing, Bucket=bucket, Key=key)
        try:
            return found["Body"].read() if found else None
        except BotoCoreError as error:
            raise told(error, doing) from error

    def pages(
        self, service: str, operation: str, key: str, doing: str, **request: Any
    ) -> Iterator[Found]:
        """Every item of a list that comes in pages."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            for page in self.client(service).get_paginator(operation).paginate(**request):
                yield from page.get(key, ())
        except (BotoCoreError, ClientError) as error:
            raise told(error, doing) from error

    def client(self, service: str) -> Any:
        """boto3's own. Raises InputError without boto3, CredentialsError."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = _client(self._session, service)
            return self._clients[service]

    @functools.cached_property
    def _session(self) -> Any:
        return session(self.region)


def connected(region: str) -> Aws:
    """The way there, kept for as long as the environment leads to the same place."""
    leading = tuple(sorted(each for each in os.environ.items() if each[0].startswith(_LEADING)))
    return _kept(region, leading)


@functools.lru_cache(maxsize=4)
def _kept(region: str, _leading: tuple[tuple[str, str], ...]) -> Aws:
    return Aws(region)


def _client(way: Any, service: str) -> Any:
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    attempts = 2 if service in _OPTIONAL else _ATTEMPTS
    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=_CONNECT, read_timeout=_READ, user_agent_extra="trefoil",
    )  # fmt: skip
    try:
        return way.client(service, config=config)
    except BotoCoreError as error:
        raise told(error, f"reach {service}") from error


def _words(response: Mapping[str, Any]) -> str:
    error = response.get("Error", {})
    return f"{error.get('Code', '')}: {error.get('Message', '')}"
