"""Records -> tables: one row per strategy, decoder and metric, with honest intervals.

Needs neither torch nor the plugins that the records came from.
"""

import json
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msbench.errors import MsbenchError, did_you_mean
from msbench.spec import Comparison, Record, Row, identity
from msbench.stats import mean_interval

AXES = ("task", "model", "loss", "optimizer", "schedule")

COMPUTE = ("flops", "optimizer_bytes", "sent_bytes")
"""What a record counts besides passes and seconds."""


def compare(records: Iterable[Record], baseline: str = "") -> Comparison:
    """Tables of all records; differences and ratios are to the optimizer `baseline`.

    Without `baseline`, the one that throughput was measured against, else the first by name. Trials
    that did not end ok count in `n`, never in a mean, and their rows are never ranked best.
    """
    import pandas as pd  # late: half a second that `msbench --help` need not pay

    records = list(records)
    searches = [record for record in records if record.is_search]
    trials = [record for record in records if record.is_trial and not record.is_search]
    measured = [record for record in records if not record.is_trial and record.status == "ok"]
    if not trials:
        told = f" yet, only {len(searches)} of a search" if searches else ""
        raise MsbenchError(f"there are no trials to compare{told}")
    labels = _Labels([*trials, *measured, *searches])
    trials, left = _newest_winners(trials, labels)
    frame = pd.DataFrame(list(_scores(trials, labels)))
    # A trial that was done again with another decoder beside has another key, but the same seed.
    frame = frame.drop_duplicates([*AXES, "decoder", "metric", "seed"], keep="last")
    baseline = baseline or _default_baseline(trials, measured, labels)
    names = sorted(set(frame["optimizer"]))
    # A bare name also means the first of several that are told apart by their options.
    baseline = next((n for n in names if baseline in (n, n.partition(" (")[0])), baseline)
    if baseline not in names:
        raise MsbenchError(
            f"no optimizer {baseline!r} in these results{did_you_mean(baseline, names)}"
        )
    throughput = _throughput(measured, labels, baseline)
    speeds = {tuple(row[axis] for axis in AXES): row for row in throughput if row["optimizer"]}
    rows = _summarize(frame, baseline, speeds)
    tuning = _tuning(searches, trials, labels)
    return Comparison(rows, throughput, baseline, [*_notes(trials, records), *left], tuning)


def _scores(trials: Sequence[Record], labels: "_Labels") -> Iterable[Row]:
    """One row per trial, decoder and metric; NaN where a trial gave none."""
    known: dict[tuple[str, str], list[str]] = {}  # by task and decoder, for trials that gave none
    tasks: dict[str, Mapping[str, Any]] = {}
    for record in trials:
        name = _text(record.job["task"])
        if "task" in record.results:
            tasks[name] = record.results["task"]
        for decoded in record.results.get("decoding", ()):
            known[name, _text(decoded["decoder"])] = list(decoded["metrics"])
    for record in trials:
        name = _text(record.job["task"])
        task, training = tasks.get(name, {}), record.results.get("training", {})
        seconds = training.get("seconds") or math.nan
        about = {
            **labels.axes(record),
            "seed": record.job["seed"],
            "ok": record.status == "ok",
            "status": record.status,
            "passes": training.get("passes", math.nan),
            "steps": training.get("steps", math.nan),
            "train_seconds": seconds,
            "tokens_per_second": training.get("tokens", math.nan) / seconds,
            "peak_memory": record.results.get("peak_memory", math.nan),
            **{name: _compute(record, name) for name in COMPUTE},
        }
        decoded_by = {_text(d["decoder"]): d for d in record.results.get("decoding", ())}
        for part in record.job["decoders"]:
            metrics = decoded_by.get(_text(part), {}).get("metrics", {})
            names = list(metrics) or known.get((name, _text(part)), ["-"])
            shown = {task.get("metric"), *task.get("also", ())} & set(names) or {names[0]}
            for metric in names:
                value = metrics.get(metric)
                yield {
                    **about,
                    "decoder": labels.of(record, "decoder", part),
                    "metric": metric,
                    "primary": metric in shown,
                    "lower_is_better": metric in task.get("lower_is_better", ()),
                    "value": math.nan if value is None or not about["ok"] else value,
                }


