"""A trial on several processes, its ranks: each is forked, and one record tells of them all.

Every rank does the same work on its share of each batch; the learner adds up. Where `torchrun` has
started the ranks already, each process is one of them, and nothing is forked.
"""

import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from signal import SIGKILL
from typing import NoReturn

from msbench.descendants import end_with_parent
from msbench.errors import MsbenchError
from msbench.records.record import Record, record
from msbench.run.device import machine
from msbench.run.failure import signal_name
from msbench.spec import Job, Trial

LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
"""The network interface over which processes of one machine talk."""

GOOD = ("ok", "diverged", "pruned")
"""How a rank ends that did its part."""


def ranks_of(job: Job) -> int:
    """On how many processes a job trains that are still to be started."""
    return job.processes if isinstance(job, Trial) and "RANK" not in os.environ else 1


def check_alone() -> None:
    """MsbenchError in one of several processes that `torchrun` has started: each would be a driver
    and do other trials."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise MsbenchError(
            "torchrun has started several processes, and each would run the suite: say torchrun "
            "-m msbench run SUITE, where one of them does, or call msbench.run_job in all of them"
        )


def rank() -> int:
    """The number of this process among those of its trial, from 0."""
    return int(os.environ.get("RANK", "0"))


def is_main() -> bool:
    """Whether this process is the one of its trial that decodes and leaves the record."""
    return rank() == 0


@dataclass(eq=False)
class Rank:
    """A process that was forked."""

    number: int
    process: int
    pipe: Connection
    """Where its record comes from."""


def in_ranks(job: Job, run: Callable[[], Record]) -> Record:
    """The record of `run` in the first rank, or that of the first rank to fail, which ends all."""
    if not hasattr(os, "fork"):
        raise MsbenchError("a trial on several processes needs a system that can fork")
    with tempfile.TemporaryDirectory(prefix="msbench-ranks-") as folder:
        told = {
            "WORLD_SIZE": str(ranks_of(job)),
            "MSBENCH_RENDEZVOUS": f"file://{Path(folder) / 'meeting'}",
            "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", LOOPBACK),
        }
        ranks = [_start(number, told, run) for number in range(ranks_of(job))]
        made: dict[int, Record] = {}
        try:
            for rank, each in _records(job, ranks):
                if each.status not in GOOD:
                    reason = f"rank {rank.number} of {len(ranks)}: {each.reason}"
                    return record(job, each.status, reason, machine=machine())
                made[rank.number] = each
        finally:
            for rank in ranks:
                _end(rank)
    return made[0]


def _start(number: int, told: Mapping[str, str], run: Callable[[], Record]) -> Rank:
    """Fork a rank, which is told who it is in the variables that `torchrun` uses."""
    ours, theirs = Pipe(duplex=False)
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if not process:
        end_with_parent()
        ours.close()
        os.environ.update({**told, "RANK": str(number), "LOCAL_RANK": str(number)})
        _be(run, theirs)
    theirs.close()
    return Rank(number, process, ours)


def _be(run: Callable[[], Record], pipe: Connection) -> NoReturn:
    code = 1
    try:
        pipe.send_bytes(run().to_json().encode())
        code = 0
    except BaseException:
        traceback.print_exc()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _records(job: Job, ranks: list[Rank]) -> Iterator[tuple[Rank, Record]]:
    """What ranks tell, in the order in which they end; of one that died, how.

    Of several at once those that died come first: the others have failed since.
    """
    left = {rank.pipe: rank for rank in ranks}
    while left:
        ended = [left.pop(pipe) for pipe in wait(list(left))]  # type: ignore[call-overload]
        told = [(rank, _record(job, rank)) for rank in ended]
        yield from sorted(told, key=lambda each: each[1].status != "crashed")


def _record(job: Job, rank: Rank) -> Record:
    try:
        return Record.from_json(rank.pipe.recv_bytes())
    except (EOFError, OSError, ValueError):
        return record(job, "crashed", _death(rank), machine=machine())


def _death(rank: Rank) -> str:
    """How a rank ended that told nothing."""
    _, status = os.waitpid(rank.process, 0)
    rank.process = 0
    code = os.waitstatus_to_exitcode(status)
    return f"killed by signal {signal_name(-code)}" if code < 0 else f"ended with exit code {code}"


def _end(rank: Rank) -> None:
    rank.pipe.close()
    if rank.process:
        with suppress(ProcessLookupError):
            os.kill(rank.process, SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(rank.process, 0)
