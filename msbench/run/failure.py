"""How a trial failed: its status, and the reason in words."""

import signal
import traceback
from pathlib import Path

from msbench.records.schema import Status

_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate",
    "cannot allocate memory",
    "memoryerror",
    "bad_alloc",
)


def status_of(error: Exception) -> Status:
    """`oom` if memory ran out, on any device; else `failed`."""
    return "oom" if isinstance(error, MemoryError) or is_out_of_memory(str(error)) else "failed"


def is_out_of_memory(text: str) -> bool:
    """Whether an error says so, in the words of Python, C++, the system, or torch."""
    return any(words in text.lower() for words in _OUT_OF_MEMORY)


def signal_name(number: int) -> str:
    """What a signal is called, SIGKILL or its number."""
    known = {each.value: each.name for each in signal.Signals}
    return known.get(number, str(number))


def reason_of(error: Exception) -> str:
    """The error's type and text, and the file and line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"
