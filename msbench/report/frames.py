"""Tables as pandas data frames, for notebooks and whatever `msbench compare` does not print."""

from typing import TYPE_CHECKING, Any

from msbench.compare.comparison import compare
from msbench.records.question import read_question
from msbench.records.store import find_results, stream

if TYPE_CHECKING:
    import pandas as pd

NAMES = (
    "accuracy",
    "yardsticks",
    "against",
    "training",
    "targets",
    "decoding",
    "throughput",
    "tuning",
    "ranks",
    "profiles",
)


def frames(results: str, **asked: Any) -> "dict[str, pd.DataFrame]":
    """The tables of `results` (a folder, a file or the name of a suite) by name, unrounded.

    asked: `baseline`, `by`, `metric`, `target`, `margin` as in `msbench compare`. Columns are those
    of docs/compare.md; NaN is "not known". Tables without rows are left out. Raises MsbenchError as
    `msbench compare` does. Lines that are no records are in `attrs["problems"]` of every frame,
    what is printed below the tables in `attrs["notes"]`.
    """
    import pandas as pd  # late: half a second that no command needs

    problems: list[str] = []
    path = find_results(results)
    comparison = compare(stream(path, problems), question=read_question(path), **asked)
    tables = {}
    for name in NAMES:
        if rows := getattr(comparison, name):
            tables[name] = pd.DataFrame(list(rows))
            tables[name].attrs = {
                "baseline": comparison.baseline,
                "by": comparison.by,
                "notes": list(comparison.notes),
                "problems": problems,
            }
    return tables
