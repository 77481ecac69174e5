"""Energy that the machine says it has used: processors by RAPL, NVIDIA's devices by NVML.

RAPL (running average power limit) counts all of a processor, other programs included, and only root
may read it on most systems. Where nothing can be read, energy is not a number.
"""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")
"""Where Linux tells what the processors used."""

Counter = Callable[[], float]
"""Joules so far."""


class Energy:
    """Joules since it was made, of the processors, and of the CUDA device if there is one."""

    def __init__(self, device: str = "cpu", powercap: Path = POWERCAP):
        self._counters = [*_processors(powercap), *(_gpu(device) if device != "cpu" else ())]
        self._last = [read() for read in self._counters]

    def joules(self) -> float:
        """Used since it was made or last asked; not a number if the machine does not tell."""
        now = [read() for read in self._counters]
        used = [after - before for after, before in zip(now, self._last, strict=True)]
        self._last = now
        # A counter that has come round to zero has told nothing.
        return math.fsum(used) if used and all(each >= 0 for each in used) else math.nan


def _processors(powercap: Path) -> list[Counter]:
    """A counter for each processor package; none if one of them cannot be read."""
    # `intel-rapl:0` is a package, on AMD's processors, too; `intel-rapl:0:0` is a part of it.
    files = [
        f for f in sorted(powercap.glob("intel-rapl:*/energy_uj")) if f.parent.name.count(":") == 1
    ]
    counters = [partial(_microjoules, file) for file in files]
    try:
        for read in counters:
            read()
    except (OSError, ValueError):
        return []
    return list(counters)


def _microjoules(file: Path) -> float:
    return int(file.read_text()) / 1e6


def _gpu(device: str) -> list[Counter]:
    """The device's counter, if pynvml is installed and the device has one."""
    try:
        import pynvml

        pynvml.nvmlInit()
        handle: Any = pynvml.nvmlDeviceGetHandleByIndex(int(device.partition(":")[2] or 0))
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except Exception:  # not installed, no driver, or a card without a counter
        return []
    return [lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3]
