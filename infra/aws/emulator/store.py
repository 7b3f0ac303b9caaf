"""What the stand-in knows, on disk: see infra.rehearsal.store."""

from infra.rehearsal.store import Record, Store

__all__ = ["Record", "Store"]
