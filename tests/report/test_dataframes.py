"""What `compare` says, as pandas data frames."""

import json
import math
from pathlib import Path

import pytest

from msbench import MsbenchError, frames
from msbench.compare.comparison import compare
from msbench.records.store import read
from msbench.report.render import render

QUICK = Path(__file__).parents[2] / "results/reference/quick"


def test_frames_hold_what_json_holds() -> None:
    tables = frames(str(QUICK), by="optimizer")
    tables_as_json = json.loads(render(compare(read(QUICK).records), "json"))
    assert set(tables) == {name for name in tables if tables_as_json[name]}
    assert {"accuracy", "training", "throughput"} <= set(tables)
    for name, frame in tables.items():
        assert len(frame) == len(tables_as_json[name])
        for column in frame:
            for mine, other in zip(frame[column], tables_as_json[name], strict=True):
                if isinstance(mine, float) and math.isnan(mine):
                    assert other[column] is None
                elif not (isinstance(mine, float) and math.isinf(mine)):
                    assert mine == other[column], (name, column)
    accuracy = tables["accuracy"]
    assert accuracy.attrs["baseline"] == "adamw"
    best = accuracy[accuracy["main"]].groupby("task")["mean"].max()
    assert set(best.index) == {"bbc-news", "headlines", "numbers-fr"}


def test_no_results() -> None:
    with pytest.raises(MsbenchError, match="no results 'nowhere'"):
        frames("nowhere")
