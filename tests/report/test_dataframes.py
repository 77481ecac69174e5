"""What `compare` says, as pandas data frames."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from msbench import MsbenchError, results
from msbench.compare.comparison import compare
from msbench.records.store import read
from msbench.report.render import render

REFERENCE = Path(__file__).parents[2] / "tests/kept"

NAMES = (
    *("accuracy", "yardsticks", "against", "training", "targets", "decoding", "throughput"),
    *("tuning", "ranks", "profiles", "failures"),
)


def same(mine: Any, other: Any) -> bool:
    """Whether JSON, which has no NaN, holds the same value; its infinities are words."""
    if isinstance(mine, float) and not math.isfinite(mine):
        return other is None if math.isnan(mine) else True
    if isinstance(mine, list | tuple):
        return len(mine) == len(other) and all(map(same, mine, other))
    if isinstance(mine, dict):
        return same([*mine.items()], [*other.items()])
    return bool(mine == other)


@pytest.mark.parametrize(("suite", "ranked"), [("quick", False), ("optimizers", True)])
def test_frames_hold_what_json_holds(suite: str, ranked: bool) -> None:
    """What nobody tuned is not ranked."""
    found = results(REFERENCE / suite, by="optimizer")
    tables_as_json = json.loads(render(compare(read(REFERENCE / suite).records), "json"))
    tables = {name: getattr(found, name) for name in NAMES}
    for name, frame in tables.items():
        assert len(frame) == len(tables_as_json[name])
        for column in frame:
            for mine, other in zip(frame[column], tables_as_json[name], strict=True):
                assert same(mine, other[column]), (name, column)
    assert len(tables["accuracy"]) > 0
    assert len(tables["throughput"]) > 0
    assert bool(len(tables["ranks"])) == ranked
    accuracy = tables["accuracy"]
    best = accuracy[accuracy["main"]].groupby("task")["mean"].max()
    tasks = {"quick": {"bbc-news", "headlines", "numbers-fr"}}
    assert set(best.index) == tasks.get(suite, {"bbc-news", "numbers-fr", "verses-lm"})


def test_no_results() -> None:
    with pytest.raises(MsbenchError, match="no results 'nowhere'"):
        str(results("nowhere"))
