"""Throughput: strategies timed alone on the machine, in interleaved rounds."""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import cast

from msbench.data.batches import evaluation_batches
from msbench.data.task import Batch, Task
from msbench.plugins.registry import Registry
from msbench.records.record import part_data
from msbench.records.schema import LostData, MeasurementResults, RatesData, StrategyData
from msbench.run.clock import Clock
from msbench.run.failure import reason_of
from msbench.run.learner import Decoder, Learner
from msbench.run.trial import EVALUATION_BATCH, build_decoders, make_learner, trial_batches
from msbench.spec import STRATEGY, Measurement, Trial

WARM_UP = 3
"""Steps before anything is timed."""

GENTLE = 0.01
"""Factor on the rates of timed steps: it makes none slower, and without a schedule's warm-up some
of the best rates would not last through them."""

Timing = tuple[float, int]
"""Seconds, and how many units were done in them."""


@dataclass(frozen=True)
class _Competitor:
    """A strategy that can be timed."""

    trial: Trial
    learner: Learner
    batches: Iterator[Batch]


def run_measurement(measurement: Measurement, registry: Registry) -> MeasurementResults:
    """Speed of every strategy, then of every decoder, in rounds that interleave them.

    Each round times every competitor once, in an order that rotates; the ratio is formed within
    the round, so that a slow minute of the machine slows both sides of it.
    """
    first, rounds = measurement.strategies[0], measurement.throughput.rounds
    task: Task = registry.build("task", first.task)()
    competitors, failed = _competitors(measurement.strategies, task, registry)
    steps = [
        partial(_timed_steps, each.learner, each.batches, measurement.throughput.steps)
        for each in competitors
    ]
    trained = _rounds(steps, rounds)
    learner = competitors[0].learner
    learner.mode(training=False)
    batch = evaluation_batches(task.test, EVALUATION_BATCH)[0]
    decoders = build_decoders(first.decoders, task, registry)
    for decoder in decoders:
        learner.calibrate(decoder.decode)
    predictions = [
        partial(_timed_prediction, learner, decoder.decode, batch) for decoder in decoders
    ]
    _rounds(predictions, 1)
    decoded = _rounds(predictions, rounds)
    return {
        "training": [
            {"strategy": _strategy_data(each.trial), **_rates(mine, trained[0])}
            for each, mine in zip(competitors, trained, strict=True)
        ],
        "decoding": [
            {"decoder": part_data(decoder.part), **_rates(mine, decoded[0])}
            for decoder, mine in zip(decoders, decoded, strict=True)
        ],
        "failed": failed,
    }


def _competitors(
    trials: Sequence[Trial], task: Task, registry: Registry
) -> tuple[list[_Competitor], list[LostData]]:
    """(strategies, warmed up; those that cannot be timed, and why). Raises what the last one raised
    if none can."""
    competitors: list[_Competitor] = []
    failed: list[LostData] = []
    for trial in trials:
        batches = trial_batches(trial, task)
        try:
            # Speed is that of the strategy itself, not of a phase that all of them begin with.
            learner = make_learner(replace(trial, phases=()), task, registry)
            learner.mode(training=True)
            learner.set_rate(GENTLE, 0.0)
            _timed_steps(learner, batches, WARM_UP)
        except Exception as error:
            names = (part.label or part.name for part in (trial.loss, trial.optimizer))
            failed.append({"strategy": " ".join(names), "reason": reason_of(error)})
            if len(failed) == len(trials):
                raise
        else:
            competitors.append(_Competitor(trial, learner, batches))
    return competitors, failed


def _rounds(contests: Sequence[Callable[[], Timing]], rounds: int) -> list[list[Timing]]:
    """Per contestant its (seconds, units) per round; the order rotates from round to round."""
    times: list[list[Timing]] = [[] for _ in contests]
    for number in range(rounds):
        for place in range(len(contests)):
            index = (place + number) % len(contests)
            times[index].append(contests[index]())
    return times


def _timed_steps(learner: Learner, batches: Iterator[Batch], steps: int) -> Timing:
    """(seconds, tokens) of so many steps; every one must have read a whole batch and learned."""
    clock, tokens, sizes = Clock(learner.synchronize), 0, set()
    before = learner.checksum()
    for _ in range(steps):
        batch = next(batches)
        with clock.running():
            learner.train_step(batch)
        tokens += batch.tokens
        sizes.add(len(batch.rows))
        after = learner.checksum()
        if after == before or not math.isfinite(after):
            raise ValueError(
                "a timed step left every weight as it was, or made one infinite: nothing to measure"
            )
        before = after
    if len(sizes) > 1:
        raise ValueError(f"timed batches of unequal sizes {sizes}: nothing was measured")
    return clock.seconds, tokens


def _timed_prediction(learner: Learner, decoder: Decoder, batch: Batch) -> Timing:
    """(seconds, examples) of one batch."""
    clock = Clock(learner.synchronize)
    with clock.running():
        learner.predict(batch, decoder)
    return clock.seconds, len(batch.rows)


def _rates(mine: Sequence[Timing], base: Sequence[Timing]) -> RatesData:
    """Median units per second, and the ratio to the baseline round by round."""
    rates = [units / seconds for seconds, units in mine]
    ratios = [r / (units / seconds) for r, (seconds, units) in zip(rates, base, strict=True)]
    return {"per_second": statistics.median(rates), "rates": rates, "ratios": ratios}


def _strategy_data(trial: Trial) -> StrategyData:
    parts = {axis: part_data(getattr(trial, axis)) for axis in STRATEGY}
    return cast(StrategyData, {**parts, "tuned": trial.tuned and asdict(trial.tuned)})
