"""Container images: what they are made of, how they are built, and which ones this workspace has.

``find(workspace, "trefoil-trainer")`` is what a runner asks: the image to run for a name in the
IR, by its id. It reads one file and needs no Docker.
"""

from infra.images.record import Built, find

__all__ = ["Built", "find"]
