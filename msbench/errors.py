"""What can go wrong, said so that a person can act on it.

Every error that msbench raises on purpose is an `MsbenchError`: the command line prints its
text without a traceback and leaves with its `exit_code`.
"""

import re
from collections.abc import Iterable, Sequence


class MsbenchError(Exception):
    """Bad usage: what was asked, what exists, and where."""

    exit_code = 2


class SuiteError(MsbenchError):
    """Everything that is wrong with a suite, one problem a line, none longer than a screen."""

    def __init__(self, problems: Sequence[str]):
        self.problems = tuple(p if len(p) <= 2000 else f"{p[:2000]}..." for p in problems)
        super().__init__("\n".join(self.problems))


class PluginError(MsbenchError):
    """A plugin that cannot be loaded, or two that claim one name."""


class PluginWarning(UserWarning):
    """What a plugin did that it should not do, or that its users should know."""


class DataError(MsbenchError):
    """A source that is missing, unreadable or not what its hash says."""


class StoreError(MsbenchError):
    """Records cannot be written (exit code 74, EX_IOERR of sysexits.h)."""

    exit_code = 74


class RecordsError(MsbenchError):
    """Records that were asked for cannot be read."""


def printable(text: str) -> str:
    """Without characters that a terminal would obey: names and reasons may be anybody's."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def printable_json(text: str) -> str:
    """JSON in which such characters are escaped: the same values, and a terminal obeys none."""
    import json  # late: msbench --help loads this file

    def escaped(found: re.Match[str]) -> str:
        return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]

    return re.sub(r"[^\n -~]", escaped, text)


def shown(value: object) -> str:
    """What was given, as Python writes it; of something long only the beginning."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`"; did you mean 'adamw'?"`, or the whole list when nothing is near.

    Returns a piece of a sentence to put behind "unknown ...".
    """
    from difflib import get_close_matches  # late: most commands go right

    names = sorted({*known})
    near = get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there is: {', '.join(names)}" if names else "; there is none"
