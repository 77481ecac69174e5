"""How much memory a trial may take."""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

GB = 10**9


@contextmanager
def limited_memory(limit: int) -> Iterator[None]:
    """Inside, let allocations fail that would give this process more than `limit` bytes of data.

    0 is no limit. Data is what can be written: the heap and private mappings, those of libraries
    included (Linux; elsewhere the system may not care). The address space, which could be limited
    too, counts what libraries reserve and never use, and CUDA reserves more than any machine has.
    Each process that a trial starts has the same limit to itself.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    given = [each for each in (limit or soft, soft, hard) if each != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(given, default=soft), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def describe_peak(limit: int) -> str:
    """The limit, and the most that this process has had in memory, in words."""
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return f"limit of {limit / GB:g} GB, peak of {peak / GB:.2g} GB"
