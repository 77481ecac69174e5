"""What the machine is, and how much memory a process took."""

import os
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

MEASURED = (
    "msbench",
    "torch",
    "numpy",
    "tokenizers",
    "sacrebleu",
    "rouge-score",
    "scikit-learn",
)

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def limit_threads(threads: int) -> None:
    """Tell math libraries that are not loaded yet how many threads to use.

    Threads that fight over cores slow small models down tenfold; the workers that start after
    this call inherit it.
    """
    for name in _THREAD_VARIABLES:
        os.environ[name] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def cores() -> int:
    """Cores this process may use (container and affinity limits respected where known)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def machine() -> dict[str, Any]:
    """What numbers in seconds depend on: processor, cores, system, versions."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: found for name in MEASURED if (found := _version(name))},
    }


class PeakMemory:
    """Peak resident memory of this process beyond what it held at the start, in bytes."""

    def __init__(self) -> None:
        _reset_peak()
        self._start = _status_bytes("VmRSS") or _max_rss()

    def bytes(self) -> int:
        """The peak since construction."""
        return max(0, (_status_bytes("VmHWM") or _max_rss()) - self._start)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _reset_peak() -> None:
    try:  # "5" resets VmHWM: a peak that loading the data left behind is not the model's
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _status_bytes(field: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


def _max_rss() -> int:
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
