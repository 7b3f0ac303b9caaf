"""Kubeflow Pipelines at one host: each call by kfp.Client, each failure one of ours.

The host is that of KFP's page, which hands on what is for the API, and serves by itself what the
API has not: logs and states of pods, artefacts, and the metadata store.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote

from infra.errors import CredentialsError, InputError, ProviderError, TrefoilError
from infra.kind.metadata import CONTENT, SERVICE, Metadata

Found: TypeAlias = dict[str, Any]

PATIENCE = 5.0
"""Seconds for which a reading call is tried while the server fails or is silent."""
_TIMEOUT = (5.0, 60.0)
"""Seconds to connect, and to be answered."""
_PAUSE, _LONGEST = 0.2, 5.0
_CHUNK = 2**20


class Server:
    """One server."""

    def __init__(self, host: str) -> None:
        """Look whether there is one of our version.

        Raises ProviderError, CredentialsError, and InputError at another version.
        """
        self.host = host.rstrip("/")
        self._client = _client(self.host)
        self._transport = self._client._run_api.api_client
        self._preflight()
        self.metadata = Metadata(self._post_metadata)

    # --- KFP's API

    def experiment(self, name: str) -> str | None:
        """The ID of an experiment; None where there is none of that name."""
        found = self._read(
            self._client.experiments.experiment_service_list_experiments,
            filter=_named(name), page_size=1,
        )  # fmt: skip
        for experiment in found.get("experiments") or ():
            return str(experiment["experiment_id"])
        return None

    def create_experiment(self, name: str) -> str:
        """Make an experiment; returns its ID."""
        create = self._client.experiments.experiment_service_create_experiment
        try:
            return str(self._once(create, {"display_name": name})["experiment_id"])
        except InputError:
            if found := self.experiment(name):  # somebody else made it just now
                return found
            raise

    def find(self, experiment: str, name: str) -> Found | None:
        """The newest run of that name in an experiment."""
        return next(self.runs(experiment, name, 1), None)

    def runs(self, experiment: str, name: str = "", size: int = 100) -> Iterator[Found]:
        """The runs of an experiment, newest first."""
        token, more = "", True
        chosen: dict[str, Any] = {"filter": _named(name)} if name else {}
        while more:
            found = self._read(
                self._client.runs.run_service_list_runs, experiment_id=experiment,
                sort_by="created_at desc", page_size=size, page_token=token, **chosen,
            )  # fmt: skip
            yield from found.get("runs") or ()
            token = found.get("next_page_token") or ""
            more = bool(token)

    def create(self, run: Found) -> Found:
        """Start a run. Raises InputError with KFP's own words where it refuses."""
        return self._once(self._client.runs.run_service_create_run, run)

    def get(self, run_id: str, patience: float = PATIENCE) -> Found:
        """A run, with its tasks."""
        return self._read(self._client.runs.run_service_get_run, run_id, patience=patience)

    def terminate(self, run_id: str) -> None:
        """Ask a run to end; to ask again is no mistake."""
        self._read(self._client.runs.run_service_terminate_run, run_id)

    # --- what the page serves by itself

    def page(self, path: str, query: Mapping[str, str] | None = None) -> bytes | None:
        """What the page has at ``path``; None where it has nothing there."""
        try:
            return self._get(path, query).data  # type: ignore[no-any-return]
        except (InputError, ProviderError):
            return None

    def download(self, path: str, limit: int) -> bytes | None:
        """An object of the artefact store; None where there is none, or it is larger."""
        try:
            found = self._get(f"/artifacts/{quote(path)}", None)
        except (InputError, ProviderError):
            return None
        parts, size = [], 0
        for part in found.stream(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > limit:
                found.close()
                return None
        return b"".join(parts)

    def _get(self, path: str, query: Mapping[str, str] | None) -> Any:
        return self._tried(
            lambda: self._transport.call_api(
                path, "GET", query_params=list((query or {}).items()), header_params={},
                auth_settings=["Bearer"], _preload_content=False, _request_timeout=_TIMEOUT,
                _return_http_data_only=True,
            )
        )  # fmt: skip

    def _post_metadata(self, method: str, body: bytes) -> bytes:
        pool = self._transport.rest_client.pool_manager
        headers = {**self._transport.default_headers, "Content-Type": CONTENT, "X-Grpc-Web": "1"}
        if self._transport.cookie:
            headers["Cookie"] = self._transport.cookie
        url = f"{self.host}{SERVICE}{method}"
        found = self._tried(
            lambda: pool.request("POST", url, body=body, headers=headers, timeout=60.0)
        )
        if found.status != 200:
            raise ProviderError(f"KFP's metadata store answers {found.status} at {self.host}")
        return bytes(found.data)

    # --- calling

    def _read(
        self,
        call: Callable[..., Any],
        *arguments: Any,
        patience: float = PATIENCE,
        **more: Any,
    ) -> Found:
        """A call that may be repeated: it is, while the server fails or cannot be reached."""
        until = time.monotonic() + patience
        pause = _PAUSE
        while True:
            try:
                return self._once(call, *arguments, **more)
            except ProviderError:
                if time.monotonic() + pause > until:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST)

    def _once(self, call: Callable[..., Any], *arguments: Any, **more: Any) -> Found:
        found = self._tried(
            lambda: call(
                *arguments, **more, _preload_content=False, _request_timeout=_TIMEOUT
            )
        )  # fmt: skip
        return json.loads(found.data or "{}") or {}

    def _tried(self, call: Callable[[], Any]) -> Any:
        import kfp_server_api
        import urllib3

        try:
            return call()
        except kfp_server_api.ApiException as error:
            raise _refusal(self.host, int(error.status or 0), error.body or error.reason) from None
        except urllib3.exceptions.HTTPError as error:
            raise _silent(self.host, error) from None

    def _preflight(self) -> None:
        try:
            told = self._once(self._client._healthz_api.healthz_service_get_healthz)
        except ValueError:
            raise ProviderError(
                f"what answers at {self.host} is not Kubeflow Pipelines; see the setting host"
            ) from None
        _require_version(self.host, told.get("tag_name") or told.get("apiServerTagName") or "")


