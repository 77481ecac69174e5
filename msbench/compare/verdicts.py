"""Verdicts: is a strategy better than the baseline, worse, equivalent, or was nothing shown?"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msbench.compare.columns import Ledger
from msbench.compare.labels import Labels
from msbench.compare.rows import Row
from msbench.compare.stats import equivalent, holm, mean_intervals, paired_examples, paired_tests
from msbench.records.schema import STATUSES
from msbench.spec import AXES

LEVEL = 0.95


CELL = (*AXES, "decoder", "metric")
"""What a row is about."""


Bases = Mapping[str, str]
"""Per task, the name that the others are compared with."""


@dataclass(frozen=True)
class Scored:
    """Scores of every cell, seed by seed."""

    cells: Sequence[Row]
    """CELL, and `primary`, `main` (the metric that the task is about), `lower_is_better`."""
    values: NDArray[np.float64]
    """(cells, seeds); NaN where a trial did not end ok or gave no number."""
    status: NDArray[np.int8]
    """(cells, seeds): position in STATUSES, -1 where there was no trial."""
    trial: NDArray[np.int64]
    """(cells, seeds): which trial of the ledger; 0 where there was none."""
    place: NDArray[np.int64]
    """(cells, seeds): place of the decoder in that trial's job."""


def scored(ledger: Ledger, labels: Labels, metric: str = "") -> Scored:
    """The scores by cell and seed; of one cell and seed the last trial counts.

    metric: the one that is shown, instead of each task's own.
    """
    columns = {k: v[ledger.kept[ledger.scores["trial"]]] for k, v in ledger.scores.items()}
    group = ledger.trials["group"][columns["trial"]]
    places = 1 + int(columns["place"].max(initial=0))
    combined = (group * places + columns["place"]) * len(ledger.metrics) + columns["metric"]
    found, inverse = np.unique(combined, return_inverse=True)
    described = [_cell(ledger, labels, int(code), places) for code in found]
    numbers: dict[tuple[str, ...], int] = {}
    of_found = [numbers.setdefault(tuple(c[k] for k in CELL), len(numbers)) for c in described]
    cells: list[Row] = [{} for _ in numbers]
    for number, cell in zip(of_found, described, strict=True):
        cells[number] = cell
    _mark(cells, metric)
    row = np.array(of_found, dtype=np.int64)[inverse]
    shape = (len(cells), len(ledger.seeds))
    values, status = np.full(shape, np.nan), np.full(shape, -1, dtype=np.int8)
    trial, place = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    at = row, ledger.trials["seed"][columns["trial"]]
    # Of several trials of one cell and seed the last one is written last.
    values[at], trial[at], place[at] = columns["value"], columns["trial"], columns["place"]
    status[at] = ledger.trials["status"][columns["trial"]]
    return Scored(cells, values, status, trial, place)


def _cell(ledger: Ledger, labels: Labels, code: int, places: int) -> Row:
    rest, metric = divmod(code, len(ledger.metrics))
    group, place = divmod(rest, places)
    record, task, name = ledger.groups[group], ledger.tasks[group], ledger.metrics[metric]
    return {
        **labels.axes(record),
        "decoder": labels.of(record, "decoder", record.job["decoders"][place]),
        "metric": name,
        "main": name == task.get("metric"),
        "primary": name in (task.get("metric"), *task.get("also", ())),
        "lower_is_better": name in task.get("lower_is_better", ()),
    }


def _mark(cells: Sequence[Row], metric: str) -> None:
    """Say which metric is shown: the one asked for, else the task's, else the decoder's first."""
    if metric:
        for cell in cells:
            cell["main"] = cell["primary"] = cell["metric"] == metric
        return
    of_decoder: dict[tuple[str, str], list[Row]] = {}
    for cell in cells:
        of_decoder.setdefault((cell["task"], cell["decoder"]), []).append(cell)
    for group in of_decoder.values():
        if not any(cell["primary"] for cell in group):
            for cell in group:
                cell["primary"] = cell["metric"] == group[0]["metric"]


