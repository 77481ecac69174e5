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
from msbench.compare.rows import MachineStrategyRow
from msbench.compare.versions import by_versions
from msbench.errors import MsbenchError, RecordsError, did_you_mean
from msbench.records.record import Record
from msbench.records.schema import (
    STATUSES,
    DecodedData,
    PartData,
    TaskData,
    TrialResults,
    TunedData,
)

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

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Columns:
    """Columns over trials and over what they measured; what is not known is NaN."""

    groups: Sequence[Record]
    """A record without results for each group of trials."""
    tasks: Sequence[TaskData | None]
    """What the records of each group say of their task: its metric and the like."""
    trials: Arrays
    """Positions in `groups` (`group`), `seeds` (`seed`), STATUSES (`status`) and `machines`
    (`machine`); whether it is of weights that another trial trained (`redecoded`: 1, else 0);
    COSTS; the `best` and the `last` validation loss of the last phase, the `generalization_gap`,
    and the number of trained `parameters`."""
    kept: NDArray[np.bool_]
    """Which trials count: of equal keys the last one does."""
    curve: Arrays
    """Per measured point of the last phase: trial, passes, steps, seconds, loss."""
    scores: Arrays
    """Per trial, decoder and metric: trial, place (of the decoder in its job), metric, value."""
    decoded: Arrays
    """Per trial and decoder: trial, place, and DECODED."""
    examples: Mapping[tuple[int, int, str], NDArray[np.float64]]
    """Scores per example by trial, place and metric, of the metrics that are shown."""
    seeds: Sequence[int]
    metrics: Sequence[str]
    machines: Sequence[Mapping[str, Any]]
    tuned: Mapping[int, TunedData]
    """Which point of which search a trial is."""
    reasons: Mapping[int, str]
    """Why a trial is not ok."""
    found: Mapping[int, Sequence[str]]
    """What guards found in a trial, in sentences."""
    measured: Sequence[Record]
    """Throughput measurements, whatever their status."""
    searches: Sequence[Record]
    yardsticks: Sequence[Record] = ()
    """Whole records of what strategies are held against, which is in no other column."""

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Which trials ended ok."""
        return np.asarray(self.trials["status"] == 0)

    def predictions(self, trial: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.int64]:
        """For trials and places of a decoder, of any shape, rows of `decoded`; -1 for none."""
        places = 1 + int(max(place.max(initial=0), self.decoded["place"].max(initial=0)))
        known = self.decoded["trial"] * places + self.decoded["place"]
        order, wanted = np.argsort(known), trial * places + place
        at = np.searchsorted(known, wanted, sorter=order)
        at = np.append(order, -1)[at]
        return np.where(np.append(known, -1)[at] == wanted, at, -1)

    def record(self, trial: int) -> Record:
        """The record without results of a trial's group."""
        return self.groups[int(self.trials["group"][trial])]


def collect(records: Iterable[Record] | Columns, metric: str = "") -> Columns:
    """The columns of all records, which may be a stream; of equal keys the last one counts.

    metric: also keep its scores per example. Columns that were collected for it stay as they are.
    RecordsError names a record that is not whole.
    """
    if isinstance(records, Columns):
        return records
    collector = _Collector(metric)
    with _without_collecting_garbage():
        for record in records:
            try:
                collector.add(record)
            except (TypeError, ValueError, KeyError, AttributeError) as error:
                reason = f"{type(error).__name__}: {error}"
                raise RecordsError(
                    f"record {record.key}: its results are not whole ({reason})"
                ) from error
        return collector.columns()


def checked(columns: Columns, metric: str = "") -> Columns:
    """The columns, if they hold trials and, where one is asked for, the metric."""
    if not columns.groups:
        only = f" yet, only {len(columns.searches)} of a search" if columns.searches else ""
        raise MsbenchError(f"there are no trials to compare{only}")
    if metric and metric not in columns.metrics:
        raise MsbenchError(
            f"no metric {metric!r} in these results{did_you_mean(metric, columns.metrics)}"
        )
    return columns


