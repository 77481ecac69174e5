"""How many trials share a GPU: told by its memory and by how busy it is, not by CPU cores."""

import os
import subprocess

MOST = 16
"""Trials at once on a card that nobody else uses.

On an H200, 16 processes train 7.7 times as many eager steps as one. Of captured steps they train as
many as one, for a card gives its processes turns; what is before and after them still overlaps
(`python benchmarks/sharing.py`, docs/performance.md).
"""

EACH = 4 * 2**30
"""Bytes of memory that a trial is given; a context takes about half a gigabyte by itself."""

BUSY = 50
"""Percent of the time, above which a card is somebody else's, and gets one trial at a time."""

QUERY = ("nvidia-smi", "--query-gpu=memory.free,utilization.gpu", "--format=csv,noheader,nounits")


def gpu_room(device: str) -> int:
    """How many trials to run at once on a device such as `cuda:1`; 1 if it tells nothing."""
    number = int(device.partition(":")[2] or 0)
    visible = [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
    card = visible[number] if number < len(visible) else str(number)
    try:
        said = subprocess.run(  # noqa: S603
            [*QUERY, f"--id={card}"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
        free, busy = (int(each) for each in said.splitlines()[0].split(","))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return 1
    return room(free * 2**20, busy)


def room(free: int, busy: int) -> int:
    """Trials that fit a card with so many free bytes, busy for so many percent of the time."""
    return 1 if busy > BUSY else max(1, min(MOST, free // EACH))
