"""Data parallelism: several processes, each with its rows of every batch, move as one.

Losses and gradients are averaged over all of them by rows, so that each takes the very step that
one process would take with the whole batch. What a model draws for its rows with ``normal_like``
is drawn for the whole batch by everyone, who then takes the part of his own rows. So curves do not
depend on how many processes share the work, but for rounding; only masks of dropout do.

Gradients are reduced here and not by DistributedDataParallel: that one reacts to ``backward``, and
the loop takes gradients of one player's parameters alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from training.data import Columns, count
from training.errors import InputError
from training.launch import Rendezvous

_Value = TypeVar("_Value")


class _Part(NamedTuple):
    """The rows of a batch that are ours."""

    first: int
    last: int
    rows: int


_part: _Part | None = None


def normal_like(rows: Tensor) -> Tensor:
    """Standard normal noise, one row for each of the batch: draw it with this in ``losses``."""
    if _part is None:
        return torch.randn_like(rows)
    if len(rows) != _part.last - _part.first:
        raise ValueError(f"{len(rows)} rows of noise for {_part.last - _part.first} of the batch")
    shape = (_part.rows, *rows.shape[1:])
    whole = torch.randn(shape, dtype=rows.dtype, device=rows.device)
    return whole[_part.first : _part.last]


class Team:
    """One process alone: what the loop does with others, where there are none."""

    leads = True
    """Whether this is the process that reports, and writes checkpoints and outputs."""

    def part(self, batch: Columns) -> AbstractContextManager[Columns]:
        """Our rows of a batch, and our part of the noise while the block runs."""
        return nullcontext(batch)

    def mean(
        self, losses: dict[str, Tensor], gradients: tuple[Tensor, ...]
    ) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        """What the whole batch gives, of what our rows of it give."""
        return losses, gradients

    def any(self, ours: bool) -> bool:
        """Whether it is so for one of the processes at least."""
        return ours

    def same(self, ours: _Value) -> _Value:
        """What the leading process has, for all."""
        return ours


class Together(Team):
    """One of several processes. All of them must call the same, in the same order."""

    def __init__(self, rank: int, size: int) -> None:
        self.leads = rank == 0
        self._rank, self._size = rank, size
        self._share = 1.0

    @contextmanager
    def part(self, batch: Columns) -> Iterator[Columns]:
        """See Team. Raises InputError where a process would have no row."""
        global _part  # noqa: PLW0603  a model is given its rows, and asks for noise by itself
        rows, rank, size = count(batch), self._rank, self._size
        if rows < size:
            raise InputError(
                f"a batch has {rows} rows, too few for {size} processes; set batch_size to "
                f"{size} or more"
            )
        first, last = rows * rank // size, rows * (rank + 1) // size
        self._share = (last - first) / rows
        _part = _Part(first, last, rows)
        try:
            yield {name: column[first:last] for name, column in batch.items()}
        finally:
            _part = None

    @torch.no_grad()
    def mean(
        self, losses: dict[str, Tensor], gradients: tuple[Tensor, ...]
    ) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        """See Team: one message for all of them."""
        tensors = [*losses.values(), *gradients]
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors]) * self._share
        dist.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        whole = tuple(part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True))
        return dict(zip(losses, whole, strict=False)), whole[len(losses) :]

    def any(self, ours: bool) -> bool:
        """See Team."""
        flag = torch.tensor(ours, dtype=torch.uint8, device=_device())
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag)

    def same(self, ours: _Value) -> _Value:
        """See Team. It is pickled, between processes of one run."""
        found = [ours]
        dist.broadcast_object_list(found, device=_device())
        return found[0]


@contextmanager
def joined(place: Rendezvous) -> Iterator[Team]:
    """Meet the others, if there are any, and part from them at the end.

    The environment must say it too: see ``training.launch.tell``.
    """
    if place.world_size == 1:
        yield Team()
        return
    dist.init_process_group(place.backend, rank=place.rank, world_size=place.world_size)
    try:
        yield Together(place.rank, place.world_size)
    finally:
        dist.destroy_process_group()


def _device() -> torch.device:
    """Where a message must lie."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
