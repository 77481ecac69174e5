"""What tables say of the committed records, computed again from their JSON by other means.

What is expected is neither read nor computed by msbench: lines are parsed by json, and numbers are
pandas' and scipy's.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy import stats

from msbench.claims.recommend import recommend
from msbench.compare.comparison import compare
from msbench.compare.rows import Comparison
from msbench.records.store import read

REFERENCE = Path(__file__).parents[2] / "tests/kept"
SUITES = ("quick", "decoding", "translation")


def trials(suite: str) -> list[dict[str, Any]]:
    lines = (REFERENCE / suite / "trials.jsonl").read_text().splitlines()
    newest = {record["key"]: record for record in map(json.loads, lines)}
    strategies = [r for r in newest.values() if not r["job"].get("yardstick")]
    return [r for r in strategies if (r["job"].get("tuned") or {}).get("stage") != "search"]


def scores(suite: str) -> pd.DataFrame:
    """A row per trial and decoder: what it is of, its score by the task's metric, what decoding
    gave, and the passes of training."""
    rows = []
    for record in trials(suite):
        job, results = record["job"], record["results"]
        for decoded in results.get("decoding", ()):
            options = json.dumps(decoded["decoder"]["options"], sort_keys=True)
            rows.append(
                {
                    "task": job["task"]["name"],
                    "model": job["model"]["label"] or job["model"]["name"],
                    "optimizer": job["optimizer"]["label"] or job["optimizer"]["name"],
                    "decoder": f"{decoded['decoder']['name']} {options}",
                    "seed": job["seed"],
                    "score": decoded["metrics"][results["task"]["metric"]],
                    "log_probability": decoded.get("log_probability"),
                    "length_ratio": decoded.get("length_ratio"),
                    "passes": results["training"]["passes"],
                    "highest": 100.0 if results["task"]["metric"] in ("bleu", "chrf") else 1.0,
                }
            )
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def compared() -> dict[str, Comparison]:
    return {
        suite: compare(read(REFERENCE / suite).records, "adamw" if suite == "quick" else "")
        for suite in SUITES
    }


@pytest.mark.parametrize("suite", SUITES)
def test_means_and_intervals(suite: str, compared: dict[str, Comparison]) -> None:
    groups = scores(suite).groupby(["task", "model", "optimizer", "decoder"])
    expected = []
    for _, group in groups:
        low, high = log_odds_interval(group["score"], group["highest"].iloc[0])
        expected.append((group["score"].mean(), low, high, group["passes"].mean()))
    rows = [row for row in compared[suite].accuracy if row["main"]]
    found = sorted((row["mean"], row["low"], row["high"], row["passes"]) for row in rows)
    assert len(found) == len(expected)
    for mine, other in zip(found, sorted(expected), strict=True):
        assert mine == pytest.approx(other, rel=1e-9)


def log_odds_interval(values: pd.Series, highest: float) -> tuple[float, float]:
    """Student's interval on the scale of log((x - 0) / (highest - x)), by the delta method."""
    share = values.mean() / highest
    error = stats.sem(values / highest) / (share * (1 - share))
    middle = math.log(share / (1 - share))
    bounds = stats.t.interval(0.95, len(values) - 1, middle, error)
    low, high = (highest / (1 + math.exp(-bound)) for bound in bounds)
    return low, high


