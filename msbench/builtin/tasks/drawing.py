"""Splits of own rows: those of files as they are, the others drawn from the training rows."""

import unicodedata
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from msbench import DataError, linked, shuffled, split
from msbench.builtin.tasks.forms import Grouped, Item

HELD_OUT = ("validation", "test")

Member = tuple[int, Item]
"""(number of the group, item)."""


@dataclass
class Drawn:
    """Items by split, and what a reader should know about how they were drawn."""

    splits: dict[str, Sequence[Item]]
    remarks: list[str] = field(default_factory=list)


def identity(value: object) -> Hashable:
    """What makes a text, pair or list of words the same example: not how its characters are
    composed (NFC), nor the spaces around and between its words, which tokenizers read alike or
    nearly so."""
    if isinstance(value, str):
        return " ".join(unicodedata.normalize("NFC", value).split())
    return tuple(map(identity, value)) if isinstance(value, Iterable) else repr(value)


def drawn(rows: Mapping[str, list[Grouped]], seed: int, labelled: bool, file: str) -> Drawn:
    """The files as they are; splits without a file are drawn from the training rows.

    Training rows are shuffled in any case, so that the first of them are a fair sample. Drawn are a
    tenth of the rows, without repeated rows, those with the same text or group together. labelled:
    whether rows have labels, each of which must then be in training, whatever the seed. file: to be
    named in errors.
    """
    parts: dict[str, Sequence[Item]] = {
        name: [item for _, item in each] for name, each in rows.items()
    }
    missing = [name for name in HELD_OUT if name not in rows]
    if not missing:
        return Drawn({**parts, "train": shuffled(parts["train"], "train size")})
    unique = list(
        {(group, identity(item)): (group, item) for group, item in rows["train"]}.values()
    )
    keys = [
        {("text", identity(item[0])), *([("group", group)] if group else [])}
        for group, item in unique
    ]
    members = list(zip(linked(keys), (item for _, item in unique), strict=True))
    _check_enough(members, file)
    draws = split(members, lambda member: member[0], seed, _label if labelled else None)
    rest = [name for name in draws if name not in missing]
    parts["train"] = [item for name in rest for _, item in draws[name]]
    for name in missing:
        parts[name] = [item for _, item in draws[name]]
        if not parts[name]:
            raise DataError(
                f"files: no row of {file} is left for {name}, since each has a label that training "
                f"would lack; add rows, or give a {name} file"
            )
    repeated = len(rows["train"]) - len(unique)
    remarks = [f"{repeated} of {len(rows['train'])} rows of {file} repeat others, and are left out"]
    untested = _untested(parts) if labelled else []
    return Drawn(parts, [*(remarks if repeated else []), *untested])


def _untested(splits: Mapping[str, Sequence[Item]]) -> list[str]:
    """That there are labels of which scores say nothing."""
    train, test = ({identity(label) for _, label in splits[name]} for name in ("train", "test"))
    rare = sorted(map(str, train - test))
    if not rare:
        return []
    such = ", ".join(map(repr, rare[:5])) + (", ..." if len(rare) > 5 else "")
    return [f"{len(rare)} of {len(train)} labels are too rare to be in the test split: {such}"]


def _check_enough(members: Sequence[Member], file: str) -> None:
    """DataError unless a tenth is a row, and there is a group for every split."""
    groups = len({group for group, _ in members})
    if len(members) < 10 or groups < 3:
        raise DataError(
            f"files: {file} has {len(members)} different rows in {groups} groups (of one text, or "
            f"one value of the column `group`), and splits are drawn from 10 or more in 3 or more; "
            f"add rows, or give validation and test files"
        )


def _label(member: Member) -> Hashable:
    _, (_, label) = member
    return identity(label)
