"""`torchrun -m msbench run SUITE`: the first process drives, others do their part of its trials.

Orders and answers travel as files in a folder beside the results, which all processes must see.
Each rank of a trial is a process of its own, forked by the one that `torchrun` has started, so that
no trial leaves anything to the next.
"""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Protocol
from uuid import uuid4

from msbench.errors import MsbenchError
from msbench.records.record import Record, record
from msbench.run.device import machine
from msbench.run.ranks import GOOD, LOOPBACK, Rank

# Not renamed there: that file is part of what trials are identified by.
from msbench.run.ranks import _end as end_rank
from msbench.run.ranks import _record as record_of_rank
from msbench.run.ranks import _start as start_rank
from msbench.spec import Job, Suite, Trial, job_from_json, job_to_json

SPOOL = "MSBENCH_TORCHRUN"
"""The variable that says where the orders of a driver stand; its workers inherit it."""

TOLD = ("RANK", "LOCAL_RANK", "WORLD_SIZE")
"""What `torchrun` says of a process, and what a driver's workers must not take for their own."""

POLL = 0.05
"""Seconds between two looks at the folder."""

GRACE = 3.0
"""Seconds that the cause is waited for when the first rank fails, as it does if another dies."""


class Do(Protocol):
    """How a member does its part of a trial."""

    def __call__(self, job: Job, files: Sequence[str], *, memory: int) -> Record:
        """files: of plugins. memory: bytes that it may take."""


def world_size() -> int:
    """How many processes `torchrun` has started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def leads() -> bool:
    """Whether this is the process that drives."""
    return os.environ.get("RANK", "0") == "0"


def check_world(suite: Suite) -> None:
    """MsbenchError if a suite's trials are not for as many processes as there are."""
    if suite.processes != world_size():
        raise MsbenchError(
            f"{suite.path}: torchrun has started {world_size()} processes, and trials are for "
            f"{suite.processes}: say processes = {world_size()} (-o processes={world_size()})"
        )
    if suite.launcher.name != "processes":
        raise MsbenchError(
            f"{suite.path}: launcher {suite.launcher.name!r} starts processes itself: run it "
            "without torchrun"
        )


@contextmanager
def leading(folder: Path) -> Iterator[None]:
    """Inside, trials of several processes are done together with the members.

    folder: of the results.
    """
    spool = _spool(folder)
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir(parents=True)
    _welcome(spool)
    told = {name: os.environ.pop(name) for name in TOLD if name in os.environ}
    os.environ[SPOOL] = str(spool.resolve())
    try:
        yield
    finally:
        del os.environ[SPOOL]
        os.environ.update(told)
        shutil.rmtree(spool, ignore_errors=True)  # which tells members that all is done


def has_members() -> bool:
    """Whether the other ranks of a trial are started elsewhere."""
    return SPOOL in os.environ


def with_members(job: Job, run: Callable[[], Record], files: Sequence[str], memory: int) -> Record:
    """The record of `run` in the first rank; or how the first rank failed that did."""
    assert isinstance(job, Trial)
    spool, number = Path(os.environ[SPOOL]), uuid4().hex
    told = {
        "WORLD_SIZE": str(job.processes),
        "MSBENCH_RENDEZVOUS": f"file://{spool / number}",
        "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", _interface(job.processes)),
    }
    told = {name: value for name, value in told.items() if value}
    order = {"number": number, "told": told, "job": job_to_json(job)}
    _write(spool / "order", {**order, "files": list(files), "memory": memory})
    rank = start_rank(0, told, run)
    try:
        return _together(job, rank, partial(_answers, spool, number))
    finally:
        end_rank(rank)


def serve(folder: Path, do: Do, preload: Sequence[str]) -> None:
    """Be a member until the driver is done: take part in each of its trials.

    preload: modules to import once, before the first.
    """
    from msbench.run.preloaded import preload as import_all  # late: it finds out what workers need

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that is for the driver
    spool, rank = _spool(folder), int(os.environ["RANK"])
    _join(spool, rank)
    import_all(list(preload))
    number, child = "", None
    while spool.is_dir():
        order = _read(spool / "order") or {"number": number}
        if order["number"] != number:
            if child:
                end_rank(child)  # the driver has given it up
            number, job = order["number"], job_from_json(order["job"])
            run = partial(do, job, order["files"], memory=order["memory"])
            local = os.environ.get("LOCAL_RANK", str(rank))
            child = start_rank(rank, order["told"], partial(_on_device, local, run))
        if child and child.pipe.poll(POLL):
            made = record_of_rank(job, child)
            end_rank(child)
            child = None
            with suppress(FileNotFoundError):
                _write(spool / f"{number}-{rank}", {"status": made.status, "reason": made.reason})
        elif not child:
            sleep(POLL)
    if child:
        end_rank(child)


def _on_device(local: str, run: Callable[[], Record]) -> Record:
    """Runs in a rank: of several machines, its number on this one says which GPU is its own."""
    os.environ["LOCAL_RANK"] = local
    return run()


def _together(job: Trial, rank: Rank, answers: Callable[[], dict[int, Any]]) -> Record:
    """The record of the first rank when all are done; of the first to fail, its reason."""
    own: Record | None = None
    patience = float("inf")
    while True:
        others = answers()
        for number, told in sorted(others.items()):
            if told["status"] not in GOOD:
                return _failed(job, number, told["status"], told["reason"])
        if own is None and rank.pipe.poll(POLL):
            own = record_of_rank(job, rank)
            patience = monotonic() + GRACE
        elif own is not None and own.status not in GOOD and monotonic() > patience:
            return _failed(job, 0, own.status, own.reason)
        elif own is not None and own.status in GOOD and len(others) == job.processes - 1:
            return own
        elif own is not None:
            sleep(POLL)


def _failed(job: Trial, rank: int, status: Any, reason: str) -> Record:
    return record(job, status, f"rank {rank} of {job.processes}: {reason}", machine=machine())


def _answers(spool: Path, number: str) -> dict[int, Any]:
    """How members ended that have, by rank."""
    found = {int(file.name.partition("-")[2]): _read(file) for file in spool.glob(f"{number}-*")}
    return {rank: told for rank, told in found.items() if told}


def _interface(processes: int) -> str:
    """The network interface of one machine alone; "" for gloo to find one between several."""
    return LOOPBACK if os.environ.get("LOCAL_WORLD_SIZE") == str(processes) else ""


def _spool(folder: Path) -> Path:
    return folder.parent / f".{folder.name}-torchrun"


def _welcome(spool: Path) -> None:
    """Wait for all members. What they said is sent back: so they know that no earlier run's folder
    is talking."""
    others = world_size() - 1
    while len(hellos := [_read(file) for file in spool.glob("hello-*")]) < others:
        sleep(POLL)
    _write(spool / "welcome", hellos)


def _join(spool: Path, rank: int) -> None:
    hello, mine = spool / f"hello-{rank}", uuid4().hex
    while mine not in (_read(spool / "welcome") or ()):
        if _read(hello) != mine:
            with suppress(FileNotFoundError):  # the driver is not there yet
                _write(hello, mine)
        sleep(POLL)


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        return None


def _write(file: Path, data: Any) -> None:
    """All of it at once: whoever reads sees the whole or nothing."""
    part = file.with_name(f".{file.name}-{uuid4().hex}")
    part.write_text(json.dumps(data))
    part.replace(file)
