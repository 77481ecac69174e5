"""All parts that were found: looking them up, completing their options, building them."""

import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from msbench.errors import MsbenchError, PluginError, did_you_mean
from msbench.plugins import hookspecs
from msbench.spec import KINDS, Choice, Kind, Part

CONTEXT = {
    "model": ("task",),
    "loss": ("task",),
    "decoder": ("task",),
    "optimizer": ("model",),
    "learner": (
        "task",
        "model",
        "loss",
        "optimizer",
        "seed",
        "device",
        "threads",
        "dtype",
        "accumulate",
        "clip",
    ),
}
"""Leading parameters of a factory that msbench fills in; all others are options."""


NESTED = {
    "base": "",
    "of": "",
    **{kind: kind for kind in ("model", "loss", "schedule", "decoder")},
}
"""Options that are choices themselves; "" stands for the kind of the part that has them."""


DEEPEST = 8
"""Levels of choices within choices; more are a choice that contains itself."""


LISTED = ("of",)
"""Those of them that are lists of choices."""


@dataclass(frozen=True)
class Plugin:
    """Where parts come from."""

    name: str
    version: str
    module: Any


@dataclass(frozen=True)
class Entry:
    """One registered part; see `hookspecs.Register` for the fields."""

    kind: Kind
    name: str
    factory: hookspecs.Factory
    plugin: str
    version: str
    idea: str = ""
    paper: str = ""
    steps: hookspecs.Steps = ""
    passes: float = 1
    base: str = ""
    helps: str = ""
    space: Mapping[str, Sequence[Any]] | None = None
    fits: Sequence[str] = ()
    learner: str = "torch"
    sources: Sequence[Any] = ()
    preload: Sequence[str] = ()
    streams: bool = False

    def load(self) -> Callable[..., Any]:
        """The factory itself, imported if it was given as "module:attribute"."""
        if not isinstance(self.factory, str):
            return self.factory
        module, _, attribute = self.factory.partition(":")
        try:
            loaded: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
        except Exception as error:  # importing runs a plugin's code
            raise PluginError(
                f"{self.kind} {self.name!r}: plugin {self.plugin} {self.version} gives the "
                f"factory {self.factory!r}, which cannot be imported: {error}"
            ) from error
        return loaded

    def module(self) -> str:
        """The module its factory lives in."""
        if isinstance(self.factory, str):
            return self.factory.partition(":")[0]
        return getattr(self.factory, "__module__", "")

    def options(self) -> dict[str, inspect.Parameter]:
        """The factory's options: its parameters without the ones msbench fills in."""
        try:
            parameters = inspect.signature(self.load(), eval_str=True).parameters
        except PluginError:
            raise
        except Exception as error:  # annotations are evaluated
            raise PluginError(
                f"{self.kind} {self.name!r} of plugin {self.plugin}: its factory's options cannot "
                f"be read: {error}"
            ) from error
        return {k: v for k, v in parameters.items() if k not in CONTEXT.get(self.kind, ())}


@dataclass(frozen=True)
class Registry:
    """All parts that were found, and the plugins that could not be loaded, with the reason."""

    entries: Mapping[tuple[Kind, str], Entry]
    plugins: Sequence[Plugin]
    broken: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[str] = ()

    def of(self, kind: Kind) -> list[Entry]:
        """The entries of one kind, by name."""
        return sorted((e for e in self.entries.values() if e.kind == kind), key=lambda e: e.name)

    def find(self, kind: Kind, name: str) -> Entry:
        """The entry of that name; PluginError with the nearest name otherwise."""
        if entry := self.entries.get((kind, name)):
            return entry
        message = f"unknown {kind} {name!r}{did_you_mean(name, (e.name for e in self.of(kind)))}"
        if self.broken:
            message += f" (not loaded: {', '.join(self.broken)}; see: msbench list)"
        raise PluginError(message)

    def resolve(self, kind: Kind, choice: Choice, depth: int = 0) -> Part:
        """The choice with every option present; PluginError lists all that is wrong with it."""
        if depth > DEEPEST:
            raise PluginError(
                f"{kind} {choice.name!r} is nested more than {DEEPEST} deep: in itself?"
            )
        entry = self.find(kind, choice.name)
        options, problems = complete(self, entry, choice, depth)
        if problems:
            raise PluginError("\n".join(problems))
        return Part(entry.name, options, entry.plugin, entry.version, choice.label)

    def build(self, kind: Kind, part: Part) -> Callable[..., Any]:
        """The part's factory with its options bound; nested parts arrive bound likewise."""
        entry = self.find(kind, part.name)
        checked, problems = complete_part(entry, part)
        if problems:
            raise PluginError("\n".join(problems))
        options = {
            name: self._built(nested_kind(kind, name), value) for name, value in checked.items()
        }
        return partial(entry.load(), **options)

    def _built(self, kind: Kind, value: Any) -> Any:
        if isinstance(value, Part):
            return self.build(kind, value)
        if is_parts(value):
            return {part.label or part.name: self.build(kind, part) for part in value}
        return value

    def sources(self, part: Part) -> list[Any]:
        """The archives that a task reads, those of tasks inside it too; none twice."""
        inside = [each for kind, each in parts_in("task", part) if kind == "task"]
        return list(
            dict.fromkeys(s for each in inside for s in self.find("task", each.name).sources)
        )