def _newest_winners(trials: Sequence[Record], labels: "_Labels") -> tuple[list[Record], list[str]]:
    """The trials without those of winners that a later search has replaced, and a note of these."""
    newest = {
        tuple(labels.axes(r)[axis] for axis in AXES): r.job["tuned"]["options"]
        for r in trials
        if r.job.get("tuned")
    }
    kept = [
        r
        for r in trials
        if not r.job.get("tuned")
        or r.job["tuned"]["options"] == newest[tuple(labels.axes(r)[axis] for axis in AXES)]
    ]
    left = len(trials) - len(kept)
    return kept, [f"{left} trials of winners of an earlier search are left out"] if left else []


def _compute(record: Record, name: str) -> float:
    """What training cost; NaN where older records, or a counter that failed, do not say."""
    value = record.results.get("compute", {}).get(name)
    return math.nan if value is None else float(value)


def _summarize(frame: Any, baseline: str, speeds: Mapping[Any, Row]) -> list[Row]:
    keys = [*AXES, "decoder", "metric"]
    others = [key for key in keys if key != "optimizer"]
    base = frame[frame["optimizer"] == baseline]
    base = base.drop_duplicates([*others, "seed"])[[*others, "seed", "value"]]
    frame = frame.merge(base, on=[*others, "seed"], how="left", suffixes=("", "_base"))
    rows = []
    for names, group in frame.groupby(keys, sort=False):
        ok = group[group["ok"]]
        mean, low, high = mean_interval(ok["value"].dropna())
        difference = mean_interval((ok["value"] - ok["value_base"]).dropna())
        row = dict(zip(keys, names, strict=True))
        speed = speeds.get(tuple(row[axis] for axis in AXES), {})
        rows.append(
            {
                **row,
                "n": len(group),
                "n_ok": len(ok),
                "mean": mean,
                "low": low,
                "high": high,
                "difference": difference[0],
                "difference_low": difference[1],
                "difference_high": difference[2],
                "passes": ok["passes"].mean(),
                "steps": ok["steps"].mean(),
                "train_seconds": ok["train_seconds"].mean(),
                "tokens_per_second": ok["tokens_per_second"].mean(),
                "peak_memory": ok["peak_memory"].mean(),
                **{name: ok[name].mean() for name in COMPUTE},
                "throughput": speed.get("per_second", math.nan),
                "throughput_ratio": speed.get("ratio", math.nan),
                "primary": bool(group["primary"].all()),
                "lower_is_better": bool(group["lower_is_better"].any()),
                "status": _counted(group["status"]),
            }
        )
    return sorted(rows, key=_rank)


def _rank(row: Row) -> tuple[Any, ...]:
    """By task, main metric first, complete rows before others, best mean first."""
    mean = -math.inf if math.isnan(row["mean"]) else row["mean"]
    worth = -mean if row["lower_is_better"] and math.isfinite(mean) else mean
    first = (row["task"], row["model"], not row["primary"], row["metric"])
    return (*first, row["n_ok"] < row["n"], -worth, row["optimizer"], row["decoder"])


def _counted(statuses: Any) -> str:
    """`"ok 2, timeout 1"`."""
    return ", ".join(f"{name} {count}" for name, count in statuses.value_counts().items())


def _throughput(measured: Sequence[Record], labels: "_Labels", baseline: str) -> list[Row]:
    """Rows of training and of decoding speed; of a task and model, the newest measurement."""
    newest = {}
    for record in measured:
        first = record.job["strategies"][0]
        newest[labels.task(record, first), labels.of(record, "model", first["model"])] = record
    rows: list[Row] = []
    for (task, model), record in newest.items():
        first, results = record.job["strategies"][0], record.results
        axes = [labels.strategy(record, {**first, **r["strategy"]}) for r in results["training"]]
        bases = [i for i, each in enumerate(axes) if each["optimizer"] == baseline] or [0]
        for each, speed in zip(axes, _speeds(results["training"], bases[0]), strict=True):
            rows.append({**each, "decoder": "", "unit": "training tokens/s", **speed})
        same = {**dict.fromkeys(AXES, ""), "task": task, "model": model}
        for each, speed in zip(results["decoding"], _speeds(results["decoding"], 0), strict=True):
            decoder = labels.of(record, "decoder", each["decoder"])
            rows.append({**same, "decoder": decoder, "unit": "examples/s", **speed})
    return sorted(rows, key=_speed_rank)


