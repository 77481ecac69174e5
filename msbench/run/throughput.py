"""Throughput: strategies timed alone on the machine, in interleaved rounds.

`msbench bench` and the `[throughput]` of a suite differ in their budget alone.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import cast

from msbench.data.batches import evaluation_batches, longest_batch
from msbench.data.task import Batch, Task
from msbench.plugins.registry import Registry
from msbench.records.record import part_data
from msbench.records.schema import (
    DecodingRates,
    LostData,
    MeasurementResults,
    RatesData,
    StrategyData,
    TrainingRates,
)
from msbench.run.competitors import (
    Competitor,
    competitors_of,
    strategy_name,
    timed_prediction,
    timed_steps,
)
from msbench.run.failure import reason_of
from msbench.run.learner import Learner
from msbench.run.load import Load
from msbench.run.meter import Meter
from msbench.run.phases import EVALUATION_BATCH, rounding
from msbench.run.pieces import flops_per_token, matrix_peak, split_of
from msbench.run.rounds import Stop, interleaved
from msbench.run.samples import Sample, Unit, rates_data
from msbench.run.seeds import derive
from msbench.run.trial import BuiltDecoder, build_decoders
from msbench.spec import STRATEGY, Measurement, Throughput, Trial, display_name

FIRST_TOKENS = 3
"""Predictions that the time to the first token is the median of."""

NOTHING = Sample(math.nan, 0, 0)
"""Of a contestant that failed."""

BASELINE, AGAIN = "0", "again"
"""The first contestant; and the same once more: whatever its ratio is, is noise."""


def run_measurement(measurement: Measurement, registry: Registry) -> MeasurementResults:
    """Speed of every strategy, then of every decoder, in rounds that interleave them.

    Each round times every competitor once, in random order, and the baseline twice; the ratio is
    formed within the round, so that a slow minute of the machine slows both sides of it.
    """
    first, how = measurement.strategies[0], measurement.throughput
    task: Task = registry.make_task(first.task, first.model)
    competitors, failed = competitors_of(measurement.strategies, task, registry)
    twins, _ = competitors_of([competitors[0].trial], task, registry)
    load = Load(first.threads)
    steps = {str(place): partial(timed_steps, c, how.steps) for place, c in enumerate(competitors)}
    again = partial(timed_steps, twins[0], how.steps)
    trained, lost = _measured({**steps, AGAIN: again}, how, "tokens")
    failed += [_lost(competitors[int(place)].trial, reason) for place, reason in lost.items()]
    competitors = [each for place, each in enumerate(competitors) if str(place) not in lost]
    decoders = build_decoders(first.decoders, task, registry)
    decoded, undone = _decoded(competitors[0], decoders, task, how) if decoders else ({}, {})
    failed += [
        {"strategy": display_name(decoders[int(place)].part), "reason": reason}
        for place, reason in undone.items()
    ]
    decoders = [each for place, each in enumerate(decoders) if str(place) not in undone]
    results: MeasurementResults = {
        "training": [
            cast(TrainingRates, {"strategy": _strategy_data(c.trial), **rates})
            for c, rates in zip(competitors, _own(trained), strict=True)
        ],
        "decoding": [
            cast(DecodingRates, {"decoder": part_data(decoder.part), **rates})
            for decoder, rates in zip(decoders, _own(decoded), strict=True)
        ],
        "noise": {"training": trained[AGAIN], "decoding": decoded.get(AGAIN)},
        "busy": load.told(),
        "failed": failed,
    }
    if how.details:
        _add_details(results, competitors, decoders, task)
    return results


def _own(rates: Mapping[str, RatesData]) -> list[RatesData]:
    """Of all contestants that are no noise."""
    return [each for name, each in rates.items() if name != AGAIN]


def _measured(
    contestants: Mapping[str, Callable[[], Sample]], how: Throughput, unit: Unit, warm_up: int = 0
) -> tuple[dict[str, RatesData], dict[str, str]]:
    """(the rates of each, the baseline's first; of those that failed in some round, why).

    Without the baseline there is nothing to measure, so what it raises is raised.
    """
    stop, lost = Stop(how.seconds, how.narrow), dict[str, str]()

    def guarded(name: str, contest: Callable[[], Sample]) -> Sample:
        if name in lost:
            return NOTHING
        try:
            return contest()
        except Exception as error:
            if name in (BASELINE, AGAIN):
                raise
            lost[name] = reason_of(error)
            return NOTHING

    def enough(samples: Mapping[str, Sequence[Sample]]) -> bool:
        left = {name: each for name, each in samples.items() if name not in lost}
        return stop.enough({n: [s.rate(unit) for s in each] for n, each in left.items()})

    samples = interleaved(
        {name: partial(guarded, name, contest) for name, contest in contestants.items()},
        how.rounds,
        warm_up=warm_up,
        seed=derive(how.steps, f"rounds of {unit}"),
        enough=enough,
    )
    left = {name: each for name, each in samples.items() if name not in lost}
    return {name: rates_data(each, left[BASELINE], unit) for name, each in left.items()}, lost


def _lost(trial: Trial, reason: str) -> LostData:
    return {"strategy": strategy_name(trial), "reason": reason}


def _decoded(
    trained: Competitor, decoders: Sequence[BuiltDecoder], task: Task, how: Throughput
) -> tuple[dict[str, RatesData], dict[str, str]]:
    """As `_measured`, of each decoder, with the model of the baseline."""
    learner, batch = trained.learner, _evaluated(task)
    learner.mode(training=False)
    for decoder in decoders:
        learner.calibrate(decoder.decode)
    predictions = {
        str(place): partial(timed_prediction, learner, decoder.decode, batch, trained.energy)
        for place, decoder in enumerate(decoders)
    }
    return _measured({**predictions, AGAIN: predictions[BASELINE]}, how, "examples", warm_up=1)


def _add_details(
    results: MeasurementResults,
    competitors: Sequence[Competitor],
    decoders: Sequence[BuiltDecoder],
    task: Task,
) -> None:
    """Where time goes, of every strategy and decoder; when all rounds are over, since these steps
    are watched."""
    learner = competitors[0].learner
    for decoded, decoder in zip(results["decoding"], decoders, strict=True):
        with suppress(Exception):
            decoded["first_token_seconds"] = _first_token(learner, decoder, _evaluated(task))
    results["matrix_peak"] = peak = matrix_peak(learner)
    for trained, each in zip(results["training"], competitors, strict=True):
        with suppress(Exception):  # rates are worth more than where the time goes
            _add_step(trained, each, task, peak)


def _add_step(trained: TrainingRates, each: Competitor, task: Task, peak: float) -> None:
    """peak: what the device can do, in operations per second."""
    each.learner.mode(training=True)
    operations = flops_per_token(each.learner, each.batches) * trained["per_second"]
    longest = longest_batch(task.train, each.trial.training.batch_size, rounding(each.trial))
    trained["setup_seconds"] = each.setup_seconds
    trained["first_step_seconds"] = each.first_step_seconds
    trained["flops_per_second"] = operations
    trained["peak_share"] = operations / peak
    trained["peak_memory"] = each.learner.peak_memory(longest)
    trained["step"] = split_of(each.learner, each.batches)


def _first_token(learner: Learner, decoder: BuiltDecoder, batch: Batch) -> float:
    """Seconds, of decoders that stream."""
    if not decoder.streams:
        return math.nan
    meter, seconds = Meter(learner.synchronize), []
    for _ in range(FIRST_TOKENS):
        learner.predict(batch, decoder.decode, meter)
        seconds.append(meter.first_token())
    return statistics.median(seconds)


def _evaluated(task: Task) -> Batch:
    """What is predicted."""
    return evaluation_batches(task.test, EVALUATION_BATCH)[0]


def _strategy_data(trial: Trial) -> StrategyData:
    parts = {axis: part_data(getattr(trial, axis)) for axis in STRATEGY}
    return cast(StrategyData, {**parts, "tuned": trial.tuned and asdict(trial.tuned)})
