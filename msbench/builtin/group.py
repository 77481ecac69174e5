"""The processes that train one model together: what they add up, and what that sends.

Of torch's own `DistributedDataParallel` nothing is used: it averages gradients whatever their
number of target units, and knows one forward pass a step, where losses generate and optimizers take
several passes.
"""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed
from torch import Tensor

from msbench import Batch, MsbenchError

RENDEZVOUS = "MSBENCH_RENDEZVOUS"
"""The variable that says where the processes of a trial find each other; without it, they ask what
`torchrun` told them."""

LINK = "MSBENCH_LINK"
"""The variable that slows what is sent: `0.02 1e7` for 20 ms a message and 10 MB/s. For measuring
what slow links cost, on one machine."""

PATIENCE = timedelta(minutes=30)
"""How long one process waits for the others; whoever started them ends them sooner if one dies."""


@dataclass(eq=False)
class Group:
    """All processes of a trial, seen by one of them."""

    rank: int = 0
    size: int = 1
    sent_bytes: int = 0
    """What this one has given to be added up so far."""
    delay: float = 0.0
    """Seconds that every message takes longer."""
    bandwidth: float = float("inf")
    """Bytes a second."""

    def share_of(self, batch: Batch) -> Batch:
        """The examples that are this process's; there may be none."""
        return batch.shard(self.rank, self.size)

    def add_gradients(
        self, weights: Sequence[Tensor], sums: Tensor, units: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Add up the weights' gradients, and what the loss summed and over how many units.

        A weight that has no gradient in any process has none afterwards.
        """
        like = weights[0]
        has = torch.tensor([float(p.grad is not None) for p in weights]).to(like)
        told = torch.stack([sums.to(like), units.to(like)])
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in weights]
        self.add_up([*gradients, has, told])
        for weight, gradient, there in zip(weights, gradients, has.tolist(), strict=True):
            weight.grad = gradient if there else None
        return told[0], told[1]

    @torch.no_grad()
    def add_up(self, tensors: Iterable[Tensor], counted: bool = True) -> None:
        """Replace tensors, of the same shapes in every process, by their sums over all of them.

        Those of one dtype travel as one message. counted: whether that is a part of training.
        """
        messages: dict[torch.dtype, list[Tensor]] = {}
        for tensor in tensors:
            messages.setdefault(tensor.dtype, []).append(tensor)
        for parts in messages.values():
            message = torch.cat([part.reshape(-1) for part in parts])
            torch.distributed.all_reduce(message)
            if counted:
                self.count(message)
            sums = torch.split(message, [part.numel() for part in parts])
            for part, summed in zip(parts, sums, strict=True):
                part.copy_(summed.view_as(part))

    def count(self, message: Tensor) -> None:
        """Count what was sent, and wait as long as a slower link would have taken."""
        size = message.numel() * message.element_size()
        self.sent_bytes += size
        if wait := self.delay + size / self.bandwidth:
            time.sleep(wait)

    @contextmanager
    def own_randomness(self, device: torch.device) -> Iterator[None]:
        """What is drawn inside differs from process to process, as dropout on different examples
        has to. Afterwards generators are alike in all of them again, whatever was drawn."""
        seed = int(torch.randint(2**31, ())) + self.rank
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield

    def total(self, *numbers: float, device: torch.device) -> list[float]:
        """Sums over all processes of what is told about training; not counted as sent."""
        if self.size == 1:
            return list(numbers)
        message = torch.tensor(numbers, dtype=torch.float64, device=device)
        torch.distributed.all_reduce(message)
        found: list[float] = message.tolist()
        return found

    def told_by_all(self, number: float, device: torch.device) -> list[float]:
        """What each process says, by its rank; not counted as sent."""
        return self.total(
            *(number * (rank == self.rank) for rank in range(self.size)), device=device
        )


ALONE = Group()

_joined = ALONE


def current_group() -> Group:
    """The group of this process; of one that trains by itself, `ALONE`."""
    return _joined


@contextmanager
def as_if(processes: int) -> Iterator[None]:
    """Inside, parts are made as in the first of so many processes; nothing can be sent."""
    global _joined
    before, _joined = _joined, Group(0, processes)
    try:
        yield
    finally:
        _joined = before


@dataclass(frozen=True)
class SumOfAll:
    """A number that every process has a part of: added up when it is read, by all at once."""

    part: Tensor
    group: Group

    def __float__(self) -> float:
        return self.group.total(float(self.part), device=self.part.device)[0]


def device_of(device: str, processes: int) -> torch.device:
    """That of this process: of several on GPUs, each has its own."""
    if processes > 1 and device == "cuda":
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device(device)


def join(processes: int, device: torch.device) -> Group:
    """The group of a trial of so many processes; waits until all of them are there.

    MsbenchError unless this process was started as one of them.
    """
    global _joined
    if processes == 1:
        return ALONE
    if _joined.size == processes:
        return _joined
    told = os.environ.get("WORLD_SIZE", "1"), os.environ.get("RANK", "")
    if told[0] != str(processes) or not told[1]:
        raise MsbenchError(
            f"this trial is for {processes} processes, and was started in {told[0]}: `msbench run` "
            f"starts them itself, or by torchrun --nproc-per-node {processes}"
        )
    torch.distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=os.environ.get(RENDEZVOUS, "env://"),
        rank=int(told[1]),
        world_size=processes,
        timeout=PATIENCE,
    )
    delay, bandwidth = os.environ.get(LINK, "0 inf").split()
    _joined = Group(int(told[1]), processes, delay=float(delay), bandwidth=float(bandwidth))
    return _joined
