"""The way to Google Cloud: its discovery client, and each failure one of ours.

The discovery client rather than google-cloud-aiplatform: that takes ten seconds to load, makes
buckets and changes their rights, and drops what it does not know. What is sent is the very Request.
"""

from __future__ import annotations

import functools
import os
import random
import threading
import time
from collections.abc import Collection, Iterator
from typing import Any, TypeAlias

from infra.cloud.store import Store
from infra.errors import InputError, ProviderError, TrefoilError
from infra.gcp.errors import is_rate, told

Found: TypeAlias = dict[str, Any]

MISSING = (404,)
"""How Google says that there is no such thing."""
IN_USE = (409,)
"""How it says that there is one already."""
_SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
_VERTEX = "projects.locations."
_ATTEMPTS, _FIRST, _LONGEST = 7, 0.2, 20.0
"""How often a call is made that fails for a moment, and the seconds between two times."""
_PATIENCE = 60
"""Seconds that an answer may take."""
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_ONCE_ONLY = ("pipelineJobId", "endpointId")
"""What makes a creation safe to repeat: the second one is refused."""
_REPEATABLE = ("cancel", "list", "get", "check")
_LEADING = ("GOOGLE_", "CLOUDSDK_", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")
"""How the variables begin that say who we are, and how Google is reached."""


class Gcp:
    """One project in one region, with the credentials that google-auth finds."""

    def __init__(self, project: str, region: str) -> None:
        self.project, self.region = project, region
        self.parent = f"projects/{project}/locations/{region}"
        self._own = threading.local()  # a session is not for several threads
        self._lock = threading.Lock()
        self._credentials: Any = None

    def ask(self, method: str, doing: str, body: Any = None, **params: Any) -> Found:
        """Call a method of Vertex AI, named as "pipelineJobs.create". Raises TrefoilError.

        ``doing`` is told in the error. What may be repeated is, where it fails for a moment.
        """
        found: Found = self.call("aiplatform", f"{_VERTEX}{method}", doing, body, **params)
        return found

    def find(
        self, method: str, doing: str, body: Any = None,
        unless: Collection[int] = MISSING, **params: Any,
    ) -> Found | None:  # fmt: skip
        """The same; None where the refusal's HTTP code is one of ``unless``."""
        found: Found | None = self.call_unless(
            "aiplatform", f"{_VERTEX}{method}", doing, unless, body, **params
        )
        return found

    def pages(self, method: str, key: str, doing: str, **params: Any) -> Iterator[Found]:
        """Every item of a list that comes in pages."""
        more: dict[str, Any] = {}
        while True:
            page = self.ask(method, doing, **params, **more)
            yield from page.get(key, ())
            if not page.get("nextPageToken"):
                return
            more = {"pageToken": page["nextPageToken"]}

    def call(self, service: str, method: str, doing: str, body: Any = None, **params: Any) -> Any:
        """Call a method of any service that is spoken here. Raises TrefoilError."""
        from google.auth.exceptions import GoogleAuthError
        from googleapiclient.errors import HttpError

        again = _may_repeat(method, params)
        pause = _FIRST
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._sent(service, method, body, params)
            except HttpError as error:
                passes = error.status_code in _AGAIN and is_rate(str(error))
                momentary = passes and (again or error.status_code == 429)  # that did nothing
                if not momentary or attempt == _ATTEMPTS:
                    raise told(error, doing) from error
            except (GoogleAuthError, OSError, TypeError, ValueError) as error:
                if not again or not _of_the_network(error) or attempt == _ATTEMPTS:
                    raise told(error, doing) from error
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  no secret
            pause = min(pause * 2, _LONGEST)
        raise AssertionError  # the loop returns, or raises

    def call_unless(
        self, service: str, method: str, doing: str, unless: Collection[int],
        body: Any = None, **params: Any,
    ) -> Any:  # fmt: skip
        """The same; None where the refusal's HTTP code is one of ``unless``."""
        try:
            return self.call(service, method, doing, body, **params)
        except TrefoilError as error:
            if getattr(error.__cause__, "status_code", None) in unless:
                return None
            raise

    def store(self, bucket: str) -> Store:
        """The objects of a bucket."""
        from infra.gcp.store import Bucket

        return Bucket(self, bucket)

    def who(self) -> str:
        """The e-mail of the credentials, empty where they do not say."""
        self._service("storage")
        found = self._credentials
        return str(getattr(found, "service_account_email", "") or getattr(found, "account", ""))

    def _sent(self, service: str, method: str, body: Any, params: dict[str, Any]) -> Any:
        at = self._service(service)
        *resources, verb = method.split(".")
        for name in resources:
            at = getattr(at, name)()
        more = {"body": body} if body is not None else {}
        return getattr(at, verb)(**params, **more).execute(num_retries=0)

    def _service(self, name: str) -> Any:
        services = self._own.__dict__
        if name not in services:
            services[name] = self._built(name)
        return services[name]

    def _built(self, name: str) -> Any:
        import logging

        logging.getLogger("googleapiclient").setLevel(logging.ERROR)  # we tell refusals ourselves
        try:
            from googleapiclient.discovery import build
        except ImportError:
            raise InputError(
                "Google Cloud needs google-api-python-client: run `make setup`, or install the "
                "extra gcp"
            ) from None
        regional = f"https://{self.region}-aiplatform.googleapis.com"
        options = {"api_endpoint": regional} if name == "aiplatform" else None
        return build(
            name, _VERSIONS[name], http=_Way(self._known()), static_discovery=True,
            client_options=options, cache_discovery=False,
        )  # fmt: skip

    def _known(self) -> Any:
        """The credentials. Raises CredentialsError."""
        import google.auth
        from google.auth.exceptions import GoogleAuthError

        with self._lock:
            if self._credentials is None:
                try:
                    found, _ = google.auth.default(scopes=_SCOPES, quota_project_id=None)
                except (GoogleAuthError, OSError, ValueError) as error:
                    raise told(error, "begin") from error
                self._credentials = found
            return self._credentials


_VERSIONS = {
    "aiplatform": "v1", "storage": "v1", "logging": "v2", "artifactregistry": "v1",
    "serviceusage": "v1beta1",
}  # fmt: skip


def required(found: Found, name: str, what: str) -> Any:
    """A field of what Google told of ``what``. Raises ProviderError where it is not there."""
    if found.get(name) in (None, ""):
        raise ProviderError(
            f"Google tells no {name} of {what}, which it should; give the same command again"
        )
    return found[name]


def connected(project: str, region: str) -> Gcp:
    """The way there, kept for as long as the environment leads to the same place."""
    leading = tuple(sorted(each for each in os.environ.items() if each[0].startswith(_LEADING)))
    return _kept(project, region, leading)


@functools.lru_cache(maxsize=4)
def _kept(project: str, region: str, _leading: tuple[tuple[str, str], ...]) -> Gcp:
    return Gcp(project, region)


class _Way:
    """What the discovery client sends by: requests, as httplib2 (which passes over proxies)."""

    def __init__(self, credentials: Any) -> None:
        from google.auth.transport import requests

        transport: Any = requests
        self._session = transport.AuthorizedSession(credentials)

    def request(
        self, uri: str, method: str = "GET", body: Any = None, headers: Any = None, **_: Any
    ) -> tuple[Any, bytes]:
        """Send, and give the answer as httplib2 does."""
        from httplib2 import Response

        answer = self._session.request(
            method, uri, data=body, headers=headers, timeout=_PATIENCE, allow_redirects=False
        )
        told = {name.lower(): value for name, value in answer.headers.items()}
        found = Response({**told, "status": str(answer.status_code)})
        found.reason = answer.reason
        return found, answer.content

    def close(self) -> None:
        """Nothing is left open for long."""
        self._session.close()


def _may_repeat(method: str, params: dict[str, Any]) -> bool:
    """Whether a call that was carried out, unknown to us, may be made once more."""
    verb = method.rpartition(".")[2]
    if verb.startswith(_REPEATABLE) or verb in ("delete", "patch", "update"):
        return True
    return any(name in params for name in _ONCE_ONLY) or method.startswith(("objects.", "entries."))


def _of_the_network(error: Exception) -> bool:
    """Whether the way there failed, and not who we are, what we asked or how we are set up."""
    from google.auth.exceptions import TransportError
    from requests import exceptions as of_requests  # type: ignore[import-untyped]

    if isinstance(error, of_requests.SSLError):
        return "CERTIFICATE" not in str(error)  # which nobody mends by waiting
    broken = of_requests.ChunkedEncodingError
    passing = (of_requests.ConnectionError, of_requests.Timeout, broken, TransportError)
    return isinstance(error, (*passing, ConnectionError, TimeoutError))
