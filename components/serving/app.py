"""The ASGI application: a table of exact paths, errors, metrics.

One server answers to every platform's wording of the same three operations:

    GET  /live /ready /metrics /            POST /sample /reconstruct /score
    GET  /ping                              POST /invocations                    SageMaker
    GET  / /live /ready                     POST /score                          Azure ML
    GET  $AIP_HEALTH_ROUTE                  POST $AIP_PREDICT_ROUTE              Vertex AI
    GET  /v2 /v2/health/{live,ready}        POST /v2/models/NAME/infer           KServe v2
    GET  /v2/models/NAME[/ready]

Samples and reconstructions come as JSON or, where ``Accept`` wants it more, as a PNG; what it does
not allow either way is refused with 406. Everything else is of one type, whatever is accepted.

It is plain ASGI: every path is known when the model is, so a dictionary finds the route.
While it drains, requests on open connections are still answered, each with
``Connection: close``, so that no client loses one. Readiness is 503 then, unless another process
has taken the socket over: then whoever asks means that one.
"""

from __future__ import annotations

import asyncio
import json
import math
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from components.serving import about
from components.serving.asgi import (
    JSON,
    PNG,
    Answer,
    Receive,
    Scope,
    Send,
    give,
    read_body,
    refusal,
    wanted,
)
from components.serving.calls import Call, read
from components.serving.conventions import KSERVE, NATIVE, VERTEX, Convention
from components.serving.errors import Refused
from components.serving.images import layout, to_png
from components.serving.metrics import ServerMetrics
from components.serving.operations import Model

INLINE_SECONDS = 0.001
"""Work that takes longer leaves the event loop: a /ping must not wait for it."""
INLINE_BYTES = 16 * 1024
SECONDS_PER_VALUE = 0.4e-6
"""What it costs to write one number as JSON."""
MAX_WAITING = 64
"""Requests that may wait for a worker; one more is told to come again."""
_LOOKS, _OPERATES = ("GET", "HEAD"), ("POST",)


class Route(NamedTuple):
    """What a path does: ``look`` answers GET at once, else it is an operation by POST."""

    path: str
    look: Callable[[], Answer] | None = None
    convention: Convention = NATIVE
    operation: str | None = None


