"""The ground that a rehearsal stands on: its proxy, its certificates, its environment."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from infra.rehearsal.authority import Authority
from infra.rehearsal.environment import led, variables
from infra.rehearsal.guard import guarded
from infra.rehearsal.log import Log
from infra.rehearsal.proxy import proxying


@contextlib.contextmanager
def ground(routes: Mapping[str, str], log: Log) -> Iterator[dict[str, str]]:
    """Lead every cloud's SDK to the stand-ins while the block runs; yields the variables that do.

    ``routes`` maps patterns of host names to addresses; see ``infra.rehearsal.proxy``.
    What is started meanwhile ends with this process, however that ends.
    Raises InputError where trustme is not installed.
    """
    authority = Authority()
    with guarded(), tempfile.TemporaryDirectory(prefix="trefoil-") as place:
        bundle, empty = Path(place, "ca.pem"), Path(place, "empty")
        bundle.write_bytes(authority.certificate())
        empty.mkdir()
        with proxying(routes, authority, log) as address:
            found = variables(address, bundle, empty)
            with led(found):
                yield found
