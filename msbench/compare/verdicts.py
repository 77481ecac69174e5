"""Verdicts: is a strategy better than the baseline, worse, equivalent, or was nothing shown?"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msbench.compare.columns import Columns
from msbench.compare.labels import Labels
from msbench.compare.rows import AccuracyRow, Bases, CellRow, CostRow, ExampleRow, StrategyKey
from msbench.compare.stats import equivalent, holm, mean_intervals, paired_examples, paired_tests
from msbench.records.schema import STATUSES
from msbench.spec import AXES, Compared

LEVEL = 0.95

Key = tuple[str, ...]


@dataclass(frozen=True)
class Scored:
    """Scores of every cell, seed by seed."""

    cells: Sequence[CellRow]
    values: NDArray[np.float64]
    """(cells, seeds); NaN where a trial did not end ok or gave no number."""
    status: NDArray[np.int8]
    """(cells, seeds): position in STATUSES, -1 where there was no trial."""
    trial: NDArray[np.int64]
    """(cells, seeds): which trial of the columns; 0 where there was none."""
    place: NDArray[np.int64]
    """(cells, seeds): place of the decoder in that trial's job."""


def scored(columns: Columns, labels: Labels, metric: str = "") -> Scored:
    """The scores by cell and seed; of one cell and seed the last trial counts.

    metric: the one that is shown, instead of each task's own.
    """
    table = {k: v[columns.kept[columns.scores["trial"]]] for k, v in columns.scores.items()}
    group = columns.trials["group"][table["trial"]]
    places = 1 + int(table["place"].max(initial=0))
    combined = (group * places + table["place"]) * len(columns.metrics) + table["metric"]
    codes, inverse = np.unique(combined, return_inverse=True)
    described = [_cell(columns, labels, code, places) for code in codes.tolist()]
    cells = {_key(cell): cell for cell in described}
    numbers = {key: number for number, key in enumerate(cells)}
    cell_of_code = [numbers[_key(cell)] for cell in described]
    _mark_shown(list(cells.values()), metric)
    shape = (len(cells), len(columns.seeds))
    values, status = np.full(shape, np.nan), np.full(shape, -1, dtype=np.int8)
    trial, place = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    row = np.array(cell_of_code, dtype=np.int64)[inverse]
    at = row, columns.trials["seed"][table["trial"]]
    # Of several trials of one cell and seed the last one is written last.
    values[at], trial[at], place[at] = table["value"], table["trial"], table["place"]
    status[at] = columns.trials["status"][table["trial"]]
    return Scored(list(cells.values()), values, status, trial, place)


def _cell(columns: Columns, labels: Labels, code: int, places: int) -> CellRow:
    rest, metric = divmod(code, len(columns.metrics))
    group, place = divmod(rest, places)
    record, task, name = columns.groups[group], columns.tasks[group], columns.metrics[metric]
    facts = task["metrics"].get(name) if task else None
    return {
        **labels.axes(record),
        "decoder": labels.of(record, "decoder", record.trial["decoders"][place]),
        "metric": name,
        "main": task is not None and name == task["metric"],
        "primary": task is not None and name in (task["metric"], *task["also"]),
        "lower_is_better": facts is not None and facts["lower_is_better"],
    }


def _key(cell: CellRow) -> Key:
    """What a cell is of."""
    return (*StrategyKey.of(cell), cell["decoder"], cell["metric"])


def _mark_shown(cells: Sequence[CellRow], metric: str) -> None:
    """Say which metric is shown: the one asked for, else the task's, else the decoder's first."""
    if metric:
        for cell in cells:
            cell["main"] = cell["primary"] = cell["metric"] == metric
        return
    by_decoder: dict[Key, list[CellRow]] = {}
    for cell in cells:
        by_decoder.setdefault((cell["task"], cell["decoder"]), []).append(cell)
    for group in by_decoder.values():
        if not any(cell["primary"] for cell in group):
            for cell in group:
                cell["primary"] = cell["metric"] == group[0]["metric"]


