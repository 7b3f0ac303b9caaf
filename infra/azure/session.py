"""The way to Azure: clients made when they are first needed, and each failure one of ours.

Jobs are started and cancelled by azure-ai-ml's MLClient. How a run stands is asked of run history,
which that client asks itself, but drops the times and the errors of; so a command that only looks
need not wait the seconds that azure-ai-ml takes to be imported.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, ParamSpec, TypeVar

from infra.azure import AzureSettings
from infra.azure.errors import told
from infra.errors import InputError, ProviderError, TrefoilError

_ARM = "https://management.azure.com"
_SCOPE = f"{_ARM}/.default"
_HISTORY = "https://ml.azure.com/.default"
_WORKSPACE_API = "2024-04-01"
_LEADING = ("AZURE_", "IDENTITY_", "MSI_", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy",
            "REQUESTS_CA_BUNDLE")  # fmt: skip
"""How the variables begin that say who we are, and how Azure is reached."""
_CONNECT, _READ = 10, 60
"""Seconds."""
_AGAIN: Mapping[str, Any] = {"retry_total": 5, "initial_backoff": 1, "random_jitter_range": 1}
"""A call of storage that fails is made again after 1 s, 4, 10 and so on; by itself after 15."""

P = ParamSpec("P")
R = TypeVar("R")


class Where(NamedTuple):
    """A workspace of Azure ML, and the container that runs keep things in."""

    subscription: str
    resource_group: str
    workspace: str
    account: str
    container: str

    @property
    def path(self) -> str:
        """The resource id of the workspace."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}/providers/"
            f"Microsoft.MachineLearningServices/workspaces/{self.workspace}"
        )


class Azure:
    """One workspace, with the credentials that azure-identity finds."""

    def __init__(self, where: Where) -> None:
        self.where = where
        self._made: dict[str, Any] = {}
        self._lock = threading.RLock()

    def ask(self, doing: str, call: Callable[P, R], *given: P.args, **named: P.kwargs) -> R:
        """Make a call of the SDK's. Raises TrefoilError; ``doing`` is told in it."""
        try:
            with warnings.catch_warnings():  # azure-ai-ml warns of what is nobody's business here
                warnings.simplefilter("ignore")
                return call(*given, **named)
        except Exception as error:
            raise _told(error, doing) from error

    def find(self, doing: str, call: Callable[P, R], *given: P.args, **named: P.kwargs) -> R | None:
        """The same; None where Azure says that there is no such thing."""
        try:
            return self.ask(doing, call, *given, **named)
        except TrefoilError as error:
            if missing(error):
                return None
            raise

    @property
    def ml(self) -> Any:
        """azure-ai-ml's client. Raises InputError without azure-ai-ml."""
        return self._kept("ml", self._ml)

    @property
    def blobs(self) -> Any:
        """azure-storage-blob's client of the container."""
        return self._kept("blobs", self._blobs)

    def workspace(self) -> dict[str, Any]:
        """The workspace as ARM tells it."""
        address = f"{_ARM}{self.where.path}?api-version={_WORKSPACE_API}"
        return self._get(
            self.client(_SCOPE), address, f"look at the workspace {self.where.workspace}"
        )

    def run(self, name: str, verb: str = "") -> dict[str, Any] | None:
        """A run of run history, or its ``details``; None where there is none."""
        history, front = self._kept("history", self._history)
        address = f"{front}/runs/{name}{f'/{verb}' if verb else ''}"
        return self.find(f"tell of the run {name}", self._get, history, address, "")

    def children(self, name: str) -> list[dict[str, Any]]:
        """The runs of a run's nodes, page after page; none where there is no such run."""
        history, front = self._kept("history", self._history)
        address, found = f"{front}/runs/{name}/children", list[dict[str, Any]]()
        doing = f"tell of the steps of the run {name}"
        while address and (page := self.find(doing, self._get, history, address, "")):
            found += page.get("value", ())
            address = page.get("nextLink") or ""
        return found

    def token(self, scope: str, doing: str) -> str:
        """A token for whom has our credentials. Raises TrefoilError; ``doing`` is told in it."""
        found: str = self.ask(doing, self._credential().get_token, scope).token
        return found

    def send(self, method: str, address: str, **given: Any) -> Any:
        """One request without credentials; to be used within ``ask``, as it raises the SDK's own.

        ``given`` are ``headers``, and ``data``, a form.
        """
        from azure.core.rest import HttpRequest

        response = self.client(None).send_request(HttpRequest(method, address, **given))
        response.raise_for_status()
        return response

    def text(self, link: str) -> str:
        """What lies at a link that needs no credentials, as those to logs do; empty: nothing."""
        from azure.core.rest import HttpRequest

        asked = HttpRequest("GET", link)
        response = self.find("read a log", self.client(None).send_request, asked)
        if response is None or response.status_code != 200:  # the link may have run out
            return ""
        return bytes(response.read()).decode(errors="replace")

    def _get(self, client: Any, address: str, doing: str) -> dict[str, Any]:
        from azure.core.rest import HttpRequest

        def get() -> dict[str, Any]:
            response = client.send_request(HttpRequest("GET", address))
            response.raise_for_status()
            found: dict[str, Any] = json.loads(response.read())
            return found

        return self.ask(doing, get) if doing else get()

    def _kept(self, name: str, make: Callable[[], Any]) -> Any:
        with self._lock:
            if name not in self._made:
                self._made[name] = make()
            return self._made[name]

    def _ml(self) -> Any:
        where = self.where
        own = (where.subscription, where.resource_group, where.workspace)
        return self.ask("reach Azure ML", azure_ai_ml().MLClient, self._credential(), *own)

    def _blobs(self) -> Any:
        try:
            from azure.storage.blob import ContainerClient
        except ImportError:
            raise _without("azure-storage-blob") from None
        account = f"https://{self.where.account}.blob.core.windows.net"
        return ContainerClient(
            account, self.where.container, self._credential(),
            connection_timeout=_CONNECT, read_timeout=_READ, **_AGAIN,
        )  # fmt: skip

    def _history(self) -> tuple[Any, str]:
        """The client of the workspace's own service, and where the workspace is in it."""
        of = f"the workspace {self.where.workspace}"
        link: str = required(self.workspace(), "properties", "discoveryUrl", of=of)
        found = json.loads(self.text(link) or "{}")
        front = str(found.get("history") or found.get("api") or link.rpartition("/")[0])
        return self.client(_HISTORY), f"{front}/history/v1.0{self.where.path}"

    def client(self, scope: str | None) -> Any:
        """One of azure-core's, whose requests have tokens for ``scope``, if any."""
        return self._kept(f"client {scope}", lambda: self._client(scope))

    def _client(self, scope: str | None) -> Any:
        try:
            from azure.core import PipelineClient
            from azure.core.pipeline import policies
        except ImportError:
            raise _without("azure-core") from None
        own: list[Any] = [
            policies.UserAgentPolicy("trefoil"),
            policies.RetryPolicy(),
            *([policies.BearerTokenCredentialPolicy(self._credential(), scope)] if scope else []),
        ]
        return PipelineClient("", policies=own, connection_timeout=_CONNECT, read_timeout=_READ)

    def _credential(self) -> Any:
        def make() -> Any:
            try:
                from azure.identity import DefaultAzureCredential
            except ImportError:
                raise _without("azure-identity") from None
            logging.getLogger("azure.identity").setLevel(logging.CRITICAL)  # the error has it all
            return _Credential(DefaultAzureCredential())

        return self._kept("credential", make)