def test_paired_differences_and_their_adjusted_p(compared: dict[str, Comparison]) -> None:
    """Of the quick suite, whose decoders have one name each."""
    table = scores("quick")
    table["decoder"] = table["decoder"].str.partition(" ")[0]
    wide = table.pivot_table("score", ["task", "decoder", "seed"], "optimizer")
    raw = {}
    for (task, decoder), group in wide.groupby(["task", "decoder"]):
        for optimizer in group.columns.drop("adamw"):
            pair = group[[optimizer, "adamw"]].dropna()
            test = stats.ttest_rel(pair[optimizer], pair["adamw"])
            raw[task, decoder, optimizer] = (float(test.statistic), float(test.pvalue))
    rows = {
        (row["task"], row["decoder"], row["optimizer"]): row
        for row in compared["quick"].accuracy
        if row["main"] and not row["baseline"]
    }
    assert rows.keys() == raw.keys()
    for key, row in rows.items():
        assert row["p"] == pytest.approx(raw[key][1], rel=1e-6)
        assert (row["difference"] > 0) == (raw[key][0] > 0)
    families: dict[tuple[str, str], list[Any]] = {}
    for row in rows.values():
        families.setdefault((row["task"], row["decoder"]), []).append(row)
    assert len(families) == 5
    for family in families.values():
        assert_holm(family)


def assert_holm(rows: Sequence[Any]) -> None:
    """Step by step as Holm (1979) wrote it."""
    ordered = sorted((row["p"], row["p_adjusted"]) for row in rows if not math.isnan(row["p"]))
    least = 0.0
    for number, (p, adjusted) in enumerate(ordered):
        least = max(least, min(1.0, (len(ordered) - number) * p))
        assert adjusted == pytest.approx(least, rel=1e-9)


def test_what_decoding_gave(compared: dict[str, Comparison]) -> None:
    table = scores("decoding").dropna(subset=["log_probability"])
    groups = table.groupby(["task", "optimizer", "decoder"])
    columns = ["score", "log_probability", "length_ratio"]
    expected = sorted(tuple(group[columns].mean()) for _, group in groups)
    rows = [row for row in compared["decoding"].decoding if not math.isnan(row["log_probability"])]
    found = sorted((row["mean"], row["log_probability"], row["length_ratio"]) for row in rows)
    assert len(found) == len(expected) > 10
    for mine, other in zip(found, expected, strict=True):
        assert mine == pytest.approx(other, rel=1e-9)


def test_targets_are_medians_in_which_what_was_not_reached_is_infinite(
    compared: dict[str, Comparison],
) -> None:
    assert len(compared["quick"].targets) == 3 * 5
    for row in compared["quick"].targets:
        took = []
        for record in trials("quick"):
            job = record["job"]
            if (job["task"]["name"], job["optimizer"]["name"]) == (row["task"], row["optimizer"]):
                curve = record["results"]["training"]["curve"]
                hits = [p["passes"] for p in curve if p["validation_loss"] <= row["target"]]
                took.append(hits[0] if hits and record["status"] == "ok" else math.inf)
        assert row["n"] == len(took)
        assert row["passes"] == pd.Series(took).median()
        assert row["reached"] == sum(map(math.isfinite, took)) / len(took)


def test_a_recommendation_is_the_best_mean_at_the_budget() -> None:
    """Of validation losses at 150 passes, on the line between the points around it."""
    losses: dict[tuple[str, str], list[float]] = {}
    for record in trials("quick"):
        curve = record["results"]["training"]["curve"]
        points = pd.Series({float(p["passes"]): p["validation_loss"] for p in curve})
        if points.index[0] <= 150:
            at = points.reindex(sorted({*points.index, 150.0})).interpolate("index")
            key = record["job"]["task"]["name"], record["job"]["optimizer"]["name"]
            losses.setdefault(key, []).append(at[150.0])
    found = recommend(read(REFERENCE / "quick").records, "passes", 150)
    rows = {(row["task"], row["optimizer"]): row for row in found.rows}
    assert {key for key, row in rows.items() if row["measured"]} == losses.keys()
    for key, values in losses.items():
        assert rows[key]["mean"] == pytest.approx(sum(values) / len(values))
    assert len(found.choices) == 3
    for choice in found.choices:
        means = {o: sum(v) / len(v) for (task, o), v in losses.items() if task == choice["task"]}
        assert choice["best"]["optimizer"] == min(means, key=lambda name: means[name])
