"""Predictions of a trained learner, timed from outside the decoder, and their scores."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from msbench.data.task import PAD, Batch, Scores, Split, Task
from msbench.records.record import part_data
from msbench.records.schema import DecodedData
from msbench.run.clock import Clock
from msbench.run.learner import Decoder, Learner
from msbench.run.meter import Meter
from msbench.spec import Part


@dataclass(frozen=True)
class Decoded:
    """What one decoder gave on one split, and what it asked of the model for it."""

    scores: Scores
    seconds: float
    examples: int
    tokens: int
    """Tokens produced; one an example where nothing is generated."""
    steps: int
    """Times that the model was run, on a whole batch each."""
    positions: int
    """Token positions that it worked on: what a step of many hypotheses costs."""
    calibration_seconds: float
    first_token_seconds: float = math.nan
    """Mean over batches, of decoders that stream."""
    length_ratio: float = math.nan
    """Tokens produced to tokens of the references."""
    log_probability: float = math.nan
    """Mean over outputs, in nats, END included."""
    empty: float = math.nan
    """Share of the outputs."""

    def to_data(self, decoder: Part) -> DecodedData:
        """What a record has of it; per-example scores to 6 digits."""
        examples = {k: [float(f"{x:.6g}") for x in v] for k, v in self.scores.examples.items()}
        return {
            "decoder": part_data(decoder),
            "metrics": {name: float(value) for name, value in self.scores.metrics.items()},
            "signatures": dict(self.scores.signatures),
            "examples": examples,  # type: ignore[typeddict-item]
            "seconds": self.seconds,
            "tokens": self.tokens,
            "steps": self.steps,
            "positions": self.positions,
            "calibration_seconds": self.calibration_seconds,
            "first_token_seconds": self.first_token_seconds,
            "length_ratio": self.length_ratio,
            "log_probability": self.log_probability,
            "empty": self.empty,
            "count": self.examples,
        }


def decode(
    learner: Learner,
    decoder: Decoder,
    task: Task,
    split: Split,
    batches: Sequence[Batch],
    streams: bool = False,
    given: Sequence[Batch] = (),
) -> Decoded:
    """Predict every batch of `split` and score the predictions against its references.

    streams: the decoder's first tokens are final as soon as they are written. given: what the
    decoder gets instead of the batches, nothing of what is to be predicted being in it.
    """
    clock, calibration = Clock(learner.synchronize), Clock(learner.synchronize)
    meter = Meter(learner.synchronize)
    predictions: dict[int, Any] = {}
    logs: list[float] = []
    firsts: list[float] = []
    learner.mode(training=False)
    with calibration.running():
        learner.calibrate(decoder)
    for batch, shown in zip(batches, given or batches, strict=True):
        with clock.running():
            predicted = learner.predict(shown, decoder, meter)
            firsts.append(meter.first_token())
        if len(predicted) != len(batch.rows):
            raise ValueError(f"{len(predicted)} predictions for {len(batch.rows)} examples")
        predictions.update(zip(batch.rows.tolist(), predicted, strict=True))
        if _is_text(task, predicted):
            known = learner.log_probabilities(batch, predicted)
            logs += [math.nan] * len(predicted) if known is None else known
    ordered = [predictions[row] for row in range(len(split))]
    counted = Decoded(
        task.score(ordered, split.references),
        clock.seconds,
        len(ordered),
        len(ordered),
        meter.steps,
        meter.positions,
        calibration.seconds,
        statistics.fmean(firsts) if streams else math.nan,
    )
    if not _is_text(task, ordered):
        return counted
    lengths = [len(output) for output in ordered]
    return replace(
        counted,
        tokens=sum(lengths),
        length_ratio=sum(lengths) / max(1, sum(map(_reference_tokens, batches))),
        log_probability=statistics.fmean(logs),
        empty=lengths.count(0) / len(lengths),
    )


def _is_text(task: Task, predictions: Sequence[Any]) -> bool:
    return task.kind in ("seq2seq", "lm") and isinstance(predictions[0], Sequence)


def _reference_tokens(batch: Batch) -> int:
    """Those that a decoder should have written: without BEGIN, and behind the prompt."""
    assert batch.split is not None
    prompt = int((batch.source != PAD).sum()) if batch.split.prompted else 0
    return int((batch.input != PAD).sum()) - len(batch.rows) - prompt
