"""Machines of a stand-in whose containers are threads of the test: many start in no time."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from infra.gcp.emulator.machine import Work


class Threads:
    """Serves the version that its environment names; as ill as the card of its model says."""

    def hosts(self, count: int) -> list[str]:
        return ["127.0.0.1"] * count

    def start(self, work: Work) -> Server:
        return Server(work)


class Server:
    """One container."""

    def __init__(self, work: Work) -> None:
        found, work_log = work.environment, work.place / "log"
        place = Path(work.gcs, found["AIP_STORAGE_URI"].removeprefix("gs://"))
        card = json.loads((place / "serving.json").read_text())
        work_log.write_text(f"serves {found['TREFOIL_MODEL_VERSION']}\n")
        self._over = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        if "ill" in card:
            work_log.write_text("these weights are of another model\n")
            self._over.set()
            return
        at = ("127.0.0.1", int(found["AIP_HTTP_PORT"]))
        self._server = ThreadingHTTPServer(at, _handler(dict(found), card))
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def wait(self) -> int:
        self._over.wait()
        return 0

    def terminate(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
        self._over.set()

    kill = terminate


def _handler(found: dict[str, str], card: dict[str, Any]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            well = self.path == found["AIP_HEALTH_ROUTE"] and "sick" not in card
            self.reply(200 if well else 503, {})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != found["AIP_PREDICT_ROUTE"] or "broken" in card:
                self.reply(500, {"error": "these weights are broken"})
                return
            version = found["TREFOIL_MODEL_VERSION"]
            self.reply(200, {"predictions": [{"version": version} for _ in asked["instances"]]})

        def reply(self, status: int, told: object) -> None:
            body = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
