"""The launcher: packs of jobs are submitted, and their records read as they are written.

The driver alone writes results. A pack leaves its records in a file of the shared folder; what a
pack that died has not left is submitted again, each job by itself, and is lost after that.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from time import sleep
from typing import Annotated, Any, Literal
from uuid import uuid4

from annotated_types import Ge

import msbench
from msbench import Record, job_to_json
from msbench.records.record import record
from msbench_slurm.pack import Run, run_pack

ATTEMPTS = 2
"""How often a job is submitted: what ends the process of a pack is seldom one of its trials."""

GRACE = 5
"""Minutes that a pack may take besides its trials."""


@dataclass(eq=False)
class Pack:
    """Jobs that are one job of the cluster."""

    jobs: dict[str, Any]
    """Those without a record yet, by key."""
    file: Path
    """Where its records are left."""
    attempt: int
    submitted: Any = None
    read: int = 0
    """Bytes of the file that were read."""

    def news(self) -> Iterator[Record]:
        """The records that were written since the last look."""
        if not self.file.is_file():
            return
        with self.file.open("rb") as lines:
            lines.seek(self.read)
            for line in lines:
                if not line.endswith(b"\n"):
                    return  # not whole yet
                self.read += len(line)
                found = Record.from_json(line)
                if self.jobs.pop(found.key, None) is not None:
                    yield found


def slurm(
    packs: Annotated[int, Ge(1)] = 8,
    trials: Annotated[int, Ge(1)] = 16,
    workers: Annotated[int, Ge(1)] = 1,
    gpus: Annotated[int, Ge(0)] = 0,
    memory: Annotated[float, Ge(0)] = 0.0,
    partition: str = "",
    folder: str = "slurm",
    poll: Annotated[float, Ge(0.1)] = 5.0,
    cluster: Literal["slurm", "local"] = "slurm",
) -> Callable[..., Iterator[Any]]:
    """Jobs of a cluster with so many trials each.

    packs: jobs in the queue or running at once. trials: of a job, run `workers` at a time, each
    with a core for every thread of each of its processes. gpus: of a job. memory: gigabytes of a
    job; 0 = the cluster's default. folder: where submitit keeps what jobs are and print; all nodes
    must see it. poll: seconds between two looks. cluster: "local" runs the same jobs as processes
    of this machine.
    """

    def launch(
        jobs: Iterable[Any], run: Run, *, limit: float = 600.0, preload: Sequence[str] = ()
    ) -> Iterator[Any]:
        """Jobs as they are submitted, and records as they are seen."""
        executor, waiting = _executor(folder, cluster), iter(jobs)
        first = next(waiting, None)
        if first is None:
            return
        minutes = math.ceil(math.ceil(trials / workers) * limit / 60) + GRACE
        executor.update_parameters(
            **_resources(minutes, workers * cores(first), gpus, memory, partition, packs, cluster)
        )
        place = Path(folder).absolute() / "records"
        place.mkdir(parents=True, exist_ok=True)
        queue = _Queue(chain([first], waiting), trials)
        running: list[Pack] = []
        try:
            while True:
                new = [Pack(*each) for each in queue.take(packs - len(running), place)]
                if new:
                    with executor.batch():  # one array
                        for pack in new:
                            lines = [job_to_json(job) for job in pack.jobs.values()]
                            pack.submitted = executor.submit(
                                run_pack, lines, run, limit, list(preload), workers, str(pack.file)
                            )
                running += new
                for pack in new:
                    yield from pack.jobs.values()
                if not running:
                    return
                ended = [pack for pack in running if pack.submitted.done()]
                for pack in running:
                    yield from pack.news()
                for pack in ended:
                    running.remove(pack)
                    yield from queue.again(pack)
                if not ended:
                    sleep(poll)
        finally:
            for pack in running:
                pack.submitted.cancel(check=False)

    return launch


@dataclass
class _Queue:
    """What is to be submitted: jobs that were never, and those of packs that died."""

    jobs: Iterator[Any]
    size: int
    single: list[tuple[Any, int]] = field(default_factory=list)
    """Jobs that are submitted by themselves, and for which time."""

    def take(self, count: int, place: Path) -> Iterator[tuple[dict[str, Any], Path, int]]:
        """At most so many packs: their jobs, files and attempts."""
        for _ in range(count):
            if self.single:
                job, attempt = self.single.pop()
                pack = [job]
            else:
                pack, attempt = list(islice(self.jobs, self.size)), 1
            if not pack:
                return
            yield {job.key: job for job in pack}, place / f"{uuid4().hex}.jsonl", attempt

    def again(self, pack: Pack) -> Iterator[Record]:
        """After its end: submit what it has not left again, or give it up as `crashed`."""
        for job in pack.jobs.values():
            if pack.attempt < ATTEMPTS:
                self.single.append((job, pack.attempt + 1))
            else:
                yield record(job, "crashed", _reason(pack))


def _reason(pack: Pack) -> str:
    said = (pack.submitted.stderr() or "").strip()[-500:]
    state = f"its cluster job {pack.submitted.job_id} ended without it ({pack.submitted.state})"
    return f"{state}; it last said: {said}" if said else state


def _executor(folder: str, cluster: str) -> Any:
    try:
        import submitit
    except ImportError as error:
        raise msbench.MsbenchError(
            f"msbench-slurm needs submitit ({error}): pip install submitit"
        ) from error
    try:
        return submitit.AutoExecutor(Path(folder) / "%j", cluster=cluster)
    except RuntimeError as error:  # no such cluster here
        raise msbench.MsbenchError(f"slurm: {error}") from error


def cores(job: Any) -> int:
    """Those of a trial: one for every thread of each of its processes."""
    return int(getattr(job, "threads", 1) * getattr(job, "processes", 1))


def _resources(
    minutes: int, cpus: int, gpus: int, memory: float, partition: str, packs: int, cluster: str
) -> dict[str, Any]:
    """In submitit's words."""
    asked: dict[str, Any] = {
        "name": "msbench",
        "timeout_min": minutes,
        "cpus_per_task": cpus,
        "gpus_per_node": gpus,
        "mem_gb": memory or None,
    }
    if cluster == "slurm":
        asked |= {"slurm_partition": partition or None, "slurm_array_parallelism": packs}
    return {name: value for name, value in asked.items() if value is not None}
