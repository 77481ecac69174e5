"""Scores by cell and seed, and the verdict on each: better than the baseline, worse, or neither?"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from msbench.compare.asked import Asked
from msbench.compare.columns import Columns
from msbench.compare.fragile import remarks
from msbench.compare.judge import LEVEL, Judged, Judgement, judge
from msbench.compare.labels import Labels
from msbench.compare.looks import Looks, look, until
from msbench.compare.rows import (
    AccuracyRow,
    Bases,
    CellRow,
    CostRow,
    ExampleRow,
    LookRow,
    StrategyKey,
)
from msbench.compare.stats import (
    bounded_intervals,
    cut_at,
    holm,
    mean_intervals,
    paired_examples,
)
from msbench.records.schema import STATUSES
from msbench.spec import AXES, FIRST_LOOK, Compared

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
    seeds: Sequence[int]


def scored(
    columns: Columns, labels: Labels, metrics: Mapping[str, str], metric: str = ""
) -> Scored:
    """The scores by cell and seed; of one cell and seed the last trial counts.

    metrics: the one that decides, by task. metric: the one that is shown, instead of all others.
    """
    table = {k: v[columns.kept[columns.scores["trial"]]] for k, v in columns.scores.items()}
    group = columns.trials["group"][table["trial"]]
    places = 1 + int(table["place"].max(initial=0))
    combined = (group * places + table["place"]) * len(columns.metrics) + table["metric"]
    codes, inverse = np.unique(combined, return_inverse=True)
    described = [_cell(columns, labels, metrics, code, places) for code in codes.tolist()]
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
    return Scored(list(cells.values()), values, status, trial, place, columns.seeds)


def _cell(
    columns: Columns, labels: Labels, metrics: Mapping[str, str], code: int, places: int
) -> CellRow:
    rest, metric = divmod(code, len(columns.metrics))
    group, place = divmod(rest, places)
    record, task, name = columns.groups[group], columns.tasks[group], columns.metrics[metric]
    facts = task["metrics"].get(name) if task else None
    axes = labels.axes(record)
    main = task is not None and name == metrics.get(axes["task"], task["metric"])
    low, high, margin = (facts[k] for k in ("low", "high", "margin")) if facts else (None,) * 3
    return {
        **axes,
        "decoder": labels.of(record, "decoder", record.trial["decoders"][place]),
        "metric": name,
        "main": main,
        "primary": main or (task is not None and name in (task["metric"], *task["also"])),
        "lower_is_better": facts is not None and facts["lower_is_better"],
        "lowest": -math.inf if low is None else low,
        "highest": math.inf if high is None else high,
        "declared_margin": math.nan if margin is None else margin,
        "relative_margin": facts is not None and facts["relative"],
    }


def _key(cell: CellRow | AccuracyRow) -> Key:
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


@dataclass(frozen=True)
class Settled:
    """The verdicts on all cells against the baseline of each."""

    asked: Asked
    base: NDArray[np.int64]
    """Per cell, the one that it is compared with; itself if it is the baseline, -1 for none."""
    judged: Judged
    margins: NDArray[np.float64]
    looks: Looks | None = None
    """Where seeds were added until there was a verdict."""

    def on(self, cell: int, other: int) -> Judgement | None:
        """The verdict on a cell against another, where one of them is the other's baseline.

        Whoever asks about such a pair must say this, whatever else is asked beside it.
        """
        if self.is_paired(cell) and self.base[cell] == other:
            return self.judged[cell]
        if self.is_paired(other) and self.base[other] == cell:
            return self.judged[other].flipped()
        return None

    def is_paired(self, cell: int) -> bool:
        """Whether it is compared with another cell."""
        return self.base[cell] not in (-1, cell)


def settle(scores: Scored, asked: Asked, margin: float | None = None) -> Settled:
    """Judge every cell against its baseline.

    Families are the strategies of one task and model, by one decoder and metric: what the declared
    question is about is one of them, and everything else has its own. margin: that of equivalence,
    in the unit of the metric, instead of the declared one. Where seeds were added until there was a
    verdict, what answers the question is judged by the seeds up to where it stopped.
    """
    cells, most = scores.cells, asked.max_seeds
    base = np.array([-1 if b is None else b for b in base_cells(cells, asked.by, asked.bases)])
    base = base.astype(np.int64)
    paired = (base >= 0) & (base != np.arange(len(base)))
    values = added_seeds(scores, most) if most else scores.values
    differences = np.where(paired[:, None], values - values[base], np.nan)
    families = [family_of(cell, asked.by) for cell in cells]
    lower = np.array([cell["lower_is_better"] for cell in cells], dtype=bool)
    looks, margins = None, partial(_margins, cells, values, base, margin)
    counted = np.full(len(cells), values.shape[1], dtype=np.int64)
    if most:
        ran = added_seeds(replace(scores, values=np.where(scores.status >= 0, 1.0, 0.0)), most) == 1
        answers = paired & np.array(asked.decides, dtype=bool)
        looks = look(differences, ran & ran[base], families, margins, lower, most, answers)
        counted = np.where(answers, np.maximum(looks.seeds, FIRST_LOOK - 1), most)
    found = judge(until(differences, counted), families, margins(counted), lower, max_seeds=most)
    return Settled(asked, base, found, found.margins, looks)


def added_seeds(scores: Scored, most: int) -> NDArray[np.float64]:
    """The values of the seeds 0, 1, ..., `most` - 1 in this order; NaN where there are none."""
    places = {seed: place for place, seed in enumerate(scores.seeds)}
    empty = np.full((len(scores.values), 1), np.nan)
    columns = np.hstack([scores.values, empty])
    return np.asarray(columns[:, [places.get(seed, -1) for seed in range(most)]])


def family_of(cell: CellRow, by: Compared) -> Hashable:
    within = {"model": cell["model"], "decoder": cell["decoder"]}
    return (cell["task"], cell["metric"], *(name for axis, name in within.items() if axis != by))


def margin_of(cell: CellRow, base: float) -> float:
    """The margin of one cell against a base of that mean."""
    share = abs(base) if cell["relative_margin"] else 1.0
    margin = cell["declared_margin"] * share
    return margin if margin > 0 else math.nan


def _margins(
    cells: Sequence[CellRow],
    values: NDArray[np.float64],
    base: NDArray[np.int64],
    margin: float | None,
    counted: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Per cell, the largest difference that does not matter: the metric's, never one that is taken
    from the values; NaN where nobody has declared one.

    counted: how many seeds of each cell's baseline a relative margin is a share of.
    """
    if margin is not None:
        return np.full(len(cells), margin)
    means = mean_intervals(until(values[base], counted))[0]
    pairs = zip(cells, base.tolist(), means.tolist(), strict=True)
    return np.array([margin_of(c, mean) if b >= 0 else math.nan for c, b, mean in pairs])


