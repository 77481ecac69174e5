"""Workers that train independently and average now and then: simulated in one process, or each in
a process of its own."""

from collections.abc import Hashable
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

import msbench
from msbench.builtin.group import current_group
from msbench.builtin.optimizers.capturing import note_replay, step_kinds
from msbench.builtin.optimizers.inspection import is_steady
from msbench.builtin.optimizers.states import State, load_state, state_of
from msbench.builtin.optimizers.torch_optim import Closure
from msbench.builtin.optimizers.wrappers import Base, parameters, unshared
from msbench.builtin.types import OuterRate, Share, Steps, Workers


class Local(Optimizer):
    """K workers with weights and an inner optimizer of their own; each reads its shard of a batch.

    They meet after every `every` steps: the weights of the last meeting minus the workers' mean are
    the gradient of an outer SGD (with Nesterov momentum, if any), and all go on from its result.
    Evaluation is on the mean of the workers.

    `sent_bytes` counts what all workers together send, their weights once a meeting; training that
    shares every gradient would send as much in each step.

    Where several processes train a trial (`apart`), each is one worker and has nothing of the
    others, and the same numbers are really sent.
    """

    def __init__(
        self,
        model: nn.Module,
        base: Base,
        workers: int,
        every: int,
        outer_lr: float,
        outer_momentum: float,
    ):
        self.group, self.of = current_group(), workers
        self.apart = self.group.size > 1
        if self.apart and workers != self.group.size:
            raise msbench.MsbenchError(
                f"it has {workers} workers, and there are {self.group.size} processes; say workers "
                f"= {self.group.size}"
            )
        self.mine = [self.group.rank] if self.apart else list(range(workers))
        self.bases = [unshared(base(model)) for _ in self.mine]
        super().__init__(self.bases[0].param_groups, {})
        # The workers take turns in the same parameters, which torch would not accept twice.
        self.param_groups = [group for inner in self.bases for group in inner.param_groups]
        self.weights = parameters(self.bases[0])
        self.workers = [[p.detach().clone() for p in self.weights] for _ in self.mine]
        self.met = [nn.Parameter(p.detach().clone()) for p in self.weights]
        nesterov = outer_momentum > 0
        self.outer = SGD(self.met, lr=outer_lr, momentum=outer_momentum, nesterov=nesterov)
        self.every, self.steps, self.sent_bytes = every, 0, 0
        self.steady = all(map(is_steady, self.bases))
        self._evaluates = False

    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        """A step of every worker on its shard; a meeting after every `every` of them."""
        losses = []
        for index, inner, own in zip(self.mine, self.bases, self.workers, strict=True):
            self._seat(own)
            losses.append(inner.step(partial(closure, index, self.of)))  # type: ignore[arg-type]
        self.steps += 1
        if self.steps % self.every == 0:
            self._meet()
            self._count_sent()
        return torch.stack(losses).mean()  # type: ignore[arg-type]

    def step_kind(self) -> Hashable:
        """Whether the workers meet, and the kinds of their own steps."""
        return (self.steps + 1) % self.every == 0, step_kinds(self.bases)

    def note_replay(self) -> None:
        """Count the step, every worker's, and what a meeting sends."""
        for inner in self.bases:
            note_replay(inner)
        self.steps += 1
        if self.steps % self.every == 0:
            self._count_sent()

    def state_dict(self) -> State:
        """Of all workers, their weights included, and of where they met."""
        return state_of(self, [*self.bases, self.outer], ("workers", "steps", "sent_bytes")) | {
            "met": [p.detach() for p in self.met]
        }

    @torch.no_grad()
    def load_state_dict(self, state: State) -> None:
        """Go on from a state, with the weights that belong to it."""
        load_state(self, [*self.bases, self.outer], state)
        torch._foreach_copy_([p.detach() for p in self.met], state["met"])
        self.param_groups = [group for inner in self.bases for group in inner.param_groups]

    @torch.no_grad()
    def _meet(self) -> None:
        for p, mean in zip(self.met, self._mean(), strict=True):
            p.grad = p - mean
        self.outer.step()
        for own in self.workers:
            torch._foreach_copy_(own, [p.detach() for p in self.met])

    def _count_sent(self) -> None:
        size = sum(p.numel() * p.element_size() for p in self.weights)
        self.sent_bytes += size * self.of

    @property
    def spent(self) -> float:
        """Share of the budget that is spent; forwarded to the workers' optimizers that use it."""
        return float(getattr(self.bases[0], "spent", 0.0))

    @spent.setter
    def spent(self, share: float) -> None:
        for inner in self.bases:
            if hasattr(inner, "spent"):
                inner.spent = share

    @torch.no_grad()
    def eval(self) -> None:
        """Put the mean of the workers into the model."""
        if not self._evaluates:
            self._evaluates = True
            self._switch("eval")
            self._seat(self._mean(counted=False))

    def train(self) -> None:
        """Go on with every worker's own weights."""
        self._evaluates = False
        self._switch("train")

    def _switch(self, mode: str) -> None:
        """Switch every worker's optimizer, over that worker's weights; may be called twice."""
        for inner, own in zip(self.bases, self.workers, strict=True):
            self._seat(own)
            getattr(inner, mode, lambda: None)()

    def _mean(self, counted: bool = True) -> list[Tensor]:
        """Of all workers; counted: whether what that sends is a part of training."""
        means = [torch.stack(copies).mean(0) for copies in zip(*self.workers, strict=True)]
        if self.apart:
            self.group.add_up(means, counted)
            torch._foreach_div_(means, self.group.size)
        return means

    def _seat(self, own: list[Tensor]) -> None:
        """Put a worker's weights into the model, without a copy."""
        for p, mine in zip(self.weights, own, strict=True):
            p.data = mine


def local_sgd(model: nn.Module, base: Base, workers: Workers = 4, every: Steps = 8) -> Optimizer:
    """Local SGD: the workers go on from their mean."""
    return Local(model, base, workers, every, outer_lr=1.0, outer_momentum=0.0)


def diloco(
    model: nn.Module,
    base: Base,
    workers: Workers = 4,
    every: Steps = 8,
    outer_lr: OuterRate = 0.7,
    outer_momentum: Share = 0.9,
) -> Optimizer:
    """DiLoCo: the outer optimizer is SGD with Nesterov momentum."""
    return Local(model, base, workers, every, outer_lr, outer_momentum)
