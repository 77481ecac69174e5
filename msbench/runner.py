"""Trial -> Record, trained or decoded again, and Measurement -> Record: what a worker does."""

import math
import random
import statistics
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from msbench.clock import Clock
from msbench.decode import decode
from msbench.device import machine
from msbench.errors import MsbenchError
from msbench.learner import Decoder, Learner
from msbench.options import supplied
from msbench.plugins import Registry, load_plugins, parts_in
from msbench.spec import Job, Kind, Measurement, Part, Record, Status, Trial, record
from msbench.streams import derive, stream
from msbench.task import Batch, Task, evaluation_batches, training_batches
from msbench.train import Run, train
from msbench.weights import keep

EVALUATION_BATCH = 64
Made = tuple[Part, Decoder, bool]
"""A decoder, and whether it streams."""

WARM_UP = 3
"""Steps before anything is timed."""

GENTLE = 0.01
"""Factor on the rates of timed steps: none is slower for it, and without a schedule's warm-up some
of the best rates would not last through them."""


Outcome = tuple[Status, str, dict[str, Any]]
"""Status, reason and results."""


def run(job: Job, files: Sequence[str] = (), weights: Path | None = None) -> Record:
    """Do one job and say how it ended. Only the death of the process gets out of here.

    files: plugin files to load besides what is installed. weights: the folder that a trial leaves
    its weights in; without it, it leaves none.
    """

    def work(registry: Registry) -> Outcome:
        if not isinstance(job, Trial):
            assert isinstance(job, Measurement)
            return "ok", "", run_measurement(job, registry)
        learner, results = run_trial(job, registry)
        if diverged := results["training"]["diverged"]:
            return "diverged", diverged, results
        lost = "" if weights is None or job.is_search else keep(learner, weights, job.key)
        return "ok", lost, results

    return _recorded(job, files, work)


def run_again(job: Job, weights: Mapping[str, Path], files: Sequence[str] = ()) -> Record:
    """Measure the decoders of a trial on weights that are trained already: those at its key.

    `decoding` is all that the record has for results.
    """

    def work(registry: Registry) -> Outcome:
        assert isinstance(job, Trial)
        return "ok", "", {"decoding": decode_again(job, registry, weights[job.key])}

    return _recorded(job, files, work)


def _recorded(job: Job, files: Sequence[str], work: Callable[[Registry], Outcome]) -> Record:
    start = perf_counter()
    status: Status
    try:
        status, reason, results = work(load_plugins(files))
    except Exception as error:  # whatever a plugin throws costs this trial only
        status, reason, results = _status(error), _reason(error), {}
    seconds = perf_counter() - start
    made = record(job, status, reason, results=results, seconds=seconds, machine=machine())
    try:
        made.to_json()
    except (TypeError, ValueError) as error:
        made = record(job, "failed", f"results are not plain data: {error}", machine=machine())
    return made


def run_trial(trial: Trial, registry: Registry) -> tuple[Learner, dict[str, Any]]:
    """Train once, then measure every decoder on the test split; the trained learner, and results.

    A trial of a search measures them on the validation split instead.
    """
    start = perf_counter()
    task = _task(trial, registry)
    learner = make_learner(trial, task, registry)
    decoders = _decoders(trial.decoders, task, registry)  # now: if one cannot be, nothing is lost
    setup = perf_counter() - start
    training, compute = train_phases(learner, trial, task, registry)
    results: dict[str, Any] = {
        "task": {
            "kind": task.kind,
            "metric": task.metric,
            "also": list(task.also),
            "lower_is_better": list(task.lower_is_better),
            "sizes": {name: len(split) for name, split in task.splits.items()},
            "notes": dict(task.notes),
        },
        "training": training.to_dict(),
        "compute": {k: v for k, v in compute.items() if k != "peak_memory"},
        "setup_seconds": setup,
        "parameters": learner.parameters(),
        "peak_memory": compute["peak_memory"],
        "decoding": [],
    }
    if not training.diverged:
        results["decoding"] = _decoded(learner, trial, task, decoders)
        if not trial.is_search:
            results["losses"] = final_losses(learner, task)
    return learner, results


def decode_again(trial: Trial, registry: Registry, weights: Path) -> list[dict[str, Any]]:
    """What the trial's decoders give with these weights, measured as after training."""
    check_versions(trial, registry, ("task", "model", "learner"))
    task = _task(trial, registry)
    learner = _learner(trial, task, registry)
    learner.load(weights)
    return _decoded(learner, trial, task, _decoders(trial.decoders, task, registry))


