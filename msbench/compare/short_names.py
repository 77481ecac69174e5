"""Names that fit into a table: a part's own, and in brackets no more than tells it from others."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from msbench.spec import digest

LONGEST = 40
"""Characters of a name; one that a suite gives may be longer, and is kept."""

Flat = Mapping[str, Any]
"""A part with all that is inside it, as `labels.flattened` gives it."""


class Name(NamedTuple):
    """What a part is called."""

    own: str
    apart: str = ""
    """What tells it from others of that name."""

    def __str__(self) -> str:
        return f"{self.own} ({self.apart})" if self.apart else self.own


def names(own: str, parts: Sequence[Flat], keys: Sequence[str]) -> list[Name]:
    """A name for each of the parts that are called `own` and differ under `keys`.

    It has all that differs, as "lr=0.1, base.lr=0.01"; where that is too long, as few keys as tell
    the parts apart, and these nested: "of=sample(count=8)".
    """
    whole = [Name(own, _listed(part, keys)) for part in parts]
    if max(len(str(name)) for name in whole) <= LONGEST:
        return whole
    few = _telling(parts, keys)
    return [Name(own, _nested(part, few)) for part in parts]


def unique(named: Mapping[str, Name]) -> dict[str, str]:
    """Text of a part -> its name, which no other has: one that is too long, or that others have
    too, ends in digits of a hash of the text."""
    plain = {text: str(name) for text, name in named.items()}
    counts = Counter(plain.values())
    marked = [
        text
        for text, name in plain.items()
        if counts[name] > 1 or (named[text].apart and len(name) > LONGEST)
    ]
    for digits in range(4, 21):
        made = {text: _marked(named[text], digest(text)[:digits]) for text in marked}
        found = {**plain, **made}
        if len(set(found.values())) == len(found):
            break
    return found


def _marked(name: Name, mark: str) -> str:
    room = LONGEST - len(f"{name.own} (… {mark})")
    if room < 1 or not name.apart:
        return f"{name.own} ({mark})"
    apart = name.apart if len(name.apart) <= room else f"{name.apart[:room]}…"
    return f"{name.own} ({apart} {mark})"


def _listed(part: Flat, keys: Sequence[str]) -> str:
    return ", ".join(f"{key}={part.get(key, '-')}" for key in keys)


def _telling(parts: Sequence[Flat], keys: Sequence[str]) -> list[str]:
    """A few of the keys that tell as many parts apart as all of them do: in each step the one that
    tells the most; and, of parts within, the name that an option belongs to."""

    def told(chosen: Sequence[str]) -> int:
        return len({_listed(part, chosen) for part in parts})

    chosen: list[str] = []
    while told(chosen) < told(keys):
        chosen.append(max(keys, key=lambda key: told([*chosen, key])))
    chosen += [f"{key.rpartition('.')[0]}.name" for key in chosen]
    return [key for key in keys if key in chosen]


def _nested(part: Flat, keys: Sequence[str]) -> str:
    """The keys that the part has, with their values; those of a part within it in brackets."""
    tree: dict[str, Any] = {}
    for key in keys:
        if key in part:
            *outer, last = key.split(".")
            branch = tree
            for step in outer:
                branch = branch.setdefault(step, {})
            branch[last] = part[key]
    return ", ".join(_shown(tree))


def _shown(tree: Mapping[str, Any]) -> Iterator[str]:
    for key, value in tree.items():
        if not isinstance(value, dict):
            yield f"{key}={value}"
        elif "name" not in value:
            yield from (f"{key}.{each}" for each in _shown(value))
        else:
            within = ", ".join(_shown({k: v for k, v in value.items() if k != "name"}))
            yield f"{key}={value['name']}({within})" if within else f"{key}={value['name']}"
