"""Trial -> results: task, learner, phases of training, decoders."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import numpy as np

from msbench.data.batches import evaluation_batches
from msbench.data.measures import with_measures
from msbench.data.overlap import also_in_train
from msbench.data.task import Task
from msbench.data.withheld import blind, without_test
from msbench.errors import MsbenchError
from msbench.plugins.options import supplied
from msbench.plugins.parts import TRAINED, trial_parts
from msbench.plugins.registry import Registry
from msbench.records.schema import DecodedData, LossesData, MetricData, TaskData, TrialResults
from msbench.run.checkpoint import Checkpoint
from msbench.run.decode import decode
from msbench.run.guards import changed_by, checksums, guards
from msbench.run.learner import Decoder, Learner
from msbench.run.phases import EVALUATION_BATCH, Cost, train_phases, validation_batches
from msbench.run.ranks import is_main
from msbench.run.seeds import derive
from msbench.spec import DIGEST, Kind, Part, Trial


@dataclass(frozen=True)
class BuiltDecoder:
    """A decoder that is ready to predict, or to be calibrated."""

    part: Part
    decode: Decoder
    streams: bool
    reads_targets: bool = False


def run_trial(
    trial: Trial, registry: Registry, checkpoint: Checkpoint | None = None
) -> tuple[Learner, TrialResults]:
    """Train once, then measure every decoder on the test split; the trained learner, and results.

    A trial of a search measures them on the validation split instead. checkpoint: what training
    goes on from, if it is there, and leaves now and then.
    """
    start = perf_counter()
    task = build_task(trial, registry)
    shown = without_test(task)
    learner = make_learner(trial, shown, registry)
    # Decoders before training: if one cannot be built, nothing is lost.
    decoders = build_decoders(trial.decoders, shown, registry)
    setup = perf_counter() - start
    validation = validation_batches(trial, task)
    before = checksums(validation)
    training, cost = train_phases(learner, trial, shown, registry, validation, checkpoint)
    found = guards(learner, training, checksums(validation) != before)
    results: TrialResults = {
        "task": _task_data(task, []),
        "training": training.to_data(),
        "compute": {
            "flops": cost.flops,
            "optimizer_bytes": cost.optimizer_bytes,
            "sent_bytes": cost.sent_bytes,
            **_modes_data(trial, cost),  # type: ignore[typeddict-item]
        },
        "setup_seconds": setup,
        "parameters": learner.parameters(),
        "peak_memory": cost.peak_memory,
        "decoding": [],
        "guards": found,
    }
    if not training.is_stopped:
        if not trial.is_search:
            results["losses"] = final_losses(learner, task)
        if is_main():
            results["decoding"], remarks = _decode_held_out(learner, trial, task, decoders)
            found["found"] += remarks
            results["task"] = _task_data(task, results["decoding"])
    return learner, results


def redecode_trial(trial: Trial, registry: Registry, weights: Path) -> list[DecodedData]:
    """What the trial's decoders give with these weights, measured as after training."""
    check_versions(trial, registry, ("task", "model", "learner"))
    task = build_task(trial, registry)
    shown = without_test(task)
    alone = replace(trial, processes=1, sharded=False)  # it is not trained
    learner = _build_learner(alone, shown, registry)
    learner.load(weights)
    decoders = build_decoders(trial.decoders, shown, registry)
    return _decode_held_out(learner, trial, task, decoders)[0]


def build_task(trial: Trial, registry: Registry) -> Task:
    """The trial's task; MsbenchError if its data is not what the trial was planned for."""
    task: Task = registry.make_task(trial.task, trial.model)
    if task.fingerprint() != trial.data:
        raise MsbenchError("the data changed after the trial was planned: run the suite again")
    measures = {part.name: registry.build("metric", part)() for part in trial.metrics}
    return with_measures(task, measures)


def make_learner(trial: Trial, task: Task, registry: Registry) -> Learner:
    """The trial's learner in its first phase, its weights drawn from the seed and nothing else."""
    check_versions(trial, registry)
    return _build_learner(trial, task, registry)