def _speed_rank(row: Row) -> tuple[Any, ...]:
    """Training before decoding, the baseline first, then the fastest."""
    return (row["task"], row["model"], bool(row["decoder"]), not row["baseline"], -row["ratio"])


def _speeds(measured: Sequence[Mapping[str, Any]], base: int) -> list[Row]:
    """Median speed of each, and its ratio to the one at `base`, formed within rounds."""
    rows = []
    for index, each in enumerate(measured):
        pairs = zip(each["rates"], measured[base]["rates"], strict=True)
        ratio, low, high = mean_interval([mine / other for mine, other in pairs])
        rows.append(
            {
                "per_second": each["per_second"],
                "ratio": ratio,
                "ratio_low": low,
                "ratio_high": high,
                "rounds": len(each["rates"]),
                "baseline": index == base,
            }
        )
    return rows


def _tuning(searches: Sequence[Record], finals: Sequence[Record], labels: "_Labels") -> list[Row]:
    """A row per search: how its points did on validation, and the winner that ran in `finals`."""
    losses: dict[tuple[str, ...], dict[int, list[float]]] = {}
    for record in searches:
        cell = tuple(labels.axes(record)[axis] for axis in AXES)
        points = losses.setdefault(cell, {})
        points.setdefault(record.job["tuned"]["point"], []).append(record.validation_loss)
    winners = {
        tuple(labels.axes(record)[axis] for axis in AXES): record.job["tuned"]
        for record in finals
        if record.job.get("tuned")
    }
    rows = []
    for cell, points in losses.items():
        medians = {point: statistics.median(values) for point, values in points.items()}
        finite = [value for value in medians.values() if math.isfinite(value)]
        chosen = winners.get(cell, {})
        rows.append(
            {
                **dict(zip(AXES, cell, strict=True)),
                "points": len(points),
                "ok": len(finite),
                "point": chosen.get("point"),
                "options": dict(chosen.get("options", {})),
                "edge": list(chosen.get("edge", ())),
                "validation_loss": medians.get(chosen.get("point", -1), math.nan),
                "median": statistics.median(finite) if finite else math.nan,
                "worst": max(finite) if finite else math.nan,
            }
        )
    return sorted(rows, key=lambda row: tuple(row[axis] for axis in AXES))


def _default_baseline(
    trials: Sequence[Record], measured: Sequence[Record], labels: "_Labels"
) -> str:
    for record in reversed(measured):
        return str(labels.strategy(record, record.job["strategies"][0])["optimizer"])
    return min(str(labels.axes(trial)["optimizer"]) for trial in trials)


def _notes(trials: Sequence[Record], records: Sequence[Record]) -> list[str]:
    bad = [record for record in trials if record.status != "ok"]
    notes = []
    for record in bad[:10]:
        parts = [record.job[axis]["name"] for axis in ("task", "optimizer")]
        what = f"{' '.join(parts)} seed {record.job['seed']}"
        notes.append(f"{what}: {record.status}: {record.reason}")
    if len(bad) > 10:
        notes.append(f"and {len(bad) - 10} more trials that did not end ok")
    lost = [r for r in records if r.is_search and r.status not in ("ok", "diverged")]
    if lost:
        told = ", ".join(f"{s} {n}" for s, n in Counter(r.status for r in lost).items())
        notes.append(f"{len(lost)} search trials were lost ({told}): {lost[0].reason}")
    for record in records:
        for each in record.results.get("failed", ()):
            notes.append(f"throughput of {each['strategy']}: {each['reason']}")
        if not record.is_trial and record.status != "ok":
            notes.append(f"throughput: {record.status}: {record.reason}")
    machines = {json.dumps(record.machine, sort_keys=True) for record in records if record.machine}
    if len(machines) > 1:
        notes.append(f"records come from {len(machines)} machines: do not compare their seconds")
    return notes


