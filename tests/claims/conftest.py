"""Records whose truth is known: AdamW, and SAM over it, on a few seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest
from handmade import results

from msbench.records.record import Record, record
from msbench.spec import Trial

BASE = [34.0, 30.0, 31.0, 50.0, 33.0, 36.0, 29.0, 41.0]


def falling(seed: int) -> Sequence[float]:
    return [3, 2.5, 2, 1.5]


@pytest.fixture
def made(trials: list[Trial]) -> Callable[..., list[Record]]:
    """Records by what SAM gains on AdamW's test score, seed by seed; both spend 12 passes.

    Curves are measured evenly. seconds and losses are asked with (seed, whether it is SAM);
    change: done to every trial.
    """

    def make(
        gain: Sequence[float],
        base_curve: Callable[[int], Sequence[float]] = falling,
        sam_curve: Callable[[int], Sequence[float]] = falling,
        *,
        seconds: Callable[[int, bool], float] = lambda seed, sam: 4.0,
        losses: Callable[[int, bool], Mapping[str, float]] | None = None,
        flops: float | None = 24e6,
        decoders: int = 2,
        change: Callable[[Trial], Trial] = lambda trial: trial,
    ) -> list[Record]:
        records = []
        for trial in (replace(t, seed=seed) for seed in range(len(gain)) for t in trials[:2]):
            seed, sam = trial.seed, trial.optimizer.name == "sam"
            trial = change(replace(trial, decoders=trial.decoders[:decoders]))
            spent = {"passes": 12, "steps": 6 if sam else 12, "seconds": seconds(seed, sam)}
            validations = (sam_curve if sam else base_curve)(seed)
            curve = [
                {"validation_loss": loss, **{k: v * n / len(validations) for k, v in spent.items()}}
                for n, loss in enumerate(validations, start=1)
            ]
            scores = [{"bleu": BASE[seed] + sam * gain[seed] + n} for n in range(decoders)]
            found = results(trial.decoders, scores, **spent, curve=curve)
            if flops:
                found["compute"] = {"flops": flops, "optimizer_bytes": 0, "sent_bytes": 0}
            if losses:
                found["losses"] = losses(seed, sam)
            records.append(record(trial, "ok", results=found, machine={"processor": "one"}))
        return records

    return make