def _task(trial: Trial, registry: Registry) -> Task:
    task: Task = registry.build("task", trial.task)()
    if task.fingerprint() != trial.data:
        raise MsbenchError("the data changed after the trial was planned: run the suite again")
    return task


def _decoders(parts: Sequence[Part], task: Task, registry: Registry) -> list[Made]:
    return [
        (
            part,
            supplied(registry.build("decoder", part), task=task),
            registry.find("decoder", part.name).streams,
        )
        for part in parts
    ]


def _decoded(
    learner: Learner, trial: Trial, task: Task, decoders: Sequence[Made]
) -> list[dict[str, Any]]:
    """Every decoder on the test split, which is read only here."""
    held_out = task.validation if trial.is_search else task.test
    tests = evaluation_batches(held_out, EVALUATION_BATCH)
    found = []
    for part, decoder, streams in decoders:
        _seed_libraries(trial.seed, "decoding")
        learner.reseed("decoding")
        decoded = decode(learner, decoder, task, held_out, tests, streams)
        found.append({"decoder": asdict(part), **decoded.to_dict()})
    return found


def final_losses(learner: Learner, task: Task) -> dict[str, float]:
    """The loss at the end on the test split and on as many examples of the training split.

    The latter are evenly spread over it, the same in every trial. Their difference is the
    generalization gap; the mean over training steps would be of other weights, with dropout.
    """
    count = min(len(task.train), len(task.test))
    rows = np.linspace(0, len(task.train) - 1, count).astype(int)
    batches = [
        task.train.batch(rows[start : start + EVALUATION_BATCH])
        for start in range(0, count, EVALUATION_BATCH)
    ]
    learner.mode(training=False)
    tests = evaluation_batches(task.test, EVALUATION_BATCH)
    return {"train": learner.validate(batches), "test": learner.validate(tests)}


def train_phases(
    learner: Learner, trial: Trial, task: Task, registry: Registry
) -> tuple[Run, dict[str, float]]:
    """Train phase by phase on one stream of batches; and what it cost besides passes and seconds.

    FLOPs are counted on one more step of each phase, on a batch of its own, whose effect is undone:
    its operations a token and pass, times the tokens and passes of the phase.
    """
    run = Run()
    compute: dict[str, float] = dict.fromkeys(
        ("flops", "optimizer_bytes", "sent_bytes", "peak_memory"), 0
    )
    batches = _batches(trial, task)
    validation = evaluation_batches(task.validation, EVALUATION_BATCH)
    sample = next(_batches(trial, task, "flops"))
    for number, phase in enumerate(trial.stages()):
        if number:
            learner.begin(
                registry.build("loss", phase.loss), registry.build("optimizer", phase.optimizer)
            )
        schedule = registry.build("schedule", phase.schedule)()
        budget = replace(trial.training, passes=phase.passes)
        stage = train(learner, batches, validation, budget, schedule)
        run = run.then(stage) if number else stage
        compute["peak_memory"] = learner.peak_memory()
        compute["sent_bytes"] += learner.sent_bytes()
        compute["optimizer_bytes"] = max(compute["optimizer_bytes"], learner.optimizer_bytes())
        if run.diverged:
            break
        compute["flops"] += (
            _flops_per_token(learner, sample) * stage.tokens * stage.passes / stage.steps
        )
    return run, compute


def _flops_per_token(learner: Learner, sample: Batch) -> float:
    """Of one pass; not a number where the counter cannot follow what a plugin does."""
    try:
        flops, passes = learner.flops(sample)
    except Exception:  # the trial is trained, and worth more than this figure
        return math.nan
    return flops / passes / max(1, sample.tokens)