def parts_in(kind: Kind, part: Part) -> Iterator[tuple[Kind, Part]]:
    """A part and all that is inside its options, each with its kind."""
    yield kind, part
    for name, value in part.options.items():
        for each in value if is_parts(value) else [value]:
            if isinstance(each, Part):
                yield from parts_in(nested_kind(kind, name), each)


def is_parts(value: Any) -> bool:
    """Whether an option is a list of parts."""
    return isinstance(value, list) and bool(value) and all(isinstance(v, Part) for v in value)


def nested_kind(kind: Kind, option: str) -> Kind:
    """The kind of an option that is a choice: `base` is of the kind that has it."""
    found = NESTED.get(option) or kind
    return next(each for each in KINDS if each == found)


def complete_part(entry: Entry, part: Part) -> tuple[dict[str, Any], list[str]]:
    """The part's options with the types that the factory asks for: JSON has made tuples lists."""
    from msbench.plugins.options import check_options

    return check_options(entry.options(), part.options)


def complete(
    registry: Registry, entry: Entry, choice: Choice, depth: int = 0
) -> tuple[dict[str, Any], list[str]]:
    """The options of `choice` with every default filled in, and what is wrong with them."""
    from msbench.plugins.options import (
        check_options,  # late: pydantic is not needed to list plugins
    )

    known = entry.options()
    free = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values())
    given: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in choice.options.items():
        if name not in known and not free:
            problems.append(
                f"{entry.kind} {entry.name!r} has no option {name!r}{did_you_mean(name, known)}"
            )
        elif choices := _choices(value):
            if name not in NESTED or (name in LISTED) != isinstance(value, list):
                problems.append(
                    f"{entry.kind} {entry.name!r}: {name} takes no nested choice of this form"
                )
                continue
            resolved = []
            for each in choices:
                try:
                    resolved.append(
                        registry.resolve(nested_kind(entry.kind, name), each, depth + 1)
                    )
                except PluginError as error:
                    problems += [f"{name}: {line}" for line in str(error).splitlines()]
            names = [part.label or part.name for part in resolved]
            if len(set(names)) < len(names):
                problems.append(f"{name}: two of them have one name; give each a label of its own")
            if len(resolved) == len(choices):
                given[name] = resolved if isinstance(value, list) else resolved[0]
        elif name in NESTED and name in known:
            form = '[{name = "..."}, ...]' if name in LISTED else '{name = "adamw"}'
            problems.append(
                f"{entry.kind} {entry.name!r}: {name} must be a table with a name, such as "
                f"{form}, not {value!r}"
            )
        else:
            given[name] = value
    unresolved = {name for name in choice.options if name not in given}
    plain = {k: v for k, v in known.items() if k not in unresolved}
    options, wrong = check_options(plain, given)
    problems += [f"{entry.kind} {entry.name!r}: {each}" for each in wrong]
    return options, problems


def _choices(value: Any) -> list[Choice]:
    """A choice, or every one of a list of them; none of anything else."""
    several = value if isinstance(value, list) else [value]
    return several if all(isinstance(each, Choice) for each in several) else []


def kind_of(word: str) -> Kind:
    """`"optimizers"` or `"optimizer"` -> `"optimizer"`."""
    for kind in KINDS:
        if word.lower() in (kind, plural(kind)):
            return kind
    raise MsbenchError(f"unknown kind {word!r}{did_you_mean(word, KINDS)}")


def plural(kind: Kind) -> str:
    return "losses" if kind == "loss" else f"{kind}s"
