"""Becomes a step in a container of a CustomJob, once it has told the step where it is.

Vertex AI tells a container of a CustomJob by CLUSTER_SPEC which replica of how many it is, and by
AIP_CHECKPOINT_DIR where it may save itself. A step reads torch's words, and a folder. This file is
one word of the container's command (``python3 -c``), the step's own command follows; it needs
Python 3.8 and its standard library alone. Buckets are folders under /gcs.
"""

import json
import os
import sys
from pathlib import Path
from typing import Dict  # noqa: UP035  Python 3.8

PORT = 29500


def main() -> None:
    """Run the command of the step in this process, so that a signal reaches it."""
    gcs = os.environ.get("TREFOIL_GCS", "/gcs")
    words = [
        word.replace("/gcs/", f"{gcs}/", 1) if word[:5] == "/gcs/" else word
        for word in sys.argv[1:]
    ]
    for word in words:
        if word.startswith(f"{gcs}/"):
            Path(word).parent.mkdir(parents=True, exist_ok=True)
    found = {**rendezvous(), **checkpoints(gcs)}
    env = {"PYTHONUNBUFFERED": "1", **os.environ, **found}
    os.execvpe(words[0], words, env)  # noqa: S606  the step is this process


def checkpoints(gcs: str) -> Dict[str, str]:  # noqa: UP006
    """Where the step may save itself, in a bucket: it outlives the machine."""
    place = os.environ.get("AIP_CHECKPOINT_DIR", "")
    if not place.startswith("gs://"):
        return {}
    folder = f"{gcs}/{place[5:].rstrip('/')}"
    Path(folder).mkdir(parents=True, exist_ok=True)
    return {"TREFOIL_CHECKPOINTS": f"{folder}/step"}


def rendezvous() -> Dict[str, str]:  # noqa: UP006
    """The words of torchrun: for itself where it is to start processes, else for this process."""
    told = json.loads(os.environ.get("CLUSTER_SPEC") or "{}")
    pools = told.get("cluster", {})
    replicas = [(pool, at) for pool in sorted(pools) for at in range(len(pools[pool]))]
    processes = os.environ.get("TREFOIL_PROCESSES", "1")
    if len(replicas) < 2 and processes == "1":
        return {}
    rank, first, port = 0, "localhost", ""
    if replicas:
        rank = replicas.index((told["task"]["type"], int(told["task"]["index"])))
        first, _, port = pools[replicas[0][0]][0].partition(":")
    at, count, port = str(rank), str(max(1, len(replicas))), port or str(PORT)
    if processes != "1":
        return {
            "PET_NNODES": count, "PET_NODE_RANK": at, "PET_NPROC_PER_NODE": processes,
            "PET_MASTER_ADDR": first, "PET_MASTER_PORT": port,
        }  # fmt: skip
    return {
        "RANK": at, "WORLD_SIZE": count, "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1",
        "GROUP_RANK": at, "MASTER_ADDR": first, "MASTER_PORT": port,
    }  # fmt: skip


if __name__ == "__main__":
    main()
