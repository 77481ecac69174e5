"""Who has kept outputs: strategies with decoders, and what each wrote for every test example."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msbench.compare.labels import Labels
from msbench.compare.rows import Comparison, StrategyKey, StrategyRow
from msbench.compare.versions import by_versions
from msbench.errors import MsbenchError, RecordsError, did_you_mean
from msbench.records.outputs import has_outputs, read_outputs
from msbench.records.record import Record
from msbench.records.schema import DecodedData

Kept = Iterable[tuple[Path, Record]]
"""Records, each with the folder that it is from."""

Text = str | Sequence[str]
"""A text or the name of a label; of tags or words a list."""


@dataclass(frozen=True)
class Writer:
    """A strategy with a decoder: what it wrote for every test example, with one seed."""

    axes: StrategyRow
    decoder: str
    seed: int
    folder: Path
    record: Record
    place: int
    """Of the decoder in the record."""
    metric: str
    """What the scores are by; empty if there are none per example."""
    sign: int
    """-1 where lower scores are better, else 1."""

    @cached_property
    def outputs(self) -> Sequence[Text]:
        """What it wrote, read from the disk; nothing of a decoder that writes nothing.

        RecordsError if the file is not whole.
        """
        return read_outputs(self.folder, self.record)[self.place] or ()

    @property
    def scores(self) -> NDArray[np.float64]:
        """(examples,) NaN where not known."""
        decoded = self.record.trial_results["decoding"][self.place]
        values, count = decoded["examples"].get(self.metric, ()), len(self.outputs)
        return np.array(values if len(values) == count else [None] * count, dtype=float)

    def is_called(self, name: str) -> bool:
        """Whether a name that a user gives is one of its: of its optimizer, its decoder, ..."""
        own = [*StrategyKey.of(self.axes)[1:], self.decoder]
        return name in own or name in [each.partition(" (")[0] for each in own]


def writers(
    kept: Kept,
    comparison: Comparison,
    problems: list[str],
    *,
    decoders: Sequence[str] = (),
    seeds: Sequence[int] = (),
    metric: str = "",
) -> list[Writer]:
    """Who wrote something, by task; of each task with the seed that most of them have outputs of.

    comparison: of these records; its rows are the strategies that are meant. problems: gets a
    sentence for each file that is not whole, and is left out. decoders: by name; by default those
    that decide, if they write anything, else all. metric: of the scores, by default the one that
    decides. RecordsError if nobody has kept outputs, MsbenchError if there is no such decoder, or
    no score by that metric.
    """
    found = _candidates(list(kept), comparison, seeds, metric)
    whole = [[w for w in of_task if _is_whole(w, problems)] for of_task in _one_seed(found)]
    if not any(whole):
        raise RecordsError(
            "\n".join(problems)
            or "none of these trials has kept outputs: they ran before outputs were kept, with "
            "keep_outputs = false, or the folder outputs/ is no longer beside their records"
        )
    chosen = [w for of_task in whole for w in _decoders(of_task, comparison, decoders)]
    if not chosen:
        there = {w.decoder for each in whole for w in each}
        raise MsbenchError(
            f"no outputs of decoder {decoders[0]!r}{did_you_mean(decoders[0], there)}"
        )
    if metric and not any(w.metric for w in chosen):
        raise MsbenchError(f"no scores per example by {metric!r} in these results")
    return chosen


Candidates = Mapping[tuple[str, int], Mapping[tuple[StrategyKey, str], Writer]]
"""By task and seed the writers, by strategy and decoder; of several trials the last."""


def _candidates(
    records: Sequence[tuple[Path, Record]],
    comparison: Comparison,
    seeds: Sequence[int],
    metric: str,
) -> Candidates:
    """Whose files are there; what is in them is not looked at."""
    known = [by_versions(r) for _, r in records if not r.is_yardstick]
    labels = Labels([r for r in known if r.is_trial or r.status == "ok"])
    rows = {(StrategyKey.of(r), r["decoder"]) for r in comparison.accuracy}
    deciding = {r["task"]: r["metric"] for r in comparison.accuracy if r["decides"]}
    found: dict[tuple[str, int], dict[tuple[StrategyKey, str], Writer]] = {}
    for folder, record in records:
        if not record.is_trained or record.status != "ok" or not has_outputs(folder, record):
            continue
        versioned, seed = by_versions(record), record.trial["seed"]
        if seeds and seed not in seeds:
            continue
        axes = labels.axes(versioned)
        for place, decoded in enumerate(record.trial_results["decoding"]):
            if decoded["decoder"] not in record.trial["decoders"]:
                continue
            label = labels.of(versioned, "decoder", decoded["decoder"])
            if (StrategyKey.of(axes), label) in rows:
                name = _metric(metric, deciding.get(axes["task"], ""), record, decoded)
                about = (axes, label, seed, folder, record, place, name, _sign(record, name))
                of_seed = found.setdefault((axes["task"], seed), {})
                of_seed[StrategyKey.of(axes), label] = Writer(*about)
    return found


def _is_whole(writer: Writer, problems: list[str]) -> bool:
    """Whether it wrote something that can be read; what cannot be is added to the problems once."""
    try:
        return bool(writer.outputs)
    except RecordsError as error:
        problems += [str(error)] if str(error) not in problems else []
        return False


def _one_seed(found: Candidates) -> list[list[Writer]]:
    """Of each task the writers of the seed that most have, of several the lowest."""
    best: dict[str, tuple[int, int]] = {}
    for (task, seed), of_seed in found.items():
        best[task] = max(best.get(task, (0, 0)), (len(of_seed), -seed))
    return [
        sorted(found[task, -seed].values(), key=lambda w: (*StrategyKey.of(w.axes), w.decoder))
        for task, (_, seed) in sorted(best.items())
    ]


def _decoders(
    of_task: list[Writer], comparison: Comparison, names: Sequence[str]
) -> Iterable[Writer]:
    """Those with the decoders that were asked for, else that decide, else all."""
    if names:
        return [w for w in of_task if {w.decoder, w.decoder.partition(" (")[0]} & {*names}]
    decides = {(StrategyKey.of(r), r["decoder"]) for r in comparison.accuracy if r["decides"]}
    deciding = [w for w in of_task if (StrategyKey.of(w.axes), w.decoder) in decides]
    return deciding or of_task


def _metric(asked: str, deciding: str, record: Record, decoded: DecodedData) -> str:
    """The metric with scores per example that is meant; empty for none."""
    task = record.trial_results["task"]
    known = decoded["examples"]
    wanted = [asked] if asked else [deciding, task["metric"], *task["also"], *known]
    return next((name for name in wanted if known.get(name)), "")


def _sign(record: Record, metric: str) -> int:
    facts = record.trial_results["task"].get("metrics", {}).get(metric)
    return -1 if facts and facts["lower_is_better"] else 1
