"""Optimizers: what a step does to weights, and what it costs.

Those of other frameworks than torch are checked by what their learner tells.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from msbench.builtin.optimizers.inspection import check_complete
from msbench.checks.findings import Skipped, Wrong
from msbench.checks.learning import learns as learns
from msbench.checks.learning import same_training, stands_still_at_rate_0, trained
from msbench.checks.reference import follow_reference
from msbench.checks.subject import Subject
from msbench.checks.walk import STEPS, Walk, check_finite, differ, distance, small_model

ENOUGH = 0.95
"""Share of the numbers with a gradient that have to move: some methods leave a few alone."""


def can_be_made(subject: Subject) -> str:
    """For a very small model it gives an optimizer of all its weights, in groups."""
    if not subject.is_torch:
        subject.learner(subject.kinds[0])
        return ""
    model = small_model()
    optimizer = subject.make(model)
    for needed in ("step", "zero_grad", "param_groups"):
        if not hasattr(optimizer, needed):
            raise Wrong(f"its factory returns {type(optimizer).__name__}, which has no {needed!r}")
    check_complete(model, optimizer)
    rated = all("lr" in group for group in optimizer.param_groups)
    return "" if rated else "a group has no rate 'lr', so no schedule has an effect on it"


def asks_before_it_reads(subject: Subject) -> None:
    """It reads gradients only after it has called the closure, which computes them.

    Before that they are those of an earlier step, or there are none: a SAM that reads them first
    trains something else without a word. Here they are not numbers."""
    walk = _torchs(subject)
    walk.go(2)
    for p in walk.model.parameters():
        p.grad = torch.full_like(p, torch.nan)
    walk.go(1)
    if not all(bool(p.isfinite().all()) for p in walk.model.parameters()):
        raise Wrong(
            "it reads gradients before it calls the closure in a step, so they are old ones; begin "
            "step(closure) with loss = closure()"
        )


def moves_every_weight(subject: Subject) -> None:
    """After some steps every number that had a gradient has moved.

    One that skips some weights is faster, and may even look better for a while."""
    walk = _torchs(subject)
    before = walk.weights()
    after = walk.go(STEPS).evaluated()
    check_finite(after, f"after {STEPS} steps with default options")
    moved = total = 0
    for (name, _), old, new, reached in zip(
        walk.model.named_parameters(), before, after, walk.reached, strict=True
    ):
        own, of = int((reached & (old != new)).sum()), int(reached.sum())
        if of and not own:
            raise Wrong(f"{name!r} had gradients in {STEPS} steps and has never moved")
        moved, total = moved + own, total + of
    if moved < ENOUGH * total:
        raise Wrong(f"only {moved} of {total} numbers with a gradient moved in {STEPS} steps")


def takes_the_passes_it_declares(subject: Subject) -> str:
    """Backward passes, counted from outside at the model, are as many a step as `passes` says.

    Those that it makes beside its closure count, too. Where steps differ, `passes` lies between
    the cheapest and the dearest."""
    walk, counts = _torchs(subject), []
    for _ in range(STEPS):
        before = walk.passes
        walk.go()
        counts.append(round(walk.passes - before, 6))
    declared, low, high = float(subject.entry.passes), min(counts), max(counts)
    if not walk.asked:
        raise Wrong("it takes steps without calling its closure, so without a gradient")
    if low - 1e-6 <= declared <= high + 1e-6:
        return "" if low == high else f"{low:g} to {high:g} passes a step"
    seen = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    beside = sum(counts) - walk.asked
    hint = f", {beside / STEPS:g} of them beside its closure" if beside > 1e-6 else ""
    raise Wrong(f"a step takes {seen} passes{hint}; it is registered with passes={declared:g}")


def repeats_itself(subject: Subject) -> None:
    """From the same start it goes the same way, to the last bit."""
    if not subject.is_torch:
        same_training(subject)
        return
    if differ(_torchs(subject).go(STEPS).evaluated(), _torchs(subject).go(STEPS).evaluated()):
        raise Wrong(
            "two runs from the same start and seed differ: it keeps something outside of itself, "
            "or draws from a generator that nobody seeds"
        )


def leaves_frozen_weights(subject: Subject) -> None:
    """Weights with `requires_grad = False` stay, whatever decay does to others."""
    _needs_torch(subject)
    model = small_model()
    frozen = model.get_parameter("hidden.weight").requires_grad_(False)
    walk, before = Walk(subject.make, model), frozen.clone()
    walk.go(5)
    if differ([frozen], [before]):
        raise Wrong("it moved a weight with requires_grad = False; leave such weights out")


def stands_still_at_rate_zero(subject: Subject) -> None:
    """With every rate set to 0 from the start, nothing moves: decay and averages obey it, too.

    What moves at rate 0 does not follow the schedule."""
    if not subject.is_torch:
        stands_still_at_rate_0(subject)
        return
    walk = _rated(subject)
    before = walk.weights()
    walk.set_rate(0.0)
    walk.go(10)
    if differ(walk.evaluated(), before) or differ(walk.weights(), before):
        raise Wrong(
            f"with lr = 0 in all groups it moved by {distance(walk.weights(), before):.2g}; every "
            f"change of a weight, decay included, must be in proportion to group['lr']"
        )


def obeys_its_rate(subject: Subject) -> None:
    """It reads `group["lr"]` in every step: a tenth of the rate leads elsewhere, and less far.

    One that keeps the rate it was made with ignores every schedule."""
    full, tenth = _rated(subject), _rated(subject)
    start = full.weights()
    tenth.set_rate(0.1)
    far, near = (distance(each.go(10).weights(), start) for each in (full, tenth))
    if far == near:
        raise Wrong(
            "a tenth of group['lr'] changes nothing: it keeps the rate that it was made with"
        )
    if near > far:
        raise Wrong(f"a tenth of group['lr'] leads farther ({near:.2g}) than all of it ({far:.2g})")


def obeys_its_groups(subject: Subject) -> None:
    """With rate 0 in one of its groups, the weights of that one stay and the others move."""
    walk = _rated(subject)
    first = {id(p) for p in walk.optimizer.param_groups[0]["params"]}
    held = {id(p) for group in walk.optimizer.param_groups for p in group["params"]}
    if first == held:
        raise Skipped("it has one group")
    for group in walk.optimizer.param_groups:
        if id(group["params"][0]) in first:
            group["lr"] = 0.0
    before = walk.weights()
    walk.go(5)
    walk.switch("eval")
    moved = {
        id(p) in first
        for p, old in zip(walk.model.parameters(), before, strict=True)
        if differ([p.detach()], [old])
    }
    if moved != {False}:
        what = "moved that group, too" if True in moved else "moved nothing"
        raise Wrong(f"with lr = 0 in its first group alone it {what}")


def evaluates_without_a_trace(subject: Subject) -> None:
    """`eval()` and `train()` after every step change nothing of training, to the last bit.

    Otherwise validating more often would be another method."""
    walk = _torchs(subject)
    if not (hasattr(walk.optimizer, "eval") or hasattr(walk.optimizer, "train")):
        raise Skipped("it has neither train() nor eval()")
    for _ in range(STEPS):
        walk.go()
        for mode in ("eval", "eval", "train", "train"):
            walk.switch(mode)
    if differ(walk.evaluated(), _torchs(subject).go(STEPS).evaluated()):
        raise Wrong(
            "eval() and train() after every step lead elsewhere; keep the trained weights aside in "
            "eval() and copy them back in train()"
        )


def goes_on_from_its_state(subject: Subject) -> None:
    """`state_dict()` in mid-training, loaded by another instance, goes on to the last bit.

    Averages, counters and the state of a base belong to it."""
    _needs_torch(subject)
    # In single precision: torch's optimizers keep some of their state in it whatever weights have.
    walk, other = (Walk(subject.make, small_model().float()) for _ in range(2))
    walk.go(STEPS // 2)
    other.model.load_state_dict(walk.model.state_dict())
    other.optimizer.load_state_dict(deepcopy(walk.optimizer.state_dict()))
    other.taken = walk.taken
    ends = []
    for each in (walk, other):
        torch.manual_seed(0)  # what an optimizer draws is no part of its state
        ends.append(each.go(STEPS // 2).evaluated())
    if differ(*ends):
        raise Wrong(
            "another instance that loads its state_dict() goes on differently: something that it "
            "keeps (an average, a counter, its base's state) is not in there"
        )


def accumulates(subject: Subject) -> None:
    """A batch in three parts, whose gradients are added up, leads where the whole batch does."""
    kind = subject.kinds[0]
    exact: dict[str, Any] = {"dtype": "float64"} if subject.is_torch else {}
    whole, parts = (
        trained(subject.learner(kind, accumulate=number, **exact), 3) for number in (1, 3)
    )
    apart = abs(whole - parts)
    near, far = 1e-6 * abs(whole), 2e-3 * abs(whole)
    # In double precision nearer, but where chance leads away: rounding chooses among equal
    # eigenvalues, or the sign of what is 0, and what is drawn is drawn otherwise for parts.
    strict = subject.is_torch and apart > near and apart > 10 * _by_chance(subject, whole)
    if apart > far or strict:
        raise Wrong(
            f"after 3 steps the loss is {whole:.6g}, and {parts:.6g} where each batch is read in 3 "
            f"parts: what it computes beside the closure does not see the whole batch"
        )


def _by_chance(subject: Subject, loss: float) -> float:
    """How far from that loss of `accumulates` weights lead that differ in the twelfth digit, and
    other random numbers."""
    found = []
    for seed in range(3):
        learner = subject.learner(subject.kinds[0], dtype="float64")
        draw = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for p in learner.model.parameters():
                p.mul_(1 + 1e-12 * torch.randn(p.shape, generator=draw, dtype=p.dtype))
        torch.manual_seed(seed)
        found.append(abs(trained(learner, 3) - loss))
    return max(found)


def descends_a_bowl(subject: Subject) -> None:
    """On a quadratic bowl without noise, its default options lead downhill."""
    _needs_torch(subject)
    bowl = Bowl()
    optimizer = subject.make(bowl)
    getattr(optimizer, "train", lambda: None)()
    start = float(bowl.height().detach())

    def closure(*shard: int, **how: Any) -> Tensor:
        optimizer.zero_grad()
        with torch.enable_grad():
            height = bowl.height()
            height.backward(create_graph=bool(how.get("create_graph")))  # type: ignore[no-untyped-call]
        return height.detach()

    for step in range(60):
        if hasattr(optimizer, "spent"):
            optimizer.spent = step / 60
        optimizer.step(closure)
    getattr(optimizer, "eval", lambda: None)()
    end = float(bowl.height().detach())
    if not end < start:
        raise Wrong(f"60 steps lead from height {start:.4g} to {end:.4g}: uphill, or much too far")


def equals_its_reference(subject: Subject) -> str:
    """Its steps are those of another implementation, or of its paper, in double precision.

    Compared with `--reference`, or with what its name promises: of a name that ends in `-adamw`,
    torch's AdamW with the same options. A bias correction that is off by one step is found here."""
    _needs_torch(subject)
    return follow_reference(subject)


