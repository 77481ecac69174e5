"""What an optimizer's steps must equal: another implementation, or its paper's algorithm.

Both go over the same small model in double precision. The reference gets the candidate's own
groups and options, so that only the steps themselves can differ.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import nn

from msbench.checks import papers
from msbench.checks.findings import Skipped, Wrong
from msbench.checks.subject import Subject
from msbench.checks.walk import Walk, distance
from msbench.errors import MsbenchError, did_you_mean

STEPS = 40
"""That are compared."""

CLOSE = 1e-5
"""The largest difference, as a share of the way that the reference has gone."""

NONE = "none"
"""Instead of a reference: nothing to compare with."""

KNOWN: Mapping[str, tuple[Any, Mapping[str, Any]]] = {
    "sgd": (torch.optim.SGD, {}),
    "momentum": (torch.optim.SGD, {"momentum": 0.9}),
    "nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {}),
    "nadam": (torch.optim.NAdam, {}),
    "radam": (torch.optim.RAdam, {}),
    "adamax": (torch.optim.Adamax, {}),
    "adadelta": (torch.optim.Adadelta, {}),
    "adagrad": (torch.optim.Adagrad, {}),
    "rmsprop": (torch.optim.RMSprop, {}),
    "adafactor": (torch.optim.Adafactor, {}),
    "lbfgs": (torch.optim.LBFGS, {}),
    "lion": (papers.Lion, {}),
    "adabelief": (papers.AdaBelief, {}),
    "signum": (papers.Signum, {}),
    "schedulefree-sgd": (papers.ScheduleFreeSGD, {}),
    "schedulefree-adamw": (papers.ScheduleFreeAdamW, {}),
}
"""Names whose steps are known -> torch's own optimizer, or a transcription, and what it is told."""

OTHERS = ("cautious-adamw", "dadapt-adam")
"""Names that end in a known one, and are those of other methods that papers have."""

SPELLINGS = {
    "betas": ("beta1", "beta2"),
    "alpha": ("alpha", "rho", "beta2"),
    "weight_decay": ("decoupled_decay", "weight_decay", "wd"),
    "eps": ("eps", "epsilon"),
    "lr": ("lr", "learning_rate"),
}
"""An option of a reference -> what the candidate may call it in its groups or its options."""


def follow_reference(subject: Subject) -> str:
    """Compares the candidate with its reference; says which one. Wrong where they part."""
    wanted = subject.reference or promised(subject)
    if not wanted and subject.entry.base in KNOWN and "base" not in subject.entry.options():
        name, make = reference_of(subject.entry.base)
        parted = _parting(subject, name, make)
        return f"not {name}, its base: {parted}" if parted else f"exactly {name}, its base"
    name, make = reference_of(wanted)
    if parted := _parting(subject, name, make):
        raise Wrong(
            f"it parts from {name} {parted}. If it is meant to be another method, give it another "
            f"name, or say --reference {NONE}"
        )
    return f"{STEPS} steps as {name}"


def _parting(subject: Subject, name: str, make: Any) -> str:
    """Where the candidate parts from a reference, and how far; "" if it does not."""
    ours, theirs = Walk(subject.make, steps=STEPS), _twin(subject, make)
    start = theirs.weights()
    for step in range(STEPS):
        found, expected = ours.go().evaluated(), theirs.go().evaluated()
        way, apart = distance(expected, start), distance(found, expected)
        if not apart <= CLOSE * max(way, 1e-300):
            share, ratio = apart / max(way, 1e-300), distance(found, start) / max(way, 1e-300)
            return (
                f"in step {step + 1}, where it is {share:.2g} of the way apart and has gone "
                f"{ratio:.3g} times as far from the start"
            )
    return ""


def reference_of(wanted: str) -> tuple[str, Any]:
    """(what it is called, what makes it); Skipped if there is none."""
    if wanted in ("", NONE):
        raise Skipped("no reference is known by its name; --reference module:factory compares it")
    if wanted in KNOWN:
        factory, told = KNOWN[wanted]
        return title(wanted), partial(factory, **told) if told else factory
    module, colon, attribute = wanted.partition(":")
    if not colon:
        raise MsbenchError(
            f"--reference: {wanted!r} is no module:factory{did_you_mean(wanted, KNOWN)}"
        )
    try:
        return wanted, getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise MsbenchError(f"--reference {wanted}: {error}") from error


def title(name: str) -> str:
    """What a known reference is, in words."""
    factory, told = KNOWN[name]
    if factory.__module__ == papers.__name__:
        return str(inspect.getdoc(factory)).partition("\n")[0].rstrip(".")
    options = ", ".join(f"{key}={value}" for key, value in told.items())
    return f"torch.optim.{factory.__name__}" + (f"({options})" if options else "")


def promised(subject: Subject) -> str:
    """The longest known name that the candidate's own name is or ends with.

    Not of wrappers, which are another method than what they end with, nor of those that declare
    to be multi-step in another way than by memory.
    """
    entry = subject.entry
    ending = [name for name in KNOWN if f"-{entry.name}".endswith(f"-{name}")]
    best = max(ending, key=len, default="")
    if "base" in entry.options() or entry.name in OTHERS:
        return ""
    other = entry.steps in ("slow-weights", "batch", "passes")
    return "" if other and best != entry.name and not best.startswith("schedulefree") else best


def _twin(subject: Subject, make: Any) -> Walk:
    """A walk of the reference with what the candidate was made with."""
    given = inspect.signature(make).parameters
    if "params" in given:
        return Walk(lambda model: _by_groups(subject, make, model), steps=STEPS)
    options = {n: v for n, v in subject.part.options.items() if n in given and n != "model"}
    return Walk(lambda model: make(model, **options), steps=STEPS)


def _by_groups(subject: Subject, make: Callable[..., Any], model: nn.Module) -> Any:
    """The reference over the candidate's groups, each with its own rate, decay and so on."""
    names = [each for each in inspect.signature(make).parameters if each != "params"]
    fixed = dict(getattr(make, "keywords", {}))
    groups = []
    for group in subject.make(model).param_groups:
        known = {**subject.part.options, **group}
        told = {name: _option(name, known) for name in names}
        told |= {name: value for name, value in fixed.items() if told.get(name) is None}
        told |= {name: fixed[name] for name in ("nesterov",) if name in fixed}
        groups.append(({n: v for n, v in told.items() if v is not None}, group["params"]))
    shared, _ = groups[0]
    flags = {n: v for n, v in shared.items() if n in FLAGS}
    return make(
        [{"params": weights, **{n: v for n, v in told.items() if n not in FLAGS}}
         for told, weights in groups],
        **{n: v for n, v in shared.items() if n == "lr"},
        **flags,
    )  # fmt: skip


FLAGS = ("decoupled_weight_decay", "line_search_fn", "max_iter", "history_size", "max_eval")
"""Options of the whole optimizer."""


def _option(name: str, known: Mapping[str, Any]) -> Any:
    """The value of a reference's option, by any of its names; None if the candidate has none."""
    if name == "betas":
        if "betas" in known:
            return tuple(known["betas"])
        pair = [known.get(each) for each in SPELLINGS["betas"]]
        return None if None in pair else tuple(pair)
    if name in FAST:
        return None
    for each in SPELLINGS.get(name, (name,)):
        if each in known:
            return known[each]
    return None


FAST = ("fused", "foreach", "capturable", "differentiable", "maximize")
"""How fast it is, not what it does; the reference is the plain implementation."""