def run_measurement(measurement: Measurement, registry: Registry) -> dict[str, Any]:
    """Speed of every strategy, then of every decoder, in rounds that interleave them.

    Each round times every competitor once, in an order that rotates; the ratio is formed within
    the round, so that a slow minute of the machine slows both sides of it.
    """
    trials = measurement.strategies
    task: Task = registry.build("task", trials[0].task)()
    throughput = measurement.throughput
    decoders = [decoder for _, decoder, _ in _decoders(trials[0].decoders, task, registry)]
    able, learners, steps, failed = [], [], [], []
    for trial in trials:
        batches = _batches(trial, task)
        try:
            # Speed is that of the strategy itself, not of a phase that all of them begin with.
            learner = make_learner(replace(trial, phases=()), task, registry)
            learner.mode(training=True)
            learner.set_rate(GENTLE, 0.0)
            _timed_steps(learner, batches, WARM_UP)
        except Exception as error:
            names = (part.label or part.name for part in (trial.loss, trial.optimizer))
            failed.append({"strategy": " ".join(names), "reason": _reason(error)})
            if len(failed) == len(trials):
                raise
            continue
        able.append(trial)
        learners.append(learner)
        steps.append(partial(_timed_steps, learner, batches, throughput.steps))
    trained = _rounds(steps, throughput.rounds)
    learners[0].mode(training=False)
    batch = evaluation_batches(task.test, EVALUATION_BATCH)[0]
    for each in decoders:
        learners[0].calibrate(each)
    predictions = [partial(_timed_prediction, learners[0], each, batch) for each in decoders]
    _rounds(predictions, 1)
    decoded = _rounds(predictions, throughput.rounds)
    return {
        "training": [
            {"strategy": _strategy(trial), **_rates(mine, trained[0])}
            for trial, mine in zip(able, trained, strict=True)
        ],
        "decoding": [
            {"decoder": asdict(part), **_rates(mine, decoded[0])}
            for part, mine in zip(trials[0].decoders, decoded, strict=True)
        ],
        "failed": failed,
    }


def make_learner(trial: Trial, task: Task, registry: Registry) -> Learner:
    """The trial's learner in its first phase, its weights drawn from the seed and nothing else."""
    check_versions(trial, registry)
    return _learner(trial, task, registry)


def _learner(trial: Trial, task: Task, registry: Registry) -> Learner:
    _seed_libraries(trial.seed, "libraries")
    first = trial.stages()[0]
    learner: Learner = registry.build("learner", trial.learner)(
        task,
        model=registry.build("model", trial.model),
        loss=registry.build("loss", first.loss),
        optimizer=registry.build("optimizer", first.optimizer),
        seed=trial.seed,
        device=trial.device,
        threads=trial.threads,
        dtype=trial.dtype,
        accumulate=trial.training.accumulate,
        clip=trial.training.clip,
    )
    return learner


def _batches(trial: Trial, task: Task, purpose: str = "order") -> Iterator[Batch]:
    return training_batches(task.train, trial.training.batch_size, stream(trial.seed, purpose))


Timing = tuple[float, int]
"""Seconds, and how many units were done in them."""


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


def _rates(mine: Sequence[Timing], base: Sequence[Timing]) -> dict[str, Any]:
    """Median units per second, and the ratio to the baseline round by round."""
    rates = [units / seconds for seconds, units in mine]
    ratios = [r / (units / seconds) for r, (seconds, units) in zip(rates, base, strict=True)]
    return {"per_second": statistics.median(rates), "rates": rates, "ratios": ratios}


def _strategy(trial: Trial) -> dict[str, Any]:
    told = {key: asdict(getattr(trial, key)) for key in ("loss", "optimizer", "schedule")}
    return {**told, "tuned": trial.tuned and asdict(trial.tuned)}


TRAINED: tuple[Kind, ...] = ("task", "model", "loss", "optimizer", "schedule", "learner")


def check_versions(trial: Trial, registry: Registry, kinds: Sequence[Kind] = TRAINED) -> None:
    """A plugin file may have been edited since; its results must not go under the old version.

    kinds: of the parts that matter, besides decoders; phases are looked at with all of them.
    """
    parts: list[tuple[Kind, Part]] = [(kind, getattr(trial, kind)) for kind in kinds]
    parts += [("decoder", part) for part in trial.decoders]
    if kinds == TRAINED:
        parts += [each for phase in trial.phases for each in phase.parts().items()]
    for kind, part in (inside for each in parts for inside in parts_in(*each)):
        found = registry.find(kind, part.name).version
        if found != part.version:
            raise MsbenchError(
                f"{kind} {part.name!r} of plugin {part.plugin} is now version {found}, planned was "
                f"{part.version}: run the suite again"
            )


def _seed_libraries(seed: int, purpose: str) -> None:
    """For plugins that draw from the global generators of Python and numpy."""
    random.seed(derive(seed, purpose))
    np.random.seed(derive(seed, purpose) % 2**32)


def _status(error: Exception) -> Status:
    text = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate" in text:
        return "oom"
    return "failed"


def _reason(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"