CHECKS: tuple[Callable[[Subject], Any], ...] = (
    can_be_made,
    asks_before_it_reads,
    moves_every_weight,
    takes_the_passes_it_declares,
    repeats_itself,
    leaves_frozen_weights,
    stands_still_at_rate_zero,
    obeys_its_rate,
    obeys_its_groups,
    evaluates_without_a_trace,
    goes_on_from_its_state,
    accumulates,
    descends_a_bowl,
    learns,
    equals_its_reference,
)


class Bowl(nn.Module):
    """A matrix and a vector, at the lowest point where both are 0; curvatures from 0.1 to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 1.5, 16).double().view(4, 4))
        self.bias = nn.Parameter(torch.linspace(-1.5, -0.5, 4).double())

    def height(self) -> Tensor:
        flat = torch.cat([self.weight.flatten(), self.bias])
        return 0.5 * (torch.linspace(0.1, 1.0, 20).double() * flat**2).sum()


def _needs_torch(subject: Subject) -> None:
    if not subject.is_torch:
        raise Skipped(f"of {subject.framework}'s optimizers only what the learner tells is checked")


def _torchs(subject: Subject) -> Walk:
    """A new walk of the optimizer."""
    _needs_torch(subject)
    return Walk(subject.make)


def _rated(subject: Subject) -> Walk:
    """A new walk of an optimizer whose groups have rates."""
    walk = _torchs(subject)
    if None in walk.rates:
        raise Skipped("a group has no rate 'lr', so no schedule has an effect on it")
    return walk
