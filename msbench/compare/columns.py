"""Records -> columns: what every trial cost and scored, read once; the records are not kept."""

import gc
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msbench.compare.labels import Labels, text_of
from msbench.compare.rows import Row
from msbench.errors import MsbenchError, RecordsError, did_you_mean
from msbench.records.record import Record
from msbench.records.schema import STATUSES
from msbench.spec import AXES

COSTS = (
    "passes",
    "steps",
    "train_seconds",
    "tokens_per_second",
    "peak_memory",
    "flops",
    "optimizer_bytes",
    "sent_bytes",
)
"""What a trial's training took, one number each."""


TRIAL = ("group", "seed", "status", "machine", *COSTS, "best", "last", "gap", "parameters")


DECODED = (
    "seconds",
    "count",
    "tokens",
    "steps",
    "positions",
    "first_token_seconds",
    "length_ratio",
    "log_probability",
    "empty",
    "calibration_seconds",
)
"""What predicting the test split took and gave besides scores."""


Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Ledger:
    """Columns over trials and over what they measured; what is not known is NaN."""

    groups: Sequence[Record]
    """A record without results for each group of trials."""
    tasks: Sequence[Mapping[str, Any]]
    """What the records of each group say of their task: its metric and the like."""
    trials: Columns
    """TRIAL: positions in `groups`, `seeds`, STATUSES and `machines`; costs; the `best` and the
    `last` validation loss of the last phase, the `gap` of training and test loss, and how many
    `parameters` were trained."""
    kept: NDArray[np.bool_]
    """Which trials count: of equal keys the last one does."""
    curve: Columns
    """Per measured point of the last phase: trial, passes, steps, seconds, loss."""
    scores: Columns
    """Per trial, decoder and metric: trial, place (of the decoder in its job), metric, value."""
    decoded: Columns
    """Per trial and decoder: trial, place, and DECODED."""
    examples: Mapping[tuple[int, int, str], NDArray[np.float64]]
    """Scores per example by trial, place and metric, of the metrics that are shown."""
    seeds: Sequence[int]
    metrics: Sequence[str]
    machines: Sequence[Mapping[str, Any]]
    tuned: Mapping[int, Mapping[str, Any]]
    """Which point of which search a trial is."""
    reasons: Mapping[int, str]
    """Why a trial is not ok."""
    measured: Sequence[Record]
    """Throughput measurements, whatever their status."""
    searches: Sequence[Record]

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Which trials ended ok."""
        return np.asarray(self.trials["status"] == 0)


def collect(records: Iterable[Record], metric: str = "") -> Ledger:
    """The ledger of all records, which may be a stream; of equal keys the last one counts.

    metric: also keep its scores per example. RecordsError names a record that is not whole.
    """
    book = _Book(metric)
    with _uncollected():
        for record in records:
            try:
                book.add(record)
            except _NOT_WHOLE as error:
                raise RecordsError(f"record {record.key}: {_told(error)}") from error
        try:
            return book.closed()
        except _NOT_WHOLE as error:
            raise RecordsError(f"a record: {_told(error)}") from error


def checked(ledger: Ledger, metric: str = "") -> Ledger:
    """The ledger, if it holds trials and, where one is asked for, the metric."""
    if not ledger.groups:
        told = f" yet, only {len(ledger.searches)} of a search" if ledger.searches else ""
        raise MsbenchError(f"there are no trials to compare{told}")
    if metric and metric not in ledger.metrics:
        raise MsbenchError(
            f"no metric {metric!r} in these results{did_you_mean(metric, ledger.metrics)}"
        )
    return ledger


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for cycles: parsed records have none, and it takes a tenth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


_NOT_WHOLE = (TypeError, ValueError, KeyError, AttributeError)


def _told(error: Exception) -> str:
    return f"its results are not whole ({type(error).__name__}: {error})"


@dataclass(frozen=True)
class Trained:
    """The trials that count, each a seed of a strategy on a machine."""

    cells: Sequence[Row]
    """AXES and `machine`, sorted."""
    cell: NDArray[np.int64]
    """Per trial, the position of its cell."""
    trial: NDArray[np.int64]
    """Per trial, its position in the ledger; of one strategy and seed only the last."""


def trained(ledger: Ledger, labels: Labels, machines: Sequence[str]) -> Trained:
    """The trials by strategy and machine. machines: what the ledger's are called."""
    axes = [tuple(labels.axes(record)[axis] for axis in AXES) for record in ledger.groups]
    strategies = {each: number for number, each in enumerate(sorted(set(axes)))}
    of_group = np.array([strategies[each] for each in axes], dtype=np.int64)
    (trial,) = np.nonzero(ledger.kept)
    strategy = of_group[ledger.trials["group"][trial]]
    alike = strategy * max(1, len(ledger.seeds)) + ledger.trials["seed"][trial]
    # A trial that was done again with another decoder beside has another key, but the same seed.
    _, newest = np.unique(alike[::-1], return_index=True)
    chosen = len(trial) - 1 - newest
    codes = strategy[chosen] * len(machines) + ledger.trials["machine"][trial[chosen]]
    found, cell = np.unique(codes, return_inverse=True)
    names = list(strategies)
    cells = [
        {
            **dict(zip(AXES, names[code // len(machines)], strict=True)),
            "machine": machines[code % len(machines)],
        }
        for code in found.tolist()
    ]
    return Trained(cells, cell, trial[chosen])


def newest_winners(ledger: Ledger, labels: Labels) -> tuple[Ledger, list[str]]:
    """The ledger without trials of winners that a later search has replaced, and a note of it."""
    axes = {
        trial: tuple(labels.axes(ledger.groups[ledger.trials["group"][trial]]).values())
        for trial in ledger.tuned
        if ledger.kept[trial]
    }
    newest = {cell: ledger.tuned[trial]["options"] for trial, cell in axes.items()}
    old = [trial for trial, cell in axes.items() if ledger.tuned[trial]["options"] != newest[cell]]
    if not old:
        return ledger, []
    kept = ledger.kept.copy()
    kept[old] = False
    return replace(ledger, kept=kept), [
        f"{len(old)} trials of winners of an earlier search are left out"
    ]


_DECODED = itemgetter(*DECODED)


_POINT = itemgetter("passes", "steps", "seconds", "validation_loss")


class _Book:
    """A ledger that is being written."""

    def __init__(self, metric: str):
        self.metric = metric
        self.groups: dict[str, tuple[int, list[Any]]] = {}
        self.firsts: list[Record] = []
        self.texts: list[tuple[str, list[tuple[str, str]]]] = []
        self.tasks: dict[str, Mapping[str, Any]] = {}
        self.names: dict[tuple[str, str], Any] = {}
        # Rows of numbers, one after the other: None becomes NaN when they are columns.
        self.rows: list[Any] = []
        self.curve: list[Any] = []
        self.points: list[int] = []
        self.scored: list[Any] = []
        self.values: list[Any] = []
        self.sets: dict[tuple[str, ...], int] = {}
        self.decoded: list[Any] = []
        self.without: list[tuple[int, int]] = []
        self.examples: dict[tuple[int, int, str], NDArray[np.float64]] = {}
        self.seeds: dict[int, int] = {}
        self.machines: list[Mapping[str, Any]] = []
        self.tuned: dict[int, Mapping[str, Any]] = {}
        self.reasons: dict[int, str] = {}
        self.last: dict[str, int] = {}
        self.others: dict[str, Record] = {}

    def add(self, record: Record) -> None:
        if not record.is_trial or record.is_search:
            self.others.pop(record.key, None)
            self.others[record.key] = _light(record) if record.is_trial else record
            return
        trial = self.last[record.key] = len(self.rows) // len(TRIAL)
        group, parts = self._group(record)
        results = record.results
        if "task" in results:
            self.tasks[self.texts[group][0]] = results["task"]
        if record.job.get("tuned"):
            self.tuned[trial] = record.job["tuned"]
        if record.status != "ok":
            self.reasons[trial] = record.reason
        seed = self.seeds.setdefault(int(record.job["seed"]), len(self.seeds))
        about = (group, seed, STATUSES.index(record.status), self._machine(record.machine))
        self.rows += (*about, *_costs(results), *self._losses(trial, results))
        self.rows.append(results.get("parameters"))
        self._decoding(trial, group, parts, results, record.status == "ok")

    def _group(self, record: Record) -> tuple[int, list[Any]]:
        known = self.groups.get(record.group)
        if known is None:
            parts = list(record.job["decoders"])
            known = self.groups[record.group] = (len(self.firsts), parts)
            self.firsts.append(replace(record, results={}))
            task = text_of(record.job["task"])
            self.texts.append((task, [(task, text_of(part)) for part in parts]))
        return known

    def _machine(self, machine: Mapping[str, Any]) -> int:
        # Nearly always the one before: equality is cheaper than a text of it.
        if self.machines and self.machines[-1] == machine:
            return len(self.machines) - 1
        if machine in self.machines:
            return self.machines.index(machine)
        self.machines.append(machine)
        return len(self.machines) - 1

    def _losses(self, trial: int, results: Mapping[str, Any]) -> tuple[float, float, float]:
        """(best, last) validation loss and the gap; the points go to the curve."""
        curve = (results.get("training") or {}).get("curve") or ()
        best = last = math.nan
        if curve:
            phase = curve[-1].get("phase", 0)  # losses of two phases may be of two kinds
            if curve[0].get("phase", 0) != phase:
                curve = [point for point in curve if point.get("phase", 0) == phase]
            self.curve.extend(chain.from_iterable(map(_POINT, curve)))
            self.points += (trial, len(curve))
            losses = [point["validation_loss"] for point in curve]
            last = _number(losses[-1])
            best = min((x for x in losses if x is not None), default=math.nan)
        ends = results.get("losses") or {}
        return best, last, _number(ends.get("train")) - _number(ends.get("test"))

    def _decoding(
        self, trial: int, group: int, parts: list[Any], results: Mapping[str, Any], ok: bool
    ) -> None:
        task, keys = self.texts[group]
        told = self.tasks.get(task, {})
        shown = (self.metric, told.get("metric"), *told.get("also", ()))
        given = []
        for number, decoded in enumerate(results.get("decoding", ())):
            part, metrics = decoded["decoder"], decoded["metrics"]
            place = number if number < len(parts) and parts[number] == part else _place(parts, part)
            if place is None or not metrics:
                continue
            self.names[keys[place]] = metrics
            if not ok:
                continue
            given.append(place)
            self._scores(trial, place, metrics, metrics.values())
            if "steps" in decoded:
                try:
                    self.decoded += (trial, place, *_DECODED(decoded))
                except KeyError:
                    self.decoded += (trial, place, *map(decoded.get, DECODED))
            for name, values in decoded.get("examples", {}).items():
                if name in shown and values:
                    self.examples[trial, place, name] = np.asarray(values, dtype=float)
        if len(given) < len(parts):
            self.without += [(trial, place) for place in range(len(parts)) if place not in given]

    def _scores(self, trial: int, place: int, names: Iterable[str], values: Iterable[Any]) -> None:
        """Scores under their names; which names there are is kept once for all that have them."""
        names = tuple(names)
        self.scored += (trial, place, self.sets.setdefault(names, len(self.sets)))
        self.values += values

    def closed(self) -> Ledger:
        """All of it as columns."""
        for trial, place in self.without:
            names = self.names.get(self.texts[self.rows[trial * len(TRIAL)]][1][place], ("-",))
            self._scores(trial, place, names, [math.nan] * len(names))
        trials = _columns(TRIAL, self.rows, 4)
        # Columns by seed, so that sums do not depend on who finished first.
        order = sorted(self.seeds)
        numbers = {seed: number for number, seed in enumerate(order)}
        renumbered = np.array([numbers[seed] for seed in self.seeds], dtype=np.int64)
        trials["seed"] = renumbered[trials["seed"]]
        kept = np.zeros(len(trials["seed"]), dtype=bool)
        kept[list(self.last.values())] = True
        others = self.others.values()
        every = dict.fromkeys(name for names in self.sets for name in names)
        metrics = {name: number for number, name in enumerate(every)}
        return Ledger(
            groups=self.firsts,
            tasks=[self.tasks.get(task, {}) for task, _ in self.texts],
            trials=trials,
            kept=kept,
            curve={
                "trial": np.repeat(*_columns(("trial", "points"), self.points, 2).values()),
                **_columns(("passes", "steps", "seconds", "loss"), self.curve, 0),
            },
            scores=self._scores_by_trial(metrics),
            decoded=_columns(("trial", "place", *DECODED), self.decoded, 2),
            examples=self.examples,
            seeds=order,
            metrics=list(metrics),
            machines=self.machines,
            tuned=self.tuned,
            reasons=self.reasons,
            measured=[record for record in others if not record.is_trial],
            searches=[record for record in others if record.is_trial],
        )

    def _scores_by_trial(self, metrics: Mapping[str, int]) -> Columns:
        scored = _columns(("trial", "place", "set"), self.scored, 3)
        sizes = np.array([len(names) for names in self.sets], dtype=np.int64)[scored["set"]]
        codes = [[metrics[name] for name in names] for names in self.sets]
        columns = {
            "trial": np.repeat(scored["trial"], sizes),
            "place": np.repeat(scored["place"], sizes),
            "metric": np.array([c for s in scored["set"].tolist() for c in codes[s]], np.int64),
            "value": np.array(self.values, dtype=float),
        }
        order = np.argsort(columns["trial"], kind="stable")
        return {name: column[order] for name, column in columns.items()}


def _light(search: Record) -> Record:
    """A search trial without what tables do not show."""
    kept = {k: v for k, v in search.results.items() if k == "training"}
    return replace(search, results=kept)


def _costs(results: Mapping[str, Any]) -> tuple[Any, ...]:
    training, compute = results.get("training") or {}, results.get("compute") or {}
    seconds = _number(training.get("seconds")) or math.nan
    return (
        training.get("passes"),
        training.get("steps"),
        seconds,
        _number(training.get("tokens")) / seconds,
        results.get("peak_memory"),
        compute.get("flops"),
        compute.get("optimizer_bytes"),
        compute.get("sent_bytes"),
    )


def _place(parts: Sequence[Any], part: Any) -> int | None:
    return parts.index(part) if part in parts else None


def _number(value: Any) -> float:
    """NaN where older records, or something that failed, do not say."""
    return math.nan if value is None else float(value)


def _columns(names: Sequence[str], rows: Sequence[Any], integers: int) -> dict[str, NDArray[Any]]:
    """Rows, one after the other, as columns; the first so many are integers."""
    table = np.array(rows, dtype=float).reshape(-1, len(names)).T
    return {
        name: column.astype(np.int64) if number < integers else column
        for number, (name, column) in enumerate(zip(names, table, strict=True))
    }
