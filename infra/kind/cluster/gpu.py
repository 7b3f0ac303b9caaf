"""GPUs in the node, after NVIDIA's own recipe for kind (github.com/NVIDIA/nvkind).

kind.yaml's mount of /dev/null makes NVIDIA's runtime give the node every GPU of this machine. The
node then needs NVIDIA's container toolkit for its own containers, and the device plugin that
offers nvidia.com/gpu to pods.
"""

from __future__ import annotations

from infra import docker
from infra.kind.cluster import MANIFESTS, NODE, apply, tools
from infra.kind.cluster.tools import Say


def enable(say: Say) -> list[str]:
    """Let pods of the node ask for nvidia.com/gpu; what changed. Raises ToolFailed."""
    script = (MANIFESTS / "gpu" / "node.sh").read_text(encoding="utf-8")
    say("▶ NVIDIA's container toolkit goes into the node")
    tools.follow(docker.program(), "exec", "-i", NODE, "bash", "-s", timeout=600, say=say,
                 text=script)  # fmt: skip
    return apply.apply_upstream(MANIFESTS / "gpu")