class _Labels:
    """How parts are called in tables: by label, else name; what differs is added in brackets.

    Two parts of one kind on the same task that would be called the same are told apart by the
    options in which they differ.
    """

    def __init__(self, records: Sequence[Record]):
        seen: dict[tuple[str, str, str], dict[str, Mapping[str, Any]]] = {}
        for job in {record.group: record for record in records}.values():
            for kind, task, name, part in _named(job):
                seen.setdefault((kind, task, name), {})[_text(part)] = _flat(part)
        self._labels: dict[tuple[str, str, str], str] = {}
        for (kind, task, name), parts in seen.items():
            differing = _differing(list(parts.values()))
            for text, flat in parts.items():
                told = ", ".join(f"{k}={flat.get(k, '-')}" for k in differing)
                self._labels[kind, task, text] = f"{name} ({told})" if told else name
        self._axes: dict[str, Row] = {}

    def axes(self, record: Record) -> Row:
        """The labels of a trial's axes."""
        if record.group not in self._axes:
            self._axes[record.group] = self.strategy(record, record.job)
        return self._axes[record.group]

    def strategy(self, record: Record, trial: Mapping[str, Any]) -> Row:
        """The labels of one trial of a record's job."""
        rest = {axis: self.of(record, axis, _part(trial, axis)) for axis in AXES[1:]}
        return {"task": self.task(record, trial), **rest}

    def task(self, record: Record, trial: Mapping[str, Any]) -> str:
        """The label of a trial's task."""
        return self._labels["task", _name(trial["task"]), _text(_task_part(trial))]

    def of(self, record: Record, kind: str, part: Mapping[str, Any]) -> str:
        """The label of a part in a record."""
        first = record.job if record.is_trial else record.job["strategies"][0]
        return self._labels[kind, _name(first["task"]), _text(part)]


def _named(record: Record) -> Iterable[tuple[str, str, str, Mapping[str, Any]]]:
    """(kind, task, name, part) of everything in a record's job."""
    for trial in (record.job,) if record.is_trial else record.job["strategies"]:
        task = _name(trial["task"])
        yield "task", task, task, _task_part(trial)
        for kind in AXES[1:]:
            yield kind, task, _name(trial[kind]), _part(trial, kind)
        for part in trial["decoders"]:
            yield "decoder", task, _name(part), part


def _task_part(trial: Mapping[str, Any]) -> Mapping[str, Any]:
    """The task, with what else makes numbers incomparable."""
    keys = ("training", "learner", "device", "threads", "dtype", "data", "phases")
    around = {key: value for key, value in identity(trial).items() if key in keys}
    return {**trial["task"], "around": around}


def _part(trial: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """A part of a trial; of an optimizer that was tuned, without what was searched: by that it is
    not told from others."""
    part: Mapping[str, Any] = trial[kind]
    if kind == "optimizer" and trial.get("tuned"):
        for name in trial["tuned"]["options"]:
            part = _without(part, name.split("."))
    return part


def _without(part: Mapping[str, Any], path: Sequence[str]) -> Mapping[str, Any]:
    options = dict(part["options"])
    if len(path) == 1:
        options.pop(path[0], None)
    else:
        options[path[0]] = _without(options[path[0]], path[1:])
    return {**part, "options": options}


def _name(part: Mapping[str, Any]) -> str:
    return str(part["label"] or part["name"])


def _text(part: Mapping[str, Any]) -> str:
    return json.dumps(part, sort_keys=True)


def _flat(part: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"lr": 0.1, "base.name": "adamw", "base.lr": 0.01, ...}."""
    flat: dict[str, Any] = {}
    for key, value in part.items():
        if isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            flat.update(_flat({f"{key}[{n}]": v for n, v in enumerate(value, start=1)}, prefix))
        elif isinstance(value, Mapping):
            inner = prefix if key in ("options", "around") else f"{prefix}{key}."
            flat.update(_flat(value, inner))
        else:
            flat[prefix + key] = value
    return flat


def _differing(flats: Sequence[Mapping[str, Any]]) -> list[str]:
    keys = dict.fromkeys(key for flat in flats for key in flat)
    return [key for key in keys if len({_text({"": flat.get(key)}) for flat in flats}) > 1]