def verdict_rows(
    columns: Columns,
    scores: Scored,
    by: Compared,
    bases: Bases,
    costs: Callable[[CellRow], CostRow],
    margin: float | None = None,
) -> list[AccuracyRow]:
    """A row per cell: mean, difference to the baseline of the same cell but for `by`, verdict.

    costs: what training a cell's strategy took. margin: of equivalence, in the unit of the metric;
    else `_margins`. Holm's family is the metrics that are shown; all other metrics are another one.
    """
    mean, low, high, _ = mean_intervals(scores.values, LEVEL)
    base = base_cells(scores.cells, by, bases)
    paired = np.array([b is not None and b != i for i, b in enumerate(base)], dtype=bool)
    at = np.array([i if b is None else b for i, b in enumerate(base)], dtype=np.int64)
    differences = np.where(paired[:, None], scores.values - scores.values[at], np.nan)
    tests = paired_tests(differences, LEVEL)
    margins = _margins(scores, mean[at], margin)
    primary = np.array([cell["primary"] for cell in scores.cells], dtype=bool)
    adjusted = _adjusted(tests.p, primary)
    within = equivalent(tests.low, tests.high, margins)
    examples = [
        _examples(columns, scores, i, int(at[i])) if paired[i] else UNPAIRED
        for i in range(len(paired))
    ]
    example_p = _adjusted(np.array([each["example_p"] for each in examples]), primary)
    n = (scores.status >= 0).sum(axis=1)
    # A trial that ended ok without a number for this metric has not shown what it is worth.
    n_ok = ((scores.status == 0) & ~np.isnan(scores.values)).sum(axis=1)
    rows: list[AccuracyRow] = []
    for i, cell in enumerate(scores.cells):
        is_base = base[i] == i
        judged = bool(paired[i] and (scores.status[i] == 0).any())
        # A single pair could have shown no difference, whatever its size.
        detectable = math.inf if tests.n[i] < 2 else float(tests.detectable[i])
        rows.append(
            {
                **StrategyKey.of(cell).row(),
                "decoder": cell["decoder"],
                "metric": cell["metric"],
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
                "verdict": _verdict(
                    adjusted[i], tests.difference[i], within[i], cell["lower_is_better"]
                )
                if judged
                else "",
                "detectable": detectable if judged else math.nan,
                "margin": float(margins[i]),
                **examples[i],
                "example_p_adjusted": float(example_p[i]),
                **costs(cell),
                "baseline": is_base,
                "primary": cell["primary"],
                "main": cell["main"],
                "lower_is_better": cell["lower_is_better"],
                "status": _status_counts(scores.status[i]),
            }
        )
    return sorted(rows, key=lambda row: _rank(row, by))


UNPAIRED: ExampleRow = {
    "example_difference": math.nan,
    "example_low": math.nan,
    "example_high": math.nan,
    "example_p": math.nan,
    "examples": math.nan,
}


def base_cells(cells: Sequence[CellRow], by: Compared, bases: Bases) -> list[int | None]:
    """Per cell, the position of the one that it is compared with: equal but for `by`."""
    places = {_key(cell): number for number, cell in enumerate(cells)}
    axis = (*AXES, "decoder").index(by)
    keys = [_key(cell) for cell in cells]
    return [places.get((*key[:axis], bases.get(key[0], ""), *key[axis + 1 :])) for key in keys]


def _rank(row: AccuracyRow, by: Compared) -> tuple[object, ...]:
    """By task, shown metrics first, what is compared side by side; in it complete rows before
    others, and the best mean first."""
    mean = -math.inf if math.isnan(row["mean"]) else row["mean"]
    worth = -mean if row["lower_is_better"] and math.isfinite(mean) else mean
    axes = (*AXES[1:], "decoder")
    others = [name for axis, name in zip(axes, _key(row)[1:-1], strict=True) if axis != by]
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


def _examples(columns: Columns, scores: Scored, mine: int, base: int) -> ExampleRow:
    """The paired test over seeds and examples, where both kept scores of the same examples."""
    if not columns.examples:
        return UNPAIRED
    metric = scores.cells[mine]["metric"]
    both = (scores.status[mine] == 0) & (scores.status[base] == 0)
    found = (
        [
            columns.examples.get((trial, place, metric))
            for trial, place in zip(
                scores.trial[i, both].tolist(), scores.place[i, both].tolist(), strict=True
            )
        ]
        for i in (mine, base)
    )
    pairs = []
    for one, other in zip(*found, strict=True):
        if one is not None and other is not None and len(one) == len(other):
            pairs.append((one, other))
    if len({len(one) for one, _ in pairs}) != 1:
        return UNPAIRED
    mine_scores, base_scores = (np.array(side) for side in zip(*pairs, strict=True))
    test = paired_examples(mine_scores, base_scores)
    return {
        "example_difference": test.difference,
        "example_low": test.low,
        "example_high": test.high,
        "example_p": test.p,
        "examples": test.examples,
    }


def _status_counts(status: NDArray[np.int8]) -> str:
    """`"ok 2, timeout 1"`, the most frequent first."""
    counts = [(int((status == i).sum()), name) for i, name in enumerate(STATUSES)]
    counts.sort(key=lambda each: -each[0])
    return ", ".join(f"{name} {count}" for count, name in counts if count)
