"""Records: one JSON line per trial or measurement, and the folder that keeps them."""

from msbench.records.record import Record
from msbench.records.store import append, read, stream

__all__ = ["Record", "append", "read", "stream"]