class _Credential:
    """azure-identity's, whose no is final: the client of storage would ask again for minutes."""

    def __init__(self, own: Any) -> None:
        self._own = own

    def get_token(self, *scopes: str, **given: Any) -> Any:
        """A token. Raises CredentialsError."""
        from azure.core.exceptions import ClientAuthenticationError

        try:
            return self._own.get_token(*scopes, **given)
        except ClientAuthenticationError as error:
            raise told(error, "sign in") from error


def azure_ai_ml() -> Any:
    """The module azure.ai.ml, to be used within ``ask``, as it warns of much.

    Raises InputError where it is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import azure.ai.ml
            import azure.ai.ml.entities
        except ImportError:
            raise _without("azure-ai-ml") from None
    logging.getLogger("azure.ai.ml").setLevel(logging.ERROR)  # what is experimental is news
    return azure.ai.ml


def connected(settings: AzureSettings) -> Azure:
    """The way there, kept for as long as the environment leads to the same place."""
    return reached(Where(
        settings.subscription, settings.resource_group, settings.ml_workspace,
        settings.storage_account, settings.container,
    ))  # fmt: skip


def reached(where: Where) -> Azure:
    """The same, for whoever has no settings but this."""
    leading = tuple(sorted(each for each in os.environ.items() if each[0].startswith(_LEADING)))
    return _connected(where, leading)


def required(found: Mapping[str, Any], *path: str, of: str) -> Any:
    """What a document of Azure's says there. Raises ProviderError where that is left out.

    ``of`` is what the document tells of: "the endpoint digits".
    """
    at: Any = found
    for name in path:
        at = at.get(name) if isinstance(at, Mapping) else None
    if at is None:
        raise ProviderError(
            f"Azure tells no {'.'.join(path)} of {of}, without which nothing is known of it; give "
            "the same command again"
        )
    return at


def missing(error: TrefoilError) -> bool:
    """Whether Azure said that there is no such thing."""
    return getattr(error.__cause__, "status_code", None) == 404


@functools.lru_cache(maxsize=4)
def _connected(where: Where, _leading: tuple[tuple[str, str], ...]) -> Azure:
    return Azure(where)


def _told(error: Exception, doing: str) -> TrefoilError:
    """One of ours; what is a mistake of this program's own goes on as it is."""
    kinds = type(error).__mro__
    known = ("AzureError", "ValidationError", "ValidationException", "MlException", "TrefoilError")
    if any(kind.__name__ in known for kind in kinds):
        return told(error, doing)
    raise error


def _without(package: str) -> InputError:
    return InputError(f"Azure needs {package}: run `make setup`, or install the extra azure")