def verdict_rows(
    columns: Columns, scores: Scored, settled: Settled, costs: Callable[[CellRow], CostRow]
) -> list[AccuracyRow]:
    """A row per cell: mean, difference to the baseline of the same cell, verdict.

    costs: what training a cell's strategy took.
    """
    cells, judged, base = scores.cells, settled.judged, settled.base
    lowest, highest = (np.array([c[k] for c in cells]) for k in ("lowest", "highest"))
    mean, low, high, _ = bounded_intervals(scores.values, lowest, highest, LEVEL)
    tests = judged.tests
    difference_low, difference_high = cut_at(tests, highest - lowest)
    examples = [
        _examples(columns, scores, i, int(base[i]), float(judged.p[i]))
        if settled.is_paired(i)
        else UNPAIRED
        for i in range(len(cells))
    ]
    example_p = _adjusted(
        np.array([each["example_p"] for each in examples]),
        [family_of(cell, settled.asked.by) for cell in cells],
    )
    n = (scores.status >= 0).sum(axis=1)
    # A trial that ended ok without a number for this metric has not shown what it is worth.
    n_ok = ((scores.status == 0) & ~np.isnan(scores.values)).sum(axis=1)
    notes = remarks(scores.values, base, settled.margins, cells, settled.asked.by)
    rows: list[AccuracyRow] = []
    for i, cell in enumerate(cells):
        is_base = bool(base[i] == i)
        is_judged = settled.is_paired(i) and bool((scores.status[i] == 0).any())
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
                "difference_low": float(difference_low[i]),
                "difference_high": float(difference_high[i]),
                "pairs": int(tests.n[i]),
                "p": float(judged.p[i]),
                "p_adjusted": float(judged.p_adjusted[i]),
                "verdict": judged.verdicts[i] if is_judged else "",
                "family": int(judged.family[i]) if is_judged else 0,
                "equivalence_p": float(judged.equivalence_p[i]),
                "seeds_needed": float(judged.needed[i]) if is_judged else math.nan,
                "detectable": float(judged.detectable[i]) if is_judged else math.nan,
                **_looked(settled, i),
                "margin": float(settled.margins[i]),
                "remark": _remark(notes[i], examples[i], tests.difference[i]) if is_judged else "",
                **examples[i],
                "example_p_adjusted": float(example_p[i]),
                **costs(cell),
                "baseline": is_base,
                "decides": settled.asked.decides[i],
                "primary": cell["primary"],
                "main": cell["main"],
                "lower_is_better": cell["lower_is_better"],
                "by_seed": scores.values[i].tolist(),
                "status": _status_counts(scores.status[i]),
            }
        )
    return sorted(rows, key=lambda row: _rank(row, settled.asked.by))


