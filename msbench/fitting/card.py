"""The card of a fitted model: what it is, how good, how sure that is, and of which data."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from msbench.errors import StoreError, printable
from msbench.fitting.folder import CARD, TOKENIZER
from msbench.fitting.recipe import Recipe
from msbench.plugins.registry import Registry
from msbench.records.record import Record
from msbench.report.format import interval, number
from msbench.spec import Part, display_name
from msbench.version import __version__


def write_card(
    folder: Path, recipe: Recipe, registry: Registry, record: Record, keep_test: bool
) -> None:
    """Write README.md; StoreError if that fails. record: of the fit."""
    text = "\n".join(map(printable, _lines(folder, recipe, registry, record, keep_test)))
    try:
        (folder / CARD).write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot write {folder}: {error.strerror or error}") from error


def _lines(
    folder: Path, recipe: Recipe, registry: Registry, record: Record, keep_test: bool
) -> Iterator[str]:
    trial, row = recipe.trial, recipe.row
    yield f"# {display_name(trial.task)}: {row['model']}, {row['optimizer']}"
    yield ""
    yield (
        f"A {trial.learner.name} model for `{trial.task.name}`, fitted by msbench {__version__} on "
        f"{date.today().isoformat()}."
    )
    yield ""
    yield "```text"
    yield f"msbench predict {folder.name} FILE"
    yield "```"
    yield ""
    yield "## How good it is"
    yield ""
    yield from _evidence(recipe, record, keep_test)
    yield ""
    yield "## What it was trained on"
    yield ""
    yield from _data(recipe, registry, keep_test)
    yield ""
    yield "## Recipe"
    yield ""
    yield from (f"- {kind}: {_described(part)}" for kind, part in _parts(recipe))
    yield f"- training: {_training(recipe)}"
    yield ""
    yield "## Versions"
    yield ""
    yield from (f"- {name} {found}" for name, found in record.machine["versions"].items())


def _evidence(recipe: Recipe, record: Record, keep_test: bool) -> Iterator[str]:
    row = recipe.row
    mean = interval(row["mean"], row["low"], row["high"])
    yield (
        f"The recipe: {row['quantity']} {mean} (mean and 95 % interval over {row['measured']} "
        f"seeds), trained on the training split alone; worst seed {number(row['worst'])}. On its "
        f"task it ranks {row['rank']}."
    )
    yield ""
    yield "What `msbench recommend` says of it:"
    yield ""
    yield from (f"- {line}" for line in recipe.advice)
    yield ""
    decoding: Any = record.results.get("decoding", [])
    if not keep_test:
        yield (
            "This very model has no score: it was trained on the test examples, too, so nothing is "
            "left to test it on. Training on more of the same data seldom makes a recipe worse."
        )
    for decoded in decoding:
        scores = ", ".join(f"{name} {number(value)}" for name, value in decoded["metrics"].items())
        yield f"This very model, on the test split, which it has not seen: {scores}."


def _data(recipe: Recipe, registry: Registry, keep_test: bool) -> Iterator[str]:
    trial, about = recipe.trial, recipe.results["task"]
    sizes = ", ".join(f"{count:,} {name}" for name, count in about["sizes"].items())
    used = "training and validation" if keep_test else "training, validation and test"
    yield f"- examples: {sizes}; it was trained on the {used} examples"
    yield f"- digest of the prepared data: `{trial.data}`"
    for name, digest in (about["notes"].get("sha256") or {}).items():
        yield f"- SHA-256 of the {name} file: `{digest}`"
    sources = registry.sources(trial.task)
    for source in sources:
        yield f"- {source.package} {source.version}, licence: {source.licence}"
    if not sources:
        yield "- licence: that of the data, of which msbench knows none (your own, or generated)"
    yield (
        "- a model may hold what it was trained on, in its weights, its recipe (labels) and "
        f"{TOKENIZER}: who may not have the data may not have the model"
    )


def _parts(recipe: Recipe) -> Iterator[tuple[str, Part]]:
    trial = recipe.trial
    for kind in ("task", "model", "loss", "optimizer", "schedule"):
        yield kind, getattr(trial, kind)
    yield "decoder", trial.decoders[0]
    for phase in trial.phases:
        yield from ((f"phase, {kind}", part) for kind, part in phase.parts().items())


def _described(part: Part) -> str:
    options = ", ".join(f"{name} = {_value(value)}" for name, value in part.options.items())
    return f"`{part.name}` of {part.plugin} {part.version}{f' ({options})' if options else ''}"


def _value(value: Any) -> str:
    if isinstance(value, Part):
        return _described(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)


def _training(recipe: Recipe) -> str:
    training = recipe.trial.training
    unit, amount = training.budget
    return (
        f"{amount:g} {unit} of batches of {training.batch_size}, seed {recipe.trial.seed}, "
        f"{recipe.trial.dtype} on {recipe.trial.device}"
    )
