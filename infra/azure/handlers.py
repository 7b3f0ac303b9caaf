"""Exit handlers: jobs that are started once all else of a run has ended, whoever sees that first.

Their names are the run's, so that Azure itself has each once.
"""

from __future__ import annotations

import json

from infra.azure.names import node
from infra.azure.sending import start
from infra.azure.session import Azure
from infra.cloud.handlers import due, final_status
from infra.cloud.looking import Look
from infra.cloud.records import Attempt
from infra.cloud.stepfile import STATUS
from infra.cloud.store import Store


def send(azure: Azure, store: Store, attempt: Attempt, look: Look) -> None:
    """Start those that can begin now: all else, and the handlers before them, have ended."""
    after = attempt.request["after"]
    for step in due(attempt.plan, look, after):
        document = after[step.name]
        status = final_status(step, look, attempt.run_id)
        if status is not None:
            uri = document["inputs"][node(STATUS)]["path"]
            key = f"{uri.removeprefix(store.uri(''))}status.json"
            store.put(key, json.dumps(status).encode())
        start(azure, document)