@dataclass(frozen=True)
class Trained:
    """The trials that count, each a seed of a strategy on a machine."""

    cells: Sequence[MachineStrategyRow]
    """Every strategy on every machine, sorted."""
    cell: NDArray[np.int64]
    """Per trial, the position of its cell."""
    trial: NDArray[np.int64]
    """Per trial, its position in the columns; of one strategy and seed only the newest."""


def trained(columns: Columns, labels: Labels, machines: Sequence[str]) -> Trained:
    """The trials by strategy and machine; machines: names, in the order of `Columns.machines`."""
    axes = [labels.key(record) for record in columns.groups]
    strategies = sorted(set(axes))
    numbers = {strategy: number for number, strategy in enumerate(strategies)}
    of_group = np.array([numbers[each] for each in axes], dtype=np.int64)
    rows = {labels.key(record): labels.axes(record) for record in columns.groups}
    (trial,) = np.nonzero(columns.kept)
    strategy = of_group[columns.trials["group"][trial]]
    seed_of_strategy = strategy * max(1, len(columns.seeds)) + columns.trials["seed"][trial]
    # A trial that was done again with another decoder beside has another key, but the same seed.
    chosen = _newest(columns, trial, seed_of_strategy)
    codes = strategy[chosen] * len(machines) + columns.trials["machine"][trial[chosen]]
    cells, cell = np.unique(codes, return_inverse=True)
    described: list[MachineStrategyRow] = [
        {**rows[strategies[code // len(machines)]], "machine": machines[code % len(machines)]}
        for code in cells.tolist()
    ]
    return Trained(described, cell, trial[chosen])


def _newest(
    columns: Columns, trial: NDArray[np.int64], code: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Of each code, which of the trials counts: the last one that was trained.

    What was only decoded again says what its training took, but its seconds are of the machine
    that decoded: it counts where the records lack the trial whose weights it had.
    """
    order = np.lexsort((trial, columns.trials["redecoded"][trial] == 0, code))
    last = np.append(np.diff(code[order]) > 0, True)
    return np.asarray(order[last])


class _Table:
    """Rows of numbers, one behind the other, that become columns at the end; None becomes NaN."""

    def __init__(self, integers: Sequence[str], numbers: Sequence[str]):
        self._integers, self._names = len(integers), (*integers, *numbers)
        self._values: list[Any] = []
        self.add = self._values.extend

    def __len__(self) -> int:
        return len(self._values) // len(self._names)

    def columns(self) -> dict[str, NDArray[Any]]:
        table = np.array(self._values, dtype=float).reshape(-1, len(self._names)).T
        return {
            name: column.astype(np.int64) if number < self._integers else column
            for number, (name, column) in enumerate(zip(self._names, table, strict=True))
        }


_DECODED = itemgetter(*DECODED)
_POINT = itemgetter("passes", "steps", "seconds", "validation_loss")


class _Collector:
    """Columns that are being filled, record by record."""

    def __init__(self, metric: str):
        self.metric = metric
        self.groups: dict[tuple[str, int], tuple[int, list[PartData]]] = {}
        """By the group and the machine of records: versions of libraries are the machine's."""
        self.firsts: list[Record] = []
        self.texts: list[tuple[str, list[tuple[str, str]]]] = []
        """Per group, the text of its task, and of that with each of its decoders."""
        self.tasks: dict[str, TaskData] = {}
        self.names: dict[tuple[str, str], Iterable[str]] = {}
        """By task and decoder, the metrics that it gives there."""
        final = ("best", "last", "generalization_gap", "parameters")
        integers = ("group", "seed", "status", "machine", "redecoded")
        self.trials = _Table(integers, (*COSTS, *final))
        self.curve = _Table((), ("passes", "steps", "seconds", "loss"))
        self.points = _Table(("trial", "points"), ())
        self.scored = _Table(("trial", "place", "set"), ())
        self.values: list[Any] = []
        self.sets: dict[tuple[str, ...], int] = {}
        """Sets of metrics that come together, and their numbers."""
        self.decoded = _Table(("trial", "place"), DECODED)
        self.lacking: list[tuple[int, int, int]] = []
        """Trial, group and place of decoders that gave nothing."""
        self.examples: dict[tuple[int, int, str], NDArray[np.float64]] = {}
        self.seeds: dict[int, int] = {}
        self.machines: list[Mapping[str, Any]] = []
        self.tuned: dict[int, TunedData] = {}
        self.reasons: dict[int, str] = {}
        self.found: dict[int, Sequence[str]] = {}
        self.last: dict[str, int] = {}
        self.others: dict[str, Record] = {}
        self.yardsticks: dict[str, Record] = {}

    def add(self, record: Record) -> None:
        if record.is_yardstick:
            self.yardsticks[record.key] = record
            return
        if not record.is_trial or record.is_search:
            self.others.pop(record.key, None)
            self.others[record.key] = by_versions(
                _without_scores(record) if record.is_trial else record
            )
            return
        trial = self.last[record.key] = len(self.trials)
        machine = self._machine(record.machine)
        group, decoders = self._group(record, machine)
        job, results = record.trial, record.trial_results
        if "task" in results:
            self.tasks[self.texts[group][0]] = results["task"]
        if tuned := job.get("tuned"):
            self.tuned[trial] = tuned
        if record.status != "ok":
            self.reasons[trial] = record.reason
        if found := results.get("guards", {}).get("found"):
            self.found[trial] = found
        seed = self.seeds.setdefault(job["seed"], len(self.seeds))
        redecoded = results.get("weights_of", record.key) != record.key
        status, machine = STATUSES.index(record.status), self._machine(record.machine)
        about = (group, seed, status, machine, redecoded)
        losses = self._losses(trial, results)
        self.trials.add((*about, *_costs(results), *losses, results.get("parameters")))
        self._decoding(trial, group, decoders, results, record.status == "ok")

    def _group(self, record: Record, machine: int) -> tuple[int, list[PartData]]:
        known = self.groups.get((record.group, machine))
        if known is None:
            decoders = record.trial["decoders"]
            known = self.groups[record.group, machine] = (len(self.firsts), decoders)
            self.firsts.append(by_versions(replace(record, results={})))
            task = text_of(record.trial["task"])
            self.texts.append((task, [(task, text_of(part)) for part in decoders]))
        return known

    def _machine(self, machine: Mapping[str, Any]) -> int:
        # Nearly always the one before: equality is cheaper than a text of it.
        if self.machines and self.machines[-1] == machine:
            return len(self.machines) - 1
        if machine not in self.machines:
            self.machines.append(machine)
        return self.machines.index(machine)

    def _losses(self, trial: int, results: TrialResults) -> tuple[float, float, float]:
        """(best, last) validation loss and the generalization gap; the points go to the curve."""
        training = results.get("training")
        curve = training["curve"] if training else []
        best = last = math.nan
        if curve:
            phase = curve[-1].get("phase", 0)  # losses of two phases may be of two kinds
            if curve[0].get("phase", 0) != phase:
                curve = [point for point in curve if point.get("phase", 0) == phase]
            self.curve.add(chain.from_iterable(map(_POINT, curve)))
            self.points.add((trial, len(curve)))
            losses = [point["validation_loss"] for point in curve]
            last = _number(losses[-1])
            best = min((x for x in losses if x is not None), default=math.nan)
        final = results.get("losses")
        gap = _number(final["test"]) - _number(final["train"]) if final else math.nan
        return best, last, gap

    def _decoding(
        self,
        trial: int,
        group: int,
        decoders: list[PartData],
        results: TrialResults,
        ok: bool,
    ) -> None:
        task, keys = self.texts[group]
        about = self.tasks.get(task)
        shown = {self.metric} if about is None else {self.metric, about["metric"], *about["also"]}
        given = set()
        for number, decoded in enumerate(results.get("decoding", ())):
            part, metrics = decoded["decoder"], decoded["metrics"]
            place = number if number < len(decoders) and decoders[number] == part else None
            if place is None and part in decoders:
                place = decoders.index(part)
            if place is None or not metrics:
                continue
            self.names[keys[place]] = metrics
            if ok:
                given.add(place)
                self._scores(trial, place, metrics, metrics.values())
                self._costs_of_decoding(trial, place, decoded)
                for name, values in decoded["examples"].items():
                    if name in shown and values:
                        self.examples[trial, place, name] = np.asarray(values, dtype=float)
        if len(given) < len(decoders):
            self.lacking += [(trial, group, p) for p in range(len(decoders)) if p not in given]

    def _costs_of_decoding(self, trial: int, place: int, decoded: DecodedData) -> None:
        if "steps" not in decoded:  # older records do not count
            return
        try:
            self.decoded.add((trial, place, *_DECODED(decoded)))
        except KeyError:
            self.decoded.add((trial, place, *map(decoded.get, DECODED)))

    def _scores(self, trial: int, place: int, names: Iterable[str], values: Iterable[Any]) -> None:
        """Scores under their names; which names there are is kept once for all that have them."""
        names = tuple(names)
        self.scored.add((trial, place, self.sets.setdefault(names, len(self.sets))))
        self.values += values

    def columns(self) -> Columns:
        """All of it as columns."""
        for trial, group, place in self.lacking:
            names = tuple(self.names.get(self.texts[group][1][place], ("-",)))
            self._scores(trial, place, names, [math.nan] * len(names))
        trials = self.trials.columns()
        # In the order of seeds, so that sums do not depend on who finished first.
        order = sorted(self.seeds)
        numbers = {seed: number for number, seed in enumerate(order)}
        renumbered = np.array([numbers[seed] for seed in self.seeds], dtype=np.int64)
        trials["seed"] = renumbered[trials["seed"]]
        kept = np.zeros(len(trials["seed"]), dtype=bool)
        kept[list(self.last.values())] = True
        points = self.points.columns()
        metrics = list(dict.fromkeys(name for names in self.sets for name in names))
        return Columns(
            groups=self.firsts,
            tasks=[self.tasks.get(task) for task, _ in self.texts],
            trials=trials,
            kept=kept,
            curve={
                "trial": np.repeat(points["trial"], points["points"]),
                **self.curve.columns(),
            },
            scores=self._score_columns(metrics),
            decoded=self.decoded.columns(),
            examples=self.examples,
            seeds=order,
            metrics=metrics,
            machines=self.machines,
            tuned=self.tuned,
            reasons=self.reasons,
            found=self.found,
            measured=[record for record in self.others.values() if not record.is_trial],
            searches=[record for record in self.others.values() if record.is_trial],
            yardsticks=list(self.yardsticks.values()),
        )

    def _score_columns(self, metrics: Sequence[str]) -> Arrays:
        """A row for every score, by trial."""
        scored = self.scored.columns()
        codes = [[metrics.index(name) for name in names] for names in self.sets]
        sizes = np.array([len(names) for names in self.sets], dtype=np.int64)[scored["set"]]
        table = {
            "trial": np.repeat(scored["trial"], sizes),
            "place": np.repeat(scored["place"], sizes),
            "metric": np.array([c for s in scored["set"].tolist() for c in codes[s]], np.int64),
            "value": np.array(self.values, dtype=float),
        }
        order = np.argsort(table["trial"], kind="stable")
        return {name: column[order] for name, column in table.items()}


@contextmanager
def _without_collecting_garbage() -> Iterator[None]:
    """Parsed records have no cycles, and looking for them takes a tenth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _without_scores(search: Record) -> Record:
    """A search trial without what tables do not show."""
    kept = {name: search.results[name] for name in ("task", "training") if name in search.results}
    decoded = search.trial_results.get("decoding", ())
    return replace(
        search, results={**kept, "decoding": [{"metrics": each["metrics"]} for each in decoded]}
    )


def _costs(results: TrialResults) -> tuple[Any, ...]:
    """COSTS of a trial, None where its record does not say."""
    training, compute = results.get("training"), results.get("compute")
    flops = optimizer_bytes = sent_bytes = None
    if compute:
        flops = compute["flops"]
        optimizer_bytes, sent_bytes = compute["optimizer_bytes"], compute["sent_bytes"]
    if not training:
        nothing = (None, None, None, None)
        return (*nothing, results.get("peak_memory"), flops, optimizer_bytes, sent_bytes)
    seconds = training["seconds"] or math.nan
    return (
        training["passes"],
        training["steps"],
        seconds,
        training["tokens"] / seconds,
        results.get("peak_memory"),
        flops,
        optimizer_bytes,
        sent_bytes,
    )


def _number(value: float | None) -> float:
    """NaN where older records, or something that failed, do not say."""
    return math.nan if value is None else value
