"""Decoders that label: texts, pairs of them, and words.

`factory([task,] **options) -> (model, batch) -> predictions`: (B, classes) log-probabilities of the
labels of texts, or (B, S) ids of tags.
"""

from typing import Any

from torch import Tensor

from msbench import Batch, Decoder


def argmax() -> Decoder:
    """The label with the highest logit: (B, classes) log-probabilities, or (B, S) tag ids."""

    def decode(model: Any, batch: Batch) -> Tensor:
        logits: Tensor = model(batch)
        return logits.float().log_softmax(-1) if logits.ndim == 2 else logits.argmax(-1)

    return decode