def verdict_rows(
    ledger: Ledger,
    scores: Scored,
    by: str,
    bases: Bases,
    margin: float | None = None,
    costs: Callable[[Row], Row] = lambda cell: {},
) -> list[Row]:
    """A row per cell: mean, difference to the baseline of the same cell but for `by`, verdict.

    margin: of equivalence, in the unit of the metric; else `default_margin`. Holm's family is the
    metrics that are shown; all other metrics are another one. costs: further columns of a cell.
    """
    mean, low, high, _ = mean_intervals(scores.values, LEVEL)
    base = base_rows(scores.cells, CELL, by, bases)
    paired = np.array([b is not None and b != i for i, b in enumerate(base)], dtype=bool)
    at = np.array([i if b is None else b for i, b in enumerate(base)], dtype=np.int64)
    differences = np.where(paired[:, None], scores.values - scores.values[at], np.nan)
    tests = paired_tests(differences, LEVEL)
    margins = _margins(scores, mean[at], margin)
    primary = np.array([cell["primary"] for cell in scores.cells], dtype=bool)
    adjusted = _adjusted(tests.p, primary)
    within = equivalent(tests.low, tests.high, margins)
    examples = [
        _examples(ledger, scores, i, int(at[i])) if paired[i] else {} for i in range(len(paired))
    ]
    example_p = _adjusted(np.array([e.get("example_p", np.nan) for e in examples]), primary)
    n, n_ok = (scores.status >= 0).sum(axis=1), (scores.status == 0).sum(axis=1)
    rows = []
    for i, cell in enumerate(scores.cells):
        is_base = base[i] == i
        verdict, detectable = "", math.nan
        if paired[i] and n_ok[i]:
            known = (adjusted[i], tests.difference[i], within[i], cell["lower_is_better"])
            verdict = _verdict(*known)
            # A single pair could have shown no difference, whatever its size.
            detectable = math.inf if tests.n[i] < 2 else float(tests.detectable[i])
        rows.append(
            {
                **{key: cell[key] for key in CELL},
                "n": int(n[i]),
                "n_ok": int(n_ok[i]),
                "mean": float(mean[i]),
                "low": float(low[i]),
                "high": float(high[i]),
                "difference": 0.0 if is_base and n_ok[i] else float(tests.difference[i]),
                "difference_low": float(tests.low[i]),
                "difference_high": float(tests.high[i]),
                "pairs": int(tests.n[i]),
                "p": float(tests.p[i]),
                "p_adjusted": float(adjusted[i]),
                "verdict": verdict,
                "detectable": detectable,
                "margin": float(margins[i]),
                **{key: examples[i].get(key, math.nan) for key in EXAMPLES},
                "example_p_adjusted": float(example_p[i]),
                **costs(cell),
                "baseline": is_base,
                "primary": cell["primary"],
                "main": cell["main"],
                "lower_is_better": cell["lower_is_better"],
                "status": _counted(scores.status[i]),
            }
        )
    return sorted(rows, key=lambda row: rank(row, by))


EXAMPLES = ("example_difference", "example_low", "example_high", "example_p", "examples")


def base_rows(cells: Sequence[Row], keys: Sequence[str], by: str, bases: Bases) -> list[int | None]:
    """Per cell, the position of the one that it is compared with: equal but for `by`."""
    places = {tuple(cell[key] for key in keys): i for i, cell in enumerate(cells)}
    return [
        places.get(tuple(bases.get(c["task"], "") if k == by else c[k] for k in keys))
        for c in cells
    ]


def rank(row: Row, by: str) -> tuple[Any, ...]:
    """By task, shown metrics first, what is compared side by side; in it complete rows before
    others, and the best mean first."""
    mean = -math.inf if math.isnan(row["mean"]) else row["mean"]
    worth = -mean if row["lower_is_better"] and math.isfinite(mean) else mean
    others = [row[key] for key in CELL if key not in ("task", "metric", by)]
    first = (row["task"], not row["primary"], row["metric"], *others)
    return (*first, row["n_ok"] < row["n"], -worth, row[by])


def _verdict(p: float, difference: float, within: bool, lower_is_better: bool) -> str:
    """In a word. What is shown to differ is said to, however little: the margin is beside it."""
    if p <= 1 - LEVEL:
        return "better" if (difference < 0) == lower_is_better else "worse"
    return "equivalent" if within else "not shown"


def _margins(
    scores: Scored, base: NDArray[np.float64], margin: float | None
) -> NDArray[np.float64]:
    """Per cell, the largest difference that does not matter.

    Of metrics that are better low (losses, perplexity) 1 % of the baseline's mean; of others 1
    where the metric exceeds 1 somewhere in these results (0 to 100), else 0.01 (shares).
    """
    if margin is not None:
        return np.full(len(scores.cells), margin)
    large = {
        cell["metric"]
        for cell, values in zip(scores.cells, scores.values, strict=True)
        if (np.abs(values) > 1).any()
    }
    share = np.array([1.0 if cell["metric"] in large else 0.01 for cell in scores.cells])
    lower = np.array([cell["lower_is_better"] for cell in scores.cells], dtype=bool)
    relative = 0.01 * np.abs(base)
    # Of an unknown or zero baseline no share can be taken.
    return np.where(lower & (relative > 0), relative, share)


def _adjusted(p: NDArray[np.float64], primary: NDArray[np.bool_]) -> NDArray[np.float64]:
    adjusted = np.full(len(p), np.nan)
    for family in (primary, ~primary):
        adjusted[family] = holm(p[family])
    return adjusted


def _examples(ledger: Ledger, scores: Scored, mine: int, base: int) -> Row:
    """The paired test over seeds and examples, where both kept scores of the same examples."""
    metric = scores.cells[mine]["metric"]
    pairs = []
    if not ledger.examples:
        return {}
    for seed in np.flatnonzero((scores.status[mine] == 0) & (scores.status[base] == 0)):
        both = [
            ledger.examples.get((int(scores.trial[i, seed]), int(scores.place[i, seed]), metric))
            for i in (mine, base)
        ]
        if both[0] is not None and both[1] is not None and len(both[0]) == len(both[1]):
            pairs.append(both)
    if not pairs or len({len(one) for one, _ in pairs}) > 1:  # type: ignore[arg-type]
        return {}
    mine_scores, base_scores = (np.array(side) for side in zip(*pairs, strict=True))
    test = paired_examples(mine_scores, base_scores)
    values = (test.difference, test.low, test.high, test.p, test.examples)
    return dict(zip(EXAMPLES, values, strict=True))


def _counted(status: NDArray[np.int8]) -> str:
    """`"ok 2, timeout 1"`, the most frequent first."""
    counts = [(int((status == i).sum()), name) for i, name in enumerate(STATUSES)]
    counts.sort(key=lambda each: -each[0])
    return ", ".join(f"{name} {count}" for count, name in counts if count)
