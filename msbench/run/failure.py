"""How a trial failed: its status, and the reason in words."""

import traceback
from pathlib import Path

from msbench.records.schema import Status


def status_of(error: Exception) -> Status:
    """`oom` if memory ran out, on any device; else `failed`."""
    text = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate" in text:
        return "oom"
    return "failed"


def reason_of(error: Exception) -> str:
    """The error's type and text, and the file and line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"
