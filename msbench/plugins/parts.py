"""Choices -> parts -> factories with their options bound, nested ones included."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from msbench.errors import PluginError, did_you_mean
from msbench.kinds import Kind
from msbench.plugins.options import check_options, supplied
from msbench.plugins.state import kept_state
from msbench.spec import AXES, Choice, Part, Trial

if TYPE_CHECKING:
    from msbench.plugins.registry import Entry, Registry

NESTED: dict[str, Kind | None] = {
    "base": None,
    "of": None,
    "model": "model",
    "loss": "loss",
    "schedule": "schedule",
    "decoder": "decoder",
}
"""Options that are choices themselves, with their kind; None = the kind of the part around them."""

LISTED = ("of",)
"""The nested options that are lists of choices."""

SHOWN = 100
"""Problems with the options of one part that are told."""

DEEPEST = 8
"""Levels of nesting; a choice that goes deeper contains itself."""


def resolve(registry: "Registry", kind: Kind, choice: Choice, depth: int = 0) -> Part:
    """The choice with every option present; PluginError lists all that is wrong with it."""
    if depth > DEEPEST:
        raise PluginError(f"{kind} {choice.name!r} is nested more than {DEEPEST} deep: in itself?")
    entry = registry.find(kind, choice.name)
    known, given, problems = entry.options(), dict[str, Any](), list[str]()
    for name, value in choice.options.items():
        wrong = _form_problems(entry, known, name, value)
        if not wrong:
            value, wrong = _resolved(registry, kind, name, value, depth)
        if not wrong:
            given[name] = value
        problems += wrong
        if len(problems) > SHOWN:  # the nearest names of thousands of options would take seconds
            raise PluginError("\n".join([*problems[:SHOWN], f"{kind} {entry.name!r}: and more"]))
    correct = {n: each for n, each in known.items() if n in given or n not in choice.options}
    options, wrong = check_options(correct, given)
    problems += [f"{kind} {entry.name!r}: {each}" for each in wrong]
    if problems:
        raise PluginError("\n".join(problems))
    return Part(entry.name, options, entry.plugin, entry.full_version, choice.label)


def build(registry: "Registry", kind: Kind, part: Part) -> Callable[..., Any]:
    """The part's factory with its options bound; nested parts arrive bound likewise."""
    entry = registry.find(kind, part.name)
    # Checked again for their types: JSON has made tuples lists.
    options, problems = check_options(entry.options(), part.options)
    if problems:
        raise PluginError("\n".join(problems))

    def bound(name: str, value: Any) -> Any:
        inner = nested_kind(kind, name)
        if isinstance(value, Part):
            return build(registry, inner, value)
        if is_parts(value):
            return {each.label or each.name: build(registry, inner, each) for each in value}
        return value

    given = {name: bound(name, value) for name, value in options.items()}
    return _guarded(entry, partial(entry.load(), **given))


VOCABULARY = "vocabulary"
"""The option of a task that a model's tokenizer takes the place of."""


def make_task(registry: "Registry", task: Part, model: Part) -> Any:
    """The task, prepared with the model's tokenizer if it brings one."""
    make, entry = build(registry, "task", task), registry.find("model", model.name)
    if not entry.tokenizer:
        return make()
    load = _guarded(entry, entry.load(entry.tokenizer))
    tokenizer = supplied(load, **model.options)
    return make() if tokenizer is None else make(**{VOCABULARY: tokenizer})


def prepared_from(registry: "Registry", task: Part, model: Part) -> tuple[Part, ...]:
    """What the data of a trial are made from: the task, and the model if it brings a tokenizer."""
    return (task, model) if registry.find("model", model.name).tokenizer else (task,)


UNGUARDED: tuple[Kind, ...] = ("learner", "launcher")
"""Kinds whose factories may change the process: setting up where trials run is what they do."""


_inside = ContextVar("inside", default=False)
"""Whether a factory is at work."""


