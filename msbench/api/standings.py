"""What progress says of trials: their names, and who is ahead so far."""

from collections.abc import Sequence
from statistics import fmean

from msbench.compare.labels import Labels
from msbench.compare.rows import StrategyRow
from msbench.records.record import Record, record
from msbench.spec import DETAILS, Trial


class Standings:
    """Trials by what tells them apart, and the best strategy of each task.

    Better is a better mean over the seeds that are there, by the task's own metric and the decoder
    named first: what decides is said at the end, by all seeds.
    """

    def __init__(self, trials: Sequence[Trial] = ()):
        trials = [trial for trial in trials if not trial.yardstick]  # which are no strategies
        first = min((trial.seed for trial in trials), default=0)
        records = [record(trial, "ok") for trial in trials if trial.seed == first]
        self._labels = Labels(records)
        rows: list[StrategyRow] = [self._labels.axes(each) for each in records]
        self._axes = [
            axis
            for axis in DETAILS
            if len({(row["task"], row[axis]) for row in rows}) > len({row["task"] for row in rows})
        ]
        self._scores: dict[str, dict[str, list[float]]] = {}
        self.news = ""
        """That another strategy is ahead, until the next record is added."""

    def name(self, done: Record) -> str:
        """Task, strategy, point of a search and seed."""
        job = done.job
        if not done.is_trial:
            return str(job["strategies"][0]["task"]["name"])
        point = f"point {job['tuned']['point'] + 1}, " if done.is_search else ""
        return f"{', '.join(self._names(done))}, {point}seed {job['seed']}"

    def add(self, done: Record) -> str:
        """What a record scored and who is ahead on its task; nothing of what has no score."""
        self.news = ""
        if not done.is_trained or done.status != "ok":
            return ""
        about, decoding = done.trial_results["task"], done.trial_results["decoding"]
        metric = about["metric"]
        value = decoding[0]["metrics"].get(metric) if decoding else None
        if value is None:
            return ""
        task, *strategy = self._names(done)
        scores = self._scores.setdefault(task, {})
        before = self._best(task, about["metrics"][metric]["lower_is_better"])
        scores.setdefault(", ".join(strategy), []).append(value)
        best = self._best(task, about["metrics"][metric]["lower_is_better"])
        ahead = f"best so far {best} {fmean(scores[best]):.3g}"
        if best != before:
            self.news = f"{task}: {ahead} {metric}"
        return f"{metric} {value:.3g}; {ahead}"

    def _best(self, task: str, lower: bool) -> str:
        means = {name: fmean(values) for name, values in self._scores[task].items()}
        return (min if lower else max)(means, key=means.__getitem__, default="")

    def _names(self, done: Record) -> list[str]:
        """The task and what tells the strategy; by its own name what was not planned at first."""
        try:
            row = self._labels.axes(done)
        except KeyError:
            row = StrategyRow(**{axis: _own(done, axis) for axis in StrategyRow.__annotations__})  # type: ignore[typeddict-item]
        return [row["task"], *(row[axis] for axis in self._axes), row["optimizer"]]


def _own(done: Record, axis: str) -> str:
    part = done.job[axis]
    return str(part["label"] or part["name"])