def build_decoders(parts: Sequence[Part], task: Task, registry: Registry) -> list[BuiltDecoder]:
    """Decoders that get the task if they ask for it."""
    return [
        BuiltDecoder(
            part,
            supplied(registry.build("decoder", part), task=task),
            (entry := registry.find("decoder", part.name)).streams,
            entry.reads_targets,
        )
        for part in parts
    ]


def final_losses(learner: Learner, task: Task) -> LossesData:
    """The loss at the end on the test split and on as many examples of the training split.

    The latter are evenly spread over it, the same in every trial. Test minus training loss is the
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


def check_versions(trial: Trial, registry: Registry, kinds: Sequence[Kind] = TRAINED) -> None:
    """MsbenchError if a plugin was edited since, or a library changed: results must not go under
    the old version.

    kinds: of the parts that matter, besides decoders. Parts of older records have the version of
    their plugin alone; of them nothing else can be checked.
    """
    for kind, part in trial_parts(trial, kinds):
        entry = registry.find(kind, part.name)
        version = entry.full_version if DIGEST in part.version else entry.version
        if version != part.version:
            raise MsbenchError(
                f"{kind} {part.name!r} of plugin {part.plugin} is now version {version}, planned "
                f"was {part.version}: run the suite again"
            )


def _task_data(task: Task, decoding: Sequence[DecodedData]) -> TaskData:
    """What a record says of the task, and of every metric that decoders were scored by."""
    names = dict.fromkeys([task.metric, *task.also])
    names |= dict.fromkeys(name for decoded in decoding for name in decoded["metrics"])
    return {
        "kind": task.kind,
        "metric": task.metric,
        "also": list(task.also),
        "metrics": {
            name: cast(MetricData, asdict(metric))
            for name, metric in task.metric_facts(names).items()
        },
        "sizes": {name: len(split) for name, split in task.splits.items()},
        "notes": {"also_in_train": also_in_train(task), **task.notes},
    }


def _modes_data(trial: Trial, cost: Cost) -> Mapping[str, Any]:
    """What a record has of how steps were computed, if that is not the default."""
    names = ("compile_seconds", "replayed", "compiler") if trial.training.modes else ()
    return {name: getattr(cost, name) for name in names}


def _build_learner(trial: Trial, task: Task, registry: Registry) -> Learner:
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
        **trial.training.modes,  # a learner that does not know them need not
        **({"processes": trial.processes} if trial.processes > 1 else {}),
        **({"sharded": True} if trial.sharded else {}),
    )
    return learner


def _decode_held_out(
    learner: Learner, trial: Trial, task: Task, decoders: Sequence[BuiltDecoder]
) -> tuple[list[DecodedData], list[str]]:
    """Every decoder on the held-out split, and what is remarkable about them; only here is the test
    split read for predictions."""
    split = task.validation if trial.is_search else task.test
    batches = evaluation_batches(split, EVALUATION_BATCH)
    results, remarks = [], list[str]()
    for decoder in decoders:
        _seed_libraries(trial.seed, "decoding")
        learner.reseed("decoding")
        given = [each.map(np.copy) if decoder.reads_targets else blind(each) for each in batches]
        decoded = decode(learner, decoder.decode, task, split, batches, decoder.streams, given)
        if decoder.reads_targets and not math.isnan(decoded.empty):
            raise MsbenchError(
                f"decoder {decoder.part.name!r} has reads_targets, so it must return "
                f"log-probabilities of the texts that it is given, and no texts"
            )
        results.append(decoded.to_data(decoder.part))
        remarks += changed_by(decoder.part.label or decoder.part.name, given, batches)
    return results, remarks


def _seed_libraries(seed: int, purpose: str) -> None:
    """For plugins that draw from the global generators of Python and numpy."""
    random.seed(derive(seed, purpose))
    np.random.seed(derive(seed, purpose) % 2**32)
