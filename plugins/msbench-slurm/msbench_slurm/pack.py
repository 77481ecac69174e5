"""What a job of the cluster does: its trials, by msbench's own launcher, on the node it is on."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msbench import Record, job_from_json
from msbench.run.processes import processes

Run = Callable[[Any], Record]
"""Does one job; can be sent to another process."""


def run_pack(
    lines: Sequence[str],
    run: Run,
    limit: float,
    preload: Sequence[str],
    workers: int,
    file: str,
) -> int:
    """Run jobs (as text) in processes of their own; returns how many records it left in a file.

    Each record is on the shared disk before the next one is awaited, so that those of a node that
    dies are not lost.
    """
    count = 0
    with Path(file).open("ab", buffering=0) as out:
        jobs = [job_from_json(line) for line in lines]
        for each in processes(workers)(jobs, run, limit=limit, preload=preload):
            if isinstance(each, Record):
                out.write(each.to_json().encode() + b"\n")
                os.fsync(out.fileno())
                count += 1
    return count
