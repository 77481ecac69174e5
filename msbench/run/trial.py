"""Trial -> results: task, learner, phases of training, decoders."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from msbench.data.batches import evaluation_batches, training_batches
from msbench.data.task import Batch, Task
from msbench.errors import MsbenchError
from msbench.plugins.options import supplied
from msbench.plugins.parts import parts_in
from msbench.plugins.registry import Registry
from msbench.run.decode import decode
from msbench.run.learner import Decoder, Learner
from msbench.run.seeds import derive, stream
from msbench.run.train import Run, train
from msbench.spec import AXES, Kind, Part, Trial

EVALUATION_BATCH = 64


Made = tuple[Part, Decoder, bool]
"""A decoder, and whether it streams."""


def run_trial(trial: Trial, registry: Registry) -> tuple[Learner, dict[str, Any]]:
    """Train once, then measure every decoder on the test split; the trained learner, and results.

    A trial of a search measures them on the validation split instead.
    """
    start = perf_counter()
    task = _task(trial, registry)
    learner = make_learner(trial, task, registry)
    decoders = build_decoders(
        trial.decoders, task, registry
    )  # now: if one cannot be, nothing is lost
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
    return _decoded(learner, trial, task, build_decoders(trial.decoders, task, registry))


def _task(trial: Trial, registry: Registry) -> Task:
    task: Task = registry.build("task", trial.task)()
    if task.fingerprint() != trial.data:
        raise MsbenchError("the data changed after the trial was planned: run the suite again")
    return task


def build_decoders(parts: Sequence[Part], task: Task, registry: Registry) -> list[Made]:
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
    run_job = Run()
    compute: dict[str, float] = dict.fromkeys(
        ("flops", "optimizer_bytes", "sent_bytes", "peak_memory"), 0
    )
    batches = trial_batches(trial, task)
    validation = evaluation_batches(task.validation, EVALUATION_BATCH)
    sample = next(trial_batches(trial, task, "flops"))
    for number, phase in enumerate(trial.stages()):
        if number:
            learner.begin(
                registry.build("loss", phase.loss), registry.build("optimizer", phase.optimizer)
            )
        schedule = registry.build("schedule", phase.schedule)()
        budget = replace(trial.training, passes=phase.passes)
        stage = train(learner, batches, validation, budget, schedule)
        run_job = run_job.then(stage) if number else stage
        compute["peak_memory"] = learner.peak_memory()
        compute["sent_bytes"] += learner.sent_bytes()
        compute["optimizer_bytes"] = max(compute["optimizer_bytes"], learner.optimizer_bytes())
        if run_job.diverged:
            break
        compute["flops"] += (
            _flops_per_token(learner, sample) * stage.tokens * stage.passes / stage.steps
        )
    return run_job, compute


def _flops_per_token(learner: Learner, sample: Batch) -> float:
    """Of one pass; not a number where the counter cannot follow what a plugin does."""
    try:
        flops, passes = learner.flops(sample)
    except Exception:  # the trial is trained, and worth more than this figure
        return math.nan
    return flops / passes / max(1, sample.tokens)


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


def trial_batches(trial: Trial, task: Task, purpose: str = "order") -> Iterator[Batch]:
    return training_batches(task.train, trial.training.batch_size, stream(trial.seed, purpose))


TRAINED: tuple[Kind, ...] = (*AXES, "learner")


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
