"""The part that is checked, and what it is put together with."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from msbench.checks.findings import Skipped
from msbench.data.task import Task
from msbench.errors import PluginError
from msbench.microbench.choices import plain
from msbench.microbench.tasks import task_of
from msbench.plugins.parts import LISTED, NESTED, nested_kind
from msbench.plugins.registry import Entry, Registry
from msbench.spec import Choice, Kind, Part, TaskKind

SMALL: Mapping[str, Any] = {"width": 16, "layers": 1, "heads": 2, "dropout": 0.0}
"""Options of models, where they have them: quick, and with nothing random in training."""

KINDS: tuple[TaskKind, ...] = ("tag", "classify", "seq2seq", "lm")
"""Of tasks; on the first one a model learns most in few steps."""

TRAINED: tuple[Kind, ...] = ("learner", "model", "loss", "optimizer", "decoder")
"""Kinds whose checks train something."""


@dataclass
class Subject:
    """One part, which can be made with all its options at their defaults."""

    registry: Registry
    entry: Entry
    reference: str = ""
    """What an optimizer is compared with; see `msbench.testing.check`."""
    kept: dict[str, Any] = field(default_factory=dict)
    """What several checks use and one of them has made."""

    def __str__(self) -> str:
        return f"{self.entry.kind}:{self.entry.name}"

    @property
    def framework(self) -> str:
        """The name of the learner that it is for, or is."""
        return self.entry.name if self.entry.kind == "learner" else self.entry.learner

    @property
    def is_torch(self) -> bool:
        """Whether its inside can be looked at: parts of other frameworks are checked by what their
        learner tells."""
        return self.framework == "torch"

    @cached_property
    def fits_once(self) -> bool:
        """Whether it is of a learner that is fitted as a whole, and takes no steps."""
        if self.entry.kind not in TRAINED:
            return False
        learner = self.registry.entries.get(("learner", self.framework))
        return learner is not None and getattr(learner.load(), "fits_once", False)

    @cached_property
    def part(self) -> Part:
        """The part with its options; Skipped if one without a default is no part itself."""
        return filled(self.registry, self.entry)

    @cached_property
    def make(self) -> Callable[..., Any]:
        """Its factory with the options bound."""
        return self.registry.build(self.entry.kind, self.part)

    @cached_property
    def kinds(self) -> Sequence[TaskKind]:
        """The kinds of tasks that it fits and its framework has a model for."""
        fits = [kind for kind in KINDS if not self.entry.fits or kind in self.entry.fits]
        return [kind for kind in fits if self.entry.kind == "model" or self._has_model(kind)]

    def _has_model(self, kind: TaskKind) -> bool:
        try:
            plain(self.registry, "model", self.framework, kind)
        except PluginError:
            return False
        return True

    def model(self, kind: TaskKind, **options: Any) -> Callable[[Task], Any]:
        """A small model for a kind of task: the part itself, or the plainest of its framework."""
        entry = self.entry
        if entry.kind != "model":
            part = plain(self.registry, "model", self.framework, kind)
            entry = self.registry.find("model", part.name)
        return self.registry.build("model", filled(self.registry, entry, {**SMALL, **options}))

    def learner(self, kind: TaskKind, seed: int = 0, **options: Any) -> Any:
        """A learner of this part and the plainest others of its framework, on a small task.

        options: of the learner, or other factories for its model, loss and optimizer.
        """
        parts = {"model": self.model(kind), "loss": self.plain("loss", kind)}
        parts["optimizer"] = self.plain("optimizer", kind)
        if self.entry.kind in parts and self.entry.kind != "model":
            parts[self.entry.kind] = self.make
        make = self.registry.build(
            "learner", self.registry.resolve("learner", Choice(self.framework))
        )
        usual = {"device": "cpu", "threads": 1, "dtype": "float32", "accumulate": 1, "clip": 0.0}
        return make(task_of(kind), **{**parts, **usual, "seed": seed, **options})

    def plain(self, kind: Kind, task: TaskKind) -> Callable[..., Any]:
        """The plainest part of another kind in its framework."""
        return self.registry.build(kind, plain(self.registry, kind, self.framework, task))


def filled(registry: Registry, entry: Entry, wanted: Mapping[str, Any] | None = None) -> Part:
    """The part with its required options: those that are parts themselves are the plainest of
    their kind. wanted: values for options, where it has such options."""
    known = entry.options()
    options = {name: value for name, value in (wanted or {}).items() if name in known}
    for name, parameter in known.items():
        if parameter.default is not inspect.Parameter.empty or parameter.kind in (
            inspect.Parameter.VAR_KEYWORD,
            inspect.Parameter.VAR_POSITIONAL,
        ):
            continue
        if name not in NESTED:
            raise Skipped(f"its option {name!r} has no default, so it cannot be made here")
        task: Any = (entry.fits or KINDS)[0]
        kind = nested_kind(entry.kind, name)
        choice = Choice(plain(registry, kind, entry.learner, task).name)
        options[name] = [choice] if name in LISTED else choice
    return registry.resolve(entry.kind, Choice(entry.name, options))