class App:
    """The server's whole state: loading, then ready with a model, then draining.

    ``draining`` asks clients to leave; ``leaving`` tells probes that there is nobody after us.
    """

    def __init__(
        self, version: str, name: str = "", health: str = "/health", predict: str = "/predict"
    ) -> None:
        self.name, self.version = name, version
        self.model: Model | None = None
        self.draining = False
        self.leaving = False
        self.metrics = ServerMetrics()
        self._seconds: dict[str, float] = {}
        self._waiting = 0
        self._workers = ThreadPoolExecutor(2, thread_name_prefix="infer")
        self._routes: dict[str, Route] = {}
        self._add(
            Route("/live", self._alive), Route("/v2/health/live", self._alive),
            Route("/", self._about), Route("/metrics", self._metrics),
            Route("/v2", lambda: _told(about.kserve_server(self.version))),
            *(Route(path, self._ready) for path in ("/ready", "/ping", "/v2/health/ready")),
            *(Route(f"/{name}", None, NATIVE, name) for name in ("sample", "reconstruct", "score")),
            Route("/invocations"),
            Route(health, self._ready), Route(predict, None, VERTEX),
        )  # fmt: skip

    def ready(self, model: Model, seconds: dict[str, float]) -> None:
        """Begin to answer with a model; ``seconds`` is what one row took per operation."""
        self.name = self.name or model.name
        for base in (f"/v2/models/{self.name}", f"/v2/models/{self.name}/versions/{self.version}"):
            self._add(
                Route(base, lambda: _told(about.kserve_model(self.name, self.version, model))),
                Route(f"{base}/ready", self._ready),
                Route(f"{base}/infer", None, KSERVE),
            )
        self._seconds = seconds
        self.metrics.model(self.name, self.version)
        self.model = model

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"this server does not speak {scope['type']}")
        began = perf_counter()
        self.metrics.in_flight += 1
        route = self._routes.get(scope["path"])
        try:
            answer = await self._answer(route, scope, receive)
        except Refused as error:
            answer = refusal(error)
        except Exception:
            traceback.print_exc()
            answer = refusal(Refused(500, "the server failed at this; its log says how"))
        finally:
            self.metrics.in_flight -= 1
        label = route.path if route else "other"
        self.metrics.observe(label, answer.status, perf_counter() - began)
        await give(answer, receive, send, last=self.draining)

    def close(self) -> None:
        """Forget what still waits for a worker."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _add(self, *routes: Route) -> None:
        self._routes.update({route.path: route for route in routes})

    async def _answer(self, route: Route | None, scope: Scope, receive: Receive) -> Answer:
        headers = dict(scope["headers"])
        body = b"" if scope["method"] in _LOOKS else await read_body(receive, headers)
        if route is None:
            operations = "/sample, /reconstruct, /score"
            raise Refused(404, f"there is no {scope['path'][:80]} here; ask {operations} or GET /")
        methods = _LOOKS if route.look else _OPERATES
        if scope["method"] not in methods:
            allow = ", ".join(methods)
            raise Refused(405, f"{route.path} takes {allow}, not {scope['method']}", allow=allow)
        if route.look:
            return route.look()
        if self.model is None:
            raise Refused(503, "the model is still loading", retry_after="1")
        if len(body) > INLINE_BYTES:
            call = await self._aside(lambda: self._read(route, scope, headers, body))
        else:
            call = self._read(route, scope, headers, body)
        offers = (JSON,) if call.operation == "score" else (JSON, PNG)
        picture = wanted(headers.get(b"accept", b""), offers) == PNG
        if picture:
            layout(len(call.rows), self.model.shape, call.scale)
        elif self._inline(call):
            return self._compute(route, call, picture)
        answer: Answer = await self._aside(lambda: self._compute(route, call, picture))
        return answer

    def _read(self, route: Route, scope: Scope, headers: dict[bytes, bytes], body: bytes) -> Call:
        media = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0]
        # SageMaker passes no query string on; it has a header for what is not in the body.
        asked = scope["query_string"] or headers.get(b"x-amzn-sagemaker-custom-attributes", b"")
        query = dict(parse_qsl(asked.decode("latin-1"))) if asked else {}
        assert self.model is not None  # noqa: S101  asked before
        media = media.strip().lower()
        return read(route.convention, self.model, body, media, query, route.operation)

    def _inline(self, call: Call) -> bool:
        """Whether a call is over before another thread would have begun."""
        assert self.model is not None  # noqa: S101
        values = 1 if call.operation == "score" else math.prod(self.model.shape)
        each = self._seconds[call.operation] + values * SECONDS_PER_VALUE
        return each * len(call.rows) < INLINE_SECONDS

    def _compute(self, route: Route, call: Call, picture: bool) -> Answer:
        assert self.model is not None  # noqa: S101
        found = call.run(self.model)
        if picture:
            return Answer(to_png(found, call.scale), PNG)
        text = route.convention.answer(call, found, self.name, self.version)
        return Answer(text.encode())

    async def _aside(self, work: Callable[[], Any]) -> Any:
        """Do work in another thread."""
        if self._waiting >= MAX_WAITING:
            raise Refused(503, "too many long requests wait already", retry_after="1")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, work)
        finally:
            self._waiting -= 1

    def _alive(self) -> Answer:
        return Answer(b'{"live":true}')

    def _ready(self) -> Answer:
        if self.leaving:
            raise Refused(503, "this server is ending")
        if self.model is None:
            raise Refused(503, "the model is still loading", retry_after="1")
        return Answer(b'{"ready":true}')

    def _about(self) -> Answer:
        ready = self.model is not None and not self.leaving
        return _told(about.server(self.name, self.version, self.model, ready))

    def _metrics(self) -> Answer:
        return Answer(self.metrics.text(), b"text/plain; version=0.0.4; charset=utf-8")


def _told(what: dict[str, object]) -> Answer:
    return Answer(json.dumps(what).encode())