def _looked(settled: Settled, cell: int) -> LookRow:
    """How far seeds were added to a cell. What its family decided later is decided."""
    looks = settled.looks
    if looks is None or not looks.seeds[cell]:
        return {"looked": 0, "stopped": ""}
    why, is_open = looks.why[cell], settled.judged.verdicts[cell] == "undecided"
    return {"looked": int(looks.seeds[cell]), "stopped": why if is_open or not why else "decided"}


def _remark(note: str, examples: ExampleRow, difference: float) -> str:
    """What makes a verdict fragile, with a corpus score that says the opposite of single ones."""
    apart = examples["example_difference"] * difference < 0
    return "; ".join(filter(None, [note, "per example the other way" if apart else ""]))


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
    """By task, what decides first, then what is shown, what is compared side by side; in it
    complete rows before others, and the best mean first."""
    mean = -math.inf if math.isnan(row["mean"]) else row["mean"]
    worth = -mean if row["lower_is_better"] and math.isfinite(mean) else mean
    axes = (*AXES[1:], "decoder")
    others = [name for axis, name in zip(axes, _key(row)[1:-1], strict=True) if axis != by]
    first = (row["task"], not row["decides"], not row["primary"], row["metric"], *others)
    return (*first, row["n_ok"] < row["n"], -worth, row[by])


def _adjusted(p: NDArray[np.float64], families: Sequence[Hashable]) -> NDArray[np.float64]:
    """Family by family (Holm)."""
    adjusted = np.full(len(p), np.nan)
    numbers = {family: number for number, family in enumerate(dict.fromkeys(families))}
    number = np.array([numbers[family] for family in families], dtype=np.int64)
    for each in range(len(numbers)):
        adjusted[number == each] = holm(p[number == each])
    return adjusted


def _examples(
    columns: Columns, scores: Scored, mine: int, base: int, over_seeds: float
) -> ExampleRow:
    """The paired test over seeds and examples, where both kept scores of the same examples.

    over_seeds: p of the test over seeds. A claim about new examples as well cannot be surer.
    """
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
        "example_p": max(test.p, over_seeds) if len(pairs) > 1 else test.p,
        "examples": test.examples,
    }


def _status_counts(status: NDArray[np.int8]) -> str:
    """`"ok 2, timeout 1"`, the most frequent first."""
    counts = [(int((status == i).sum()), name) for i, name in enumerate(STATUSES)]
    counts.sort(key=lambda each: -each[0])
    return ", ".join(f"{name} {count}" for count, name in counts if count)
