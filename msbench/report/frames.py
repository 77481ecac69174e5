"""Tables as pandas data frames, for notebooks and whatever `msbench compare` does not print."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msbench.compare.comparison import compare
from msbench.compare.rows import Comparison, Row
from msbench.records.store import find_results, stream

if TYPE_CHECKING:
    import pandas as pd


def frames(results: str, **asked: Any) -> "dict[str, pd.DataFrame]":
    """The tables of `results` (a folder, a file or the name of a suite) by name, unrounded.

    asked: `baseline`, `by`, `metric`, `target`, `margin` as in `msbench compare`. Columns are those
    of docs/compare.md; NaN is "not known". Tables without rows are left out. Raises MsbenchError as
    `msbench compare` does. Lines that are no records are in `attrs["problems"]` of every frame,
    what is printed below the tables in `attrs["notes"]`.
    """
    problems: list[str] = []
    comparison = compare(stream(find_results(results), problems), **asked)
    return frames_of(comparison, problems)


def frames_of(comparison: Comparison, problems: Sequence[str] = ()) -> "dict[str, pd.DataFrame]":
    """The tables of a comparison by name."""
    import pandas as pd  # late: half a second that no command needs

    tables: dict[str, Sequence[Row]] = {
        name: getattr(comparison, name)
        for name in (
            "accuracy",
            "training",
            "targets",
            "decoding",
            "throughput",
            "tuning",
            "ranks",
            "profiles",
        )
    }
    made = {name: pd.DataFrame(list(rows)) for name, rows in tables.items() if rows}
    for frame in made.values():
        frame.attrs = {
            "baseline": comparison.baseline,
            "by": comparison.by,
            "notes": list(comparison.notes),
            "problems": list(problems),
        }
    return made