def _client(host: str) -> Any:
    """kfp's client, with the credentials that it finds; made without a call."""
    import logging
    import warnings

    logging.getLogger("kfp").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", "This client only works with Kubeflow", FutureWarning)
    try:
        import kfp
        import kfp_server_api
    except ImportError:
        raise InputError(
            "Kubeflow Pipelines needs kfp: run `make setup`, or install the extra kfp"
        ) from None

    class Client(kfp.Client):  # type: ignore[misc]  # kfp has no types
        def get_kfp_healthz(self, *_: Any) -> Any:
            """Nothing: kfp asks while it is made, five times over 25 s where nobody answers."""
            return kfp_server_api.V2beta1GetHealthzResponse(multi_user=False)

    try:
        return Client(host=host)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(
            f"kfp cannot read {kfp.Client._LOCAL_KFP_CONTEXT} ({type(error).__name__}: {error}); "
            "mend or remove it"
        ) from None


def _require_version(host: str, server: str) -> None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        ours = version("kfp")
    except PackageNotFoundError:
        return  # its import says so
    there, here = (each.split(".")[:2] for each in (server.lstrip("v"), ours))
    if there[0].isdigit() and there != here:
        raise InputError(
            f"Kubeflow Pipelines at {host} is {server} and the SDK here is kfp {ours}: settings "
            f"would be lost between them; install kfp=={'.'.join(there)}.*, or bring the cluster "
            "to the SDK's version: python -m pipelines cluster up"
        )


def _named(name: str) -> str:
    predicate = {"operation": "EQUALS", "key": "display_name", "string_value": name}
    return json.dumps({"predicates": [predicate]})


def _refusal(host: str, status: int, body: Any) -> TrefoilError:
    words = _words(body)
    if status in (401, 403):
        return CredentialsError(
            f"Kubeflow Pipelines at {host} refuses us ({status}: {words}); kfp takes credentials "
            "from ~/.config/kfp/context.json"
        )
    if 400 <= status < 500:
        return InputError(f"Kubeflow Pipelines refuses: {words}")
    return ProviderError(f"Kubeflow Pipelines at {host} answers {status}: {words}")


def _words(body: Any) -> str:
    """The message in an error of KFP's, on one line."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, dict):
        text = str(found.get("message") or found.get("error_message") or found.get("error") or text)
    line = " ".join(text.split())
    return line if len(line) <= 400 else f"{line[:400]}..."


def _silent(host: str, error: Exception) -> ProviderError:
    return ProviderError(
        f"no Kubeflow Pipelines answers at {host} ({type(error).__name__}); "
        "see: python -m pipelines cluster status"
    )
