"""What steps left in Cloud Storage: values, and artefacts, brought to the workspace."""

from __future__ import annotations

import json

from infra.cloud import outputs
from infra.cloud.looking import Task
from infra.gcp import GcpSettings
from infra.gcp.session import Gcp
from infra.plan import Json, Step
from infra.values import neat


class Outputs:
    """Reads what the steps of one run left."""

    def __init__(self, gcp: Gcp, settings: GcpSettings, run_id: str) -> None:
        self._store = gcp.store(settings.bucket)
        self._shared = outputs.Outputs(self._store, settings.prefix, settings.workspace, run_id)

    def of(self, step: Step, task: Task) -> dict[str, Json]:
        """Values by their types, artefacts as paths, or as URIs: too large, or in another bucket.

        A CustomJob that is all of a run leaves what the shared launcher leaves; a task of a
        pipeline tells what it left.
        """
        if not task.left:
            return self._shared.of(step, task)
        told = json.loads(task.left)
        found: dict[str, Json] = {
            name: neat(told["values"][name], kind)
            for name, kind in step.parameters.items()
            if name in told["values"]
        }
        owner = "-".join([step.name, *task.job.split()[-1:]])  # what came from a cache has no job
        for name, uri in told["artifacts"].items():
            key = uri.removeprefix(self._store.uri(""))
            local = self._shared.fetched(key, owner, name) if key != uri else None
            found[name] = str(local or uri)
        return found
