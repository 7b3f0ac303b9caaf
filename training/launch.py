"""Where this process stands among those that train one model together, whoever started them.

Each launcher has its own words for it; one reader below for each turns them into a ``Rendezvous``.

    torchrun      RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, GROUP_RANK of every process
    Kubernetes    JOB_COMPLETION_INDEX of each pod of an Indexed Job, and the address of the first
                  in PET_NNODES, PET_MASTER_ADDR, PET_MASTER_PORT: torchrun takes these in the
                  place of flags, so that a pod may start it or the step itself

Without any of them a process is alone. Words that contradict each other are refused: a process
that has a wrong rank would make all of them wait for each other. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Literal, NamedTuple, TypeAlias

from training.errors import InputError

PORT = 29500
"""Where the first process is met, as torch has it by default."""

Environment: TypeAlias = Mapping[str, str]
Backend = Literal["gloo", "nccl"]


class Rendezvous(NamedTuple):
    """One process of ``world_size``, and where all of them meet.

    It is number ``rank`` of all, ``local_rank`` of those on its node, which is ``node_rank`` of
    ``nodes``. ``backend`` moves the tensors: nccl between GPUs, gloo between processors.
    """

    rank: int = 0
    local_rank: int = 0
    world_size: int = 1
    node_rank: int = 0
    nodes: int = 1
    master_addr: str = "127.0.0.1"
    master_port: int = PORT
    backend: Backend = "gloo"


def rendezvous(environment: Environment, backend: Backend = "gloo") -> Rendezvous:
    """Read the environment. Raises InputError naming the variable that is wrong."""
    found = [each for reader in READERS if (each := reader(environment))]
    if not found:
        return Rendezvous(backend=backend)
    first = found[0]
    for other in found[1:]:
        if (other.node_rank, other.nodes) != (first.node_rank, first.nodes):
            raise InputError(
                f"torchrun calls this node {first.node_rank} of {first.nodes}, and Kubernetes "
                f"{other.node_rank} of {other.nodes}; give torchrun --node-rank and --nnodes of "
                "the Job"
            )
    return first._replace(backend=backend)


def tell(place: Rendezvous, environment: MutableMapping[str, str]) -> None:
    """Say it in torchrun's words, which torch and the tracking of steps understand."""
    if place.world_size == 1:
        return
    environment["RANK"], environment["WORLD_SIZE"] = str(place.rank), str(place.world_size)
    environment["LOCAL_RANK"] = str(place.local_rank)
    environment["MASTER_ADDR"] = place.master_addr
    environment["MASTER_PORT"] = str(place.master_port)


def _of_torchrun(environment: Environment) -> Rendezvous | None:
    """What torchrun sets, or by hand the four of ``torch.distributed``'s env:// at least."""
    needed = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    if not _all("torchrun", environment, needed, unless=("MASTER_ADDR", "MASTER_PORT")):
        return None
    world_size = _number(environment, "WORLD_SIZE", least=1)
    rank = _number(environment, "RANK", most=world_size - 1)
    here = _number(environment, "LOCAL_WORLD_SIZE", least=1, most=world_size, default=1)
    local_rank = _number(environment, "LOCAL_RANK", most=here - 1, default=rank % here)
    node_rank = _number(environment, "GROUP_RANK", default=rank // here)
    if world_size % here or rank != node_rank * here + local_rank:
        raise InputError(
            f"RANK {rank} of {world_size} is not LOCAL_RANK {local_rank} of {here} on node "
            f"{node_rank}; every node must start as many processes"
        )
    return Rendezvous(
        rank, local_rank, world_size, node_rank, world_size // here,
        environment["MASTER_ADDR"], _number(environment, "MASTER_PORT", least=1, most=65535),
    )  # fmt: skip


def _of_indexed_job(environment: Environment) -> Rendezvous | None:
    """A pod of an Indexed Job that trains one model together, with one process in each.

    An Indexed Job whose pods have nothing to do with each other names no first one.
    """
    if "JOB_COMPLETION_INDEX" not in environment:
        return None
    if not _all("a Job", environment, ("PET_NNODES", "PET_MASTER_ADDR")):
        return None
    nodes = _number(environment, "PET_NNODES", least=1)
    index = _number(environment, "JOB_COMPLETION_INDEX", most=nodes - 1)
    port = _number(environment, "PET_MASTER_PORT", least=1, most=65535, default=PORT)
    return Rendezvous(index, 0, nodes, index, nodes, environment["PET_MASTER_ADDR"], port)


READERS: tuple[Callable[[Environment], Rendezvous | None], ...] = (_of_torchrun, _of_indexed_job)
"""The first that finds its words decides; those after it must not contradict."""


def _all(
    who: str, environment: Environment, names: tuple[str, ...], unless: tuple[str, ...] = ()
) -> bool:
    """Whether all of the variables are set; ``unless`` those alone. Raises InputError if some."""
    missing = [name for name in names if not environment.get(name)]
    there = [name for name in names if name not in missing]
    if not set(there) - set(unless):
        return False
    if missing:
        raise InputError(
            f"{there[0]} is set and {' and '.join(missing)} is not; {who} sets all of "
            f"{', '.join(names)}"
        )
    return True


def _number(
    environment: Environment, name: str, least: int = 0, most: int = 2**31, default: int = 0
) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not least <= int(text) <= most:
        limit = f"{least} to {most}" if most < 2**31 else f"{least} or more"
        raise InputError(f"{name} is {text!r}; it must be a whole number, {limit}")
    return int(text)
