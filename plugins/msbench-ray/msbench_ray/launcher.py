"""The launcher: slots on the nodes, a trial in each, and trials of lost nodes again elsewhere."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from typing import Annotated, Any

from annotated_types import Ge

import msbench
from msbench import Record, job_to_json
from msbench.records.record import record
from msbench.run.device import machine
from msbench_ray.slot import Run, Slot, file_digest

ATTEMPTS = 3
"""How often a job is begun if the nodes it is on are lost."""

LOOK = 2.0
"""Seconds between two looks at what nodes there are."""


@dataclass(eq=False)
class Place:
    """A slot on some node, as the driver sees it."""

    actor: Any
    awaited: Any
    """What it does: first tells its versions, then jobs; None if it is free."""
    job: Any = None
    refused: bool = False
    """Its node is left out; it stays known, so that no other slot is made for it."""


@dataclass
class Jobs:
    """What is to be done: jobs that were never begun, and those of lost nodes."""

    new: Iterator[Any]
    again: list[Any] = field(default_factory=list)
    begun: dict[str, int] = field(default_factory=dict)

    def left(self) -> bool:
        """Whether there is one to begin now."""
        if not self.again and (job := next(self.new, None)) is not None:
            self.again.append(job)
        return bool(self.again)

    def next(self) -> Any:
        """The next one, which is begun; None if there is none now."""
        if not self.left():
            return None
        job = self.again.pop()
        self.begun[job.key] = self.begun.get(job.key, 0) + 1
        return job

    def give_back(self, job: Any) -> None:
        """It was not begun after all."""
        self.begun[job.key] -= 1
        self.again.append(job)

    def lost(self, job: Any, why: Exception) -> Record | None:
        """Do it again; its record if it was begun often enough."""
        if self.begun[job.key] < ATTEMPTS:
            self.again.append(job)
            return None
        last = str(why).strip().splitlines()[-1:]
        return record(job, "crashed", f"lost {ATTEMPTS} times, at last by: {' '.join(last)}")


def on_ray(
    address: str = "",
    workers: Annotated[int, Ge(0)] = 0,
    gpus: Annotated[float, Ge(0)] = 0.0,
    memory: Annotated[float, Ge(0)] = 0.0,
    dashboard: bool = True,
) -> Callable[..., Iterator[Any]]:
    """As many trials at once as the cluster has room for.

    address: of a cluster that runs; empty = the one that RAY_ADDRESS names, else a new one on this
    machine alone. workers: most trials at once; 0 = no limit. Each takes the suite's threads as
    CPUs, and so many GPUs (or a part of one) and gigabytes of memory. dashboard: print its address;
    if not, a new cluster has none.
    """

    def launch(
        jobs: Iterable[Any], run: Run, *, limit: float = 600.0, preload: Sequence[str] = ()
    ) -> Iterator[Any]:
        """Jobs as they start, and records as they finish."""
        ray, read = _ray(), cache(file_digest)
        waiting = iter(jobs)
        first = next(waiting, None)
        if first is None:
            return
        queue = Jobs(chain([first], waiting))
        cpus = getattr(first, "threads", 1) * getattr(first, "processes", 1)
        _connect(ray, address, dashboard)
        make = ray.remote(num_cpus=cpus, num_gpus=gpus, memory=int(memory * 2**30), max_restarts=0)(
            Slot
        ).remote
        places: list[Place] = []
        try:
            while True:
                _grow(ray, places, make, cpus, workers)
                free = [p for p in places if p.awaited is None and not p.refused]
                for place in free:
                    if (job := queue.next()) is None:
                        break
                    place.job = job
                    files = {path: digest for path in _files(job, run) if (digest := read(path))}
                    place.awaited = place.actor.do.remote(
                        job_to_json(job), run, limit, preload, files
                    )
                    yield job
                if not any(place.job for place in places) and not queue.left():
                    return
                busy = {place.awaited: place for place in places if place.awaited is not None}
                for done in ray.wait(list(busy), timeout=LOOK)[0] if busy else ():
                    yield from _ended(ray, busy[done], places, queue)
                if all(place.refused for place in places):
                    raise msbench.MsbenchError("no node of the Ray cluster can run trials")
        finally:
            for place in places:
                ray.kill(place.actor)
            ray.shutdown()

    return launch


def _ended(ray: Any, place: Place, places: list[Place], queue: Jobs) -> Iterator[Record]:
    """What a slot has done, or that it is gone."""
    job, place.job, awaited, place.awaited = place.job, None, place.awaited, None
    try:
        given = ray.get(awaited)
    except ray.exceptions.RayError as error:
        places.remove(place)
        ray.kill(place.actor)  # what it raised may have left it alive, and its CPUs taken
        if job is not None and (gone := queue.lost(job, error)):
            yield gone
        return
    line, problem = given if job is not None else ("", _difference(given))
    if line:
        yield Record.from_json(line)
    elif problem:
        if job is not None:
            queue.give_back(job)
        print(f"msbench-ray: a node is left out: {problem}", file=sys.stderr)
        place.refused = True
        ray.kill(place.actor)


def _files(job: Any, run: Run) -> Iterator[str]:
    """Where the job reads files, if they are any: those of its tasks, and of plugins."""
    for trial in getattr(job, "strategies", [job]):
        yield from (each for each in trial.task.options.values() if isinstance(each, str))
    yield from getattr(run, "keywords", {}).get("files", ())


def _grow(ray: Any, places: list[Place], make: Callable[[], Any], cpus: int, workers: int) -> None:
    """A slot for all CPUs that there are, as nodes come and go."""
    room = int(ray.cluster_resources().get("CPU", 0) // cpus)
    for _ in range(len(places), min(room, workers) if workers else room):
        actor = make()
        places.append(Place(actor, actor.versions.remote()))


def _difference(versions: dict[str, str]) -> str:
    """In what a node differs from this machine; empty if in nothing that scores depend on."""
    here: dict[str, str] = machine()["versions"]
    names = sorted(here.keys() | versions.keys())
    return ", ".join(
        f"{name} {versions.get(name, 'missing')} there and {here.get(name, 'missing')} here"
        for name in names
        if here.get(name) != versions.get(name)
    )


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise msbench.MsbenchError(f"msbench-ray needs Ray ({error}): pip install ray") from error
    return ray


def _connect(ray: Any, address: str, dashboard: bool) -> None:
    """Join a cluster, or begin one."""
    if ray.is_initialized():
        return
    # Left out, Ray would look for a cluster that was on this machine at some time, and wait for it.
    address = address or os.environ.get("RAY_ADDRESS", "local")
    try:
        without = {"include_dashboard": False} if address == "local" and not dashboard else {}
        context = ray.init(address=address, log_to_driver=False, **without)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise msbench.MsbenchError(f"ray: no cluster at {address}: {error}") from error
    if dashboard and getattr(context, "dashboard_url", ""):
        print(f"Ray's dashboard: http://{context.dashboard_url}", file=sys.stderr)
