"""What a rehearsal would have cost, had its machines been the cloud's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Item(NamedTuple):
    """So many machines for so long. ``usd_per_hour`` of one is None where no price is known."""

    what: str
    machine: str
    machines: int
    seconds: float
    usd_per_hour: float | None

    @property
    def usd(self) -> float:
        """What it would have cost."""
        return self.machines * self.seconds / 3600 * (self.usd_per_hour or 0.0)


def told(items: Iterable[Item]) -> Iterator[str]:
    """Each item, and the sum; nothing where nothing was used."""
    items = list(items)
    for item in items:
        count = f"{item.machines} x " if item.machines > 1 else ""
        price = "no price known" if item.usd_per_hour is None else f"{item.usd:.4f} USD"
        yield f"{item.what:<24} {count}{item.machine}  {item.seconds:.0f} s  {price}"
    if items:
        yield f"{'together':<24} {sum(item.usd for item in items):.4f} USD, by this machine's speed"
