"""The folder of a fitted model: its weights, its recipe, what it reads texts with, and its card."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from msbench.errors import MsbenchError, RecordsError, StoreError
from msbench.fitting.reader import Facts
from msbench.paths import read_file
from msbench.plugins.parts import is_parts, nested_kind, trial_parts
from msbench.plugins.registry import Registry
from msbench.run.learner import Learner
from msbench.run.weights import made_whole
from msbench.spec import Kind, Part, Trial, job_from_json, job_to_json
from msbench.version import __version__

WEIGHTS, RECIPE, TOKENIZER, CARD = (
    "weights.safetensors",
    "recipe.json",
    "tokenizer.json",
    "README.md",
)
"""The files; there is no tokenizer where the model brings its own, or reads whole words."""

LAYOUT = 1
"""Number of the layout, which another one would raise."""


@dataclass(frozen=True)
class Bundle:
    """What a folder holds besides weights and a card."""

    trial: Trial
    facts: Facts
    tokenizer: str
    """As JSON of the tokenizers library; "" for none."""


def check_free(folder: Path) -> None:
    """StoreError if something else is there: a model is never half of another."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreError(f"{folder} is not empty: name another folder with --out")


def write_bundle(folder: Path, bundle: Bundle, learner: Learner) -> None:
    """Write all but the card, the recipe last: with it the model is whole. StoreError if that
    fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with made_whole(folder / WEIGHTS) as half:
            learner.save(half, {"msbench": __version__})
        if bundle.tokenizer:
            (folder / TOKENIZER).write_text(bundle.tokenizer, encoding="utf-8")
        recipe = {
            "layout": LAYOUT,
            "msbench": __version__,
            "trial": json.loads(job_to_json(bundle.trial)),
            "reads": bundle.facts.plain(),
        }
        (folder / RECIPE).write_text(json.dumps(recipe, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot write {folder}: {error.strerror or error}") from error


def read_bundle(folder: Path) -> Bundle:
    """What `write_bundle` wrote; RecordsError if the folder has no whole recipe."""
    path = folder / RECIPE
    try:
        data = json.loads(read_file(path))
        if data["layout"] != LAYOUT:
            raise RecordsError(f"{path}: is of layout {data['layout']}, and {LAYOUT} is read here")
        tokenizer = folder / TOKENIZER
        trial = job_from_json(json.dumps(data["trial"]))
        assert isinstance(trial, Trial)
        learned = tokenizer.read_text(encoding="utf-8") if tokenizer.is_file() else ""
        return Bundle(trial, Facts(**data["reads"]), learned)
    except FileNotFoundError as error:
        raise RecordsError(
            f"{folder}: is no fitted model, it has no {RECIPE} (msbench fit writes one)"
        ) from error
    except MsbenchError:
        raise
    except Exception as error:  # whatever is in the file
        raise RecordsError(f"{path}: is no recipe of a fitted model: {error!r}") from error


def as_installed(trial: Trial, registry: Registry) -> Trial:
    """The trial with the versions of its parts that are installed; PluginError names one that is
    not.

    Weights are of shapes, which loading checks, so a model outlives the code that trained it.
    """
    for kind, part in trial_parts(trial):
        if (kind, part.name) not in registry.entries:
            raise MsbenchError(
                f"the model needs {kind} {part.name!r} of plugin {part.plugin} {part.version}, "
                f"which is not loaded (--plugin loads a file)"
            )
    axes: tuple[Kind, ...] = ("task", "model", "loss", "optimizer", "schedule", "learner")
    own: dict[str, Any] = {axis: _installed(axis, getattr(trial, axis), registry) for axis in axes}
    decoders = tuple(_installed("decoder", part, registry) for part in trial.decoders)
    return replace(trial, **own, decoders=decoders, phases=(), metrics=())


def _installed(kind: Kind, part: Part, registry: Registry) -> Part:
    def inner(name: str, value: Any) -> Any:
        if isinstance(value, Part):
            return _installed(nested_kind(kind, name), value, registry)
        if is_parts(value):
            return [_installed(nested_kind(kind, name), each, registry) for each in value]
        return value

    options = {name: inner(name, value) for name, value in part.options.items()}
    return replace(part, options=options, version=registry.find(kind, part.name).full_version)