def _guarded(entry: "Entry", factory: Callable[..., Any]) -> Callable[..., Any]:
    """The factory, which puts back what it changes of the state that all parts share."""
    if entry.kind in UNGUARDED:
        return factory

    @wraps(factory)
    def make(*args: Any, **options: Any) -> Any:
        # Parts of one part draw different numbers, so only the outermost puts generators back.
        inside = _inside.set(True)
        outermost = inside.old_value is not True
        when = f"{entry.kind} {entry.name!r}"
        try:
            with kept_state(entry.plugin, when, entry.shared, generators=outermost):
                return factory(*args, **options)
        finally:
            _inside.reset(inside)

    return make


def parts_in(kind: Kind, part: Part) -> Iterator[tuple[Kind, Part]]:
    """A part and all parts nested in it, each with its kind."""
    yield kind, part
    for name, value in part.options.items():
        for each in value if is_parts(value) else [value]:
            if isinstance(each, Part):
                yield from parts_in(nested_kind(kind, name), each)


TRAINED: tuple[Kind, ...] = (*AXES, "learner")
"""Kinds of parts that training depends on."""


def trial_parts(trial: Trial, kinds: Sequence[Kind] = TRAINED) -> Iterator[tuple[Kind, Part]]:
    """The parts of these kinds and the decoders, nested ones included; with all kinds also those
    of phases."""
    parts: list[tuple[Kind, Part]] = [(kind, getattr(trial, kind)) for kind in kinds]
    parts += [("decoder", part) for part in trial.decoders]
    parts += [("metric", part) for part in trial.metrics]
    if kinds == TRAINED:
        parts += [each for phase in trial.phases for each in phase.parts().items()]
    return (inside for each in parts for inside in parts_in(*each))


def is_parts(value: Any) -> bool:
    """Whether an option is a list of parts."""
    return isinstance(value, list) and bool(value) and all(isinstance(v, Part) for v in value)


def nested_kind(kind: Kind, option: str) -> Kind:
    """The kind of an option that is a choice, of a part of the given kind."""
    return NESTED.get(option) or kind


def _form_problems(
    entry: "Entry", known: Mapping[str, inspect.Parameter], name: str, value: Any
) -> list[str]:
    """Whether there is such an option, and whether it is nested exactly if it must be."""
    where, nested = f"{entry.kind} {entry.name!r}", bool(_choices(value))
    free = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in known.values())
    if name not in known and not free:
        return [f"{where} has no option {name!r}{did_you_mean(name, known)}"]
    if nested and (name not in NESTED or (name in LISTED) != isinstance(value, list)):
        return [f"{where}: {name} takes no nested choice of this form"]
    if not nested and name in NESTED and name in known:
        form = '[{name = "..."}, ...]' if name in LISTED else '{name = "adamw"}'
        return [f"{where}: {name} must be a table with a name, such as {form}, not {value!r}"]
    return []


def _resolved(
    registry: "Registry", kind: Kind, option: str, value: Any, depth: int
) -> tuple[Any, list[str]]:
    """The option's value with choices resolved to parts, and what is wrong with them."""
    parts, problems = list[Part](), list[str]()
    for choice in _choices(value):
        try:
            parts.append(resolve(registry, nested_kind(kind, option), choice, depth + 1))
        except PluginError as error:
            problems += [f"{option}: {line}" for line in str(error).splitlines()]
    names = [part.label or part.name for part in parts]
    if len(set(names)) < len(names):
        problems.append(f"{option}: two of them have one name; give each a label of its own")
    if not parts:
        return value, problems
    return parts if isinstance(value, list) else parts[0], problems


def _choices(value: Any) -> list[Choice]:
    """A choice, or the items of a list of nothing but choices; none of anything else."""
    items = value if isinstance(value, list) else [value]
    return items if all(isinstance(each, Choice) for each in items) else []
