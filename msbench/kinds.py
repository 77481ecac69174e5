"""The kinds of parts that plugins register."""

from typing import Literal, get_args

from msbench.errors import MsbenchError, did_you_mean

Kind = Literal[
    "task",
    "model",
    "loss",
    "optimizer",
    "schedule",
    "decoder",
    "metric",
    "learner",
    "launcher",
    "observer",
    "command",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Each has a hook of its own, `register_<plural>`."""


def plural(kind: Kind) -> str:
    """`"losses"` for `"loss"`."""
    return "losses" if kind == "loss" else f"{kind}s"


def kind_of(word: str) -> Kind:
    """The kind that a word names, in the singular or the plural; MsbenchError otherwise."""
    for kind in KINDS:
        if word.lower() in (kind, plural(kind)):
            return kind
    raise MsbenchError(f"unknown kind {word!r}{did_you_mean(word, KINDS)}")
