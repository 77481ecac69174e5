"""Predictions of a trained learner, timed from outside the decoder, and their scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msbench.clock import Clock
from msbench.learner import Decoder, Learner
from msbench.task import Batch, Scores, Split, Task


@dataclass(frozen=True)
class Decoded:
    """What one decoder gave on one split."""

    scores: Scores
    seconds: float
    examples: int
    tokens: int
    """Tokens produced; one an example where nothing is generated."""

    def to_dict(self) -> dict[str, object]:
        """Plain data for a record; per-example scores to 6 digits."""
        examples = {k: [float(f"{x:.6g}") for x in v] for k, v in self.scores.examples.items()}
        return {
            "metrics": {name: float(value) for name, value in self.scores.metrics.items()},
            "signatures": dict(self.scores.signatures),
            "examples": examples,
            "seconds": self.seconds,
            "count": self.examples,
            "tokens": self.tokens,
        }


def decode(
    learner: Learner, decoder: Decoder, task: Task, split: Split, batches: Sequence[Batch]
) -> Decoded:
    """Predict every batch of `split` and score the predictions against its references."""
    clock = Clock(learner.synchronize)
    predictions: dict[int, Any] = {}
    learner.mode(training=False)
    for batch in batches:
        with clock.running():
            predicted = learner.predict(batch, decoder)
        if len(predicted) != len(batch.rows):
            raise ValueError(f"{len(predicted)} predictions for {len(batch.rows)} examples")
        predictions.update(zip(batch.rows.tolist(), predicted, strict=True))
    ordered = [predictions[row] for row in range(len(split))]
    generates = task.kind in ("seq2seq", "lm")
    tokens = sum(len(p) if generates and isinstance(p, Sequence) else 1 for p in ordered)
    return Decoded(task.score(ordered, split.references), clock.seconds, len(ordered), tokens)
