"""Strategies and decoders that are ready to be timed, and one round of each."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from msbench.data.task import Batch, Task
from msbench.plugins.registry import Registry
from msbench.records.schema import LostData
from msbench.run.clock import Clock
from msbench.run.energy import Energy
from msbench.run.failure import reason_of
from msbench.run.learner import Decoder, Learner
from msbench.run.phases import trial_batches
from msbench.run.samples import Sample
from msbench.run.trial import make_learner
from msbench.spec import Trial, display_name

WARM_UP = 2
"""Steps after the first one, before anything is timed."""

STRETCH, PREPARED = 32, 20
"""Steps without anything new to compile or capture that are enough, and attempts at it."""

GENTLE = 0.01
"""Factor on the rates of timed steps: it makes none slower, and without a schedule's warm-up some
of the best rates would not last through them."""


@dataclass(frozen=True)
class Competitor:
    """A strategy that can be timed."""

    trial: Trial
    learner: Learner
    batches: Iterator[Batch]
    setup_seconds: float
    """Until the learner was there."""
    first_step_seconds: float
    """Of the first step of all, which compiles whatever is compiled."""
    energy: Energy = field(repr=False)


def competitors_of(
    trials: Sequence[Trial], task: Task, registry: Registry
) -> tuple[list[Competitor], list[LostData]]:
    """(strategies, warmed up; those that cannot be timed, and why). Raises what the last one raised
    if none can."""
    competitors: list[Competitor] = []
    failed: list[LostData] = []
    for trial in trials:
        try:
            competitors.append(competitor(trial, task, registry))
        except Exception as error:
            failed.append({"strategy": strategy_name(trial), "reason": reason_of(error)})
            if len(failed) == len(trials):
                raise
    return competitors, failed


def strategy_name(trial: Trial) -> str:
    """What a strategy is called where it could not be timed."""
    return " ".join(map(display_name, (trial.loss, trial.optimizer)))


def competitor(trial: Trial, task: Task, registry: Registry) -> Competitor:
    """The strategy of a trial, warmed up.

    Speed is that of the strategy itself, not of a phase that all of them begin with.
    """
    batches, setup, first = trial_batches(trial, task), Clock(), Clock()
    with setup.running():
        learner = make_learner(replace(trial, phases=()), task, registry)
    learner.mode(training=True)
    learner.set_rate(GENTLE, 0.0)
    batch = next(batches)
    with first.running():
        learner.train_step(batch)
        learner.synchronize()
    made = Competitor(trial, learner, batches, setup.seconds, first.seconds, Energy(trial.device))
    timed_steps(made, WARM_UP)
    _prepare(made)
    return made


def _prepare(each: Competitor) -> None:
    """Steps until no more shapes and kinds of steps are compiled or captured: rounds time none."""
    for _ in range(PREPARED if each.trial.training.modes else 0):
        before = each.learner.prepared().seconds
        timed_steps(each, STRETCH)
        if each.learner.prepared().seconds == before:
            return


def timed_steps(each: Competitor, steps: int) -> Sample:
    """So many steps, with drawing their batches; every one must have read a whole batch and
    learned, or ValueError says that there is nothing to measure."""
    learner, clock = each.learner, Clock(each.learner.synchronize)
    tokens, sizes, joules = 0, list[int](), 0.0
    before = learner.checksum()
    for _ in range(steps):
        each.energy.joules()
        with clock.running():
            batch = next(each.batches)
            learner.train_step(batch)
        joules += each.energy.joules()
        tokens += batch.tokens
        sizes.append(len(batch.rows))
        after = learner.checksum()
        if after == before or not math.isfinite(after):
            raise ValueError(
                "a timed step left every weight as it was, or made one infinite: nothing to measure"
            )
        before = after
    if len(set(sizes)) > 1:
        raise ValueError(f"timed batches of unequal sizes {set(sizes)}: nothing was measured")
    return Sample(clock.seconds, tokens, sum(sizes), joules)


def timed_prediction(learner: Learner, decoder: Decoder, batch: Batch, energy: Energy) -> Sample:
    """The prediction of one batch."""
    clock = Clock(learner.synchronize)
    energy.joules()
    with clock.running():
        outputs = learner.predict(batch, decoder)
    joules = energy.joules()
    written = [len(each) if isinstance(each, Sequence) else 1 for each in outputs]
    return Sample(clock.seconds, sum(written), len(batch.rows), joules)
