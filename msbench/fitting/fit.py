"""A recipe -> a model trained on all data, in a folder."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from msbench.data.batches import evaluation_batches
from msbench.data.task import Task
from msbench.data.withheld import blind, without_test
from msbench.errors import MsbenchError
from msbench.fitting.card import write_card
from msbench.fitting.everything import with_all_data
from msbench.fitting.folder import Bundle, check_free, write_bundle
from msbench.fitting.model import Fitted, fitted
from msbench.fitting.reader import reader_of
from msbench.fitting.recipe import Recipe
from msbench.fitting.vocabulary import task_and_tokenizer
from msbench.plugins.registry import Registry
from msbench.records.record import Record
from msbench.run.checkpoint import Checkpoint
from msbench.run.decode import decode
from msbench.run.driver import entries_of, preload_modules
from msbench.run.job import Outcome, recorded
from msbench.run.learner import Learner
from msbench.run.phases import EVALUATION_BATCH, train_phases
from msbench.run.trial import BuiltDecoder, build_decoders, make_learner
from msbench.run.weights import SUFFIX
from msbench.spec import Choice, Job, Trial

PATIENCE = 10
"""How many times as long as the trial took its training may take, and ten minutes more."""


def fit(
    recipe: Recipe,
    registry: Registry,
    folder: Path,
    *,
    keep_test: bool = False,
    checkpoint: float = 0.0,
) -> Fitted:
    """Train the recipe on the training, validation and test examples, and keep the model.

    The budget, the seed, the vocabulary and the labels are those of the trial. keep_test: leave
    the test split out, and score this very model on it. It trains in a process of its own.
    checkpoint: minutes between two checkpoints beside the folder, from which the same call goes on
    if this one was killed; 0 = none.

    MsbenchError if it cannot be kept or does not end ok, and if the data or the code of its parts
    is no longer what was judged; StoreError if something is in the folder already.
    """
    check_free(folder)
    if recipe.trial.processes > 1:
        raise MsbenchError(
            f"the recipe trains in {recipe.trial.processes} processes together, and fit in one: "
            f"judge it with processes = 1"
        )
    work = partial(
        fit_job,
        files=tuple(registry.files),
        folder=folder.absolute(),
        keep_test=keep_test,
        checkpoint=checkpoint,
    )
    record = _launched(recipe, registry, work)
    if record.status != "ok":
        raise MsbenchError(f"the model is not fitted: {record.status}: {record.reason}")
    write_card(folder, recipe, registry, record, keep_test)
    return fitted(folder, plugins=registry.files)


def fit_job(
    job: Job, files: Sequence[str], folder: Path, keep_test: bool, checkpoint: float
) -> Record:
    """Fit a trial and say how that ended; `decoding` is what it scored on a test split that was
    kept apart."""
    assert isinstance(job, Trial)
    kept = _checkpoint(folder, job.key, keep_test, checkpoint) if checkpoint else None
    return recorded(job, files, partial(_fit, job, folder, keep_test, kept))


def _checkpoint(folder: Path, key: str, keep_test: bool, minutes: float) -> Checkpoint:
    """That of a model; another trial's, or of other examples, is not taken for it."""
    file = folder.with_name(f"{folder.name}.checkpoint{SUFFIX}")
    return Checkpoint(file, f"{key} without its test split" if keep_test else key, 60 * minutes)


def _fit(
    trial: Trial,
    folder: Path,
    keep_test: bool,
    checkpoint: Checkpoint | None,
    registry: Registry,
) -> Outcome:
    task, learned = task_and_tokenizer(lambda: registry.make_task(trial.task, trial.model))
    if task.fingerprint() != trial.data:
        raise MsbenchError("the data is no longer what was judged: run the suite again")
    whole = with_all_data(task, keep_test)
    reader = reader_of(whole, learned, int(trial.task.options.get("max_length", 0)))
    shown = without_test(whole)
    learner = make_learner(trial, shown, registry)
    decoder = build_decoders(trial.decoders, shown, registry)[0]
    _check(learner, decoder, trial, checkpoint)
    training, _ = train_phases(learner, trial, shown, registry, checkpoint=checkpoint)
    if training.diverged:
        return "diverged", training.diverged, {}
    learner.mode(training=False)
    write_bundle(folder, Bundle(trial, reader.facts, learned), learner)
    if checkpoint:
        checkpoint.file.unlink(missing_ok=True)
    return "ok", "", {"decoding": _scored(learner, decoder, whole) if keep_test else []}


def _check(
    learner: Learner, decoder: BuiltDecoder, trial: Trial, checkpoint: Checkpoint | None
) -> None:
    """MsbenchError if what is trained could not be kept, or not predict."""
    if checkpoint and not hasattr(learner, "write_checkpoint"):
        raise MsbenchError(
            f"learner {trial.learner.name!r} of plugin {trial.learner.plugin} keeps no "
            f"checkpoints: fit without --checkpoint"
        )
    if not hasattr(learner, "save") or not hasattr(learner, "load"):
        raise MsbenchError(
            f"learner {trial.learner.name!r} of plugin {trial.learner.plugin} keeps no weights: it "
            f"has no `save` and `load`; fit a model of another learner (--model)"
        )
    if hasattr(decoder.decode, "calibrate"):
        raise MsbenchError(
            f"decoder {decoder.part.name!r} is calibrated on validation examples, which fit trains "
            f"on: name another with --decoder"
        )


def _scored(learner: Learner, decoder: BuiltDecoder, task: Task) -> list[object]:
    """What the model gives on the test split, which it has not seen."""
    batches = evaluation_batches(task.test, EVALUATION_BATCH)
    given = [blind(batch) for batch in batches]
    learner.reseed("decoding")
    found = decode(learner, decoder.decode, task, task.test, batches, decoder.streams, given)
    return [found.to_data(decoder.part)]


def _launched(recipe: Recipe, registry: Registry, work: "partial[Record]") -> Record:
    trial = recipe.trial
    launch = registry.build(
        "launcher", registry.resolve("launcher", Choice("processes", {"workers": 1}))
    )()
    known = 0.0 if math.isnan(recipe.seconds) else recipe.seconds
    modules = preload_modules(registry, entries_of(registry, [trial]))
    for each in launch([trial], work, limit=600 + PATIENCE * known, preload=modules):
        if isinstance(each, Record):
            return each
    raise MsbenchError("the model is not fitted: its process was lost")
