"""msbench's own decoders on models of TensorFlow: tensors change hands once a step.

So outputs of two frameworks differ by their logits alone, and never by how ties are broken, when a
beam stops or what may be written.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np
import torch

from msbench import Batch, Decoder
from msbench.builtin.decoders.beam import beam as torch_beam
from msbench.builtin.decoders.labels import argmax as torch_argmax
from msbench.builtin.generation import greedy as torch_greedy


def on_tensorflow(make: Callable[..., Decoder]) -> Callable[..., Decoder]:
    """The factory of a decoder for torch -> the same for TensorFlow, with the same options."""

    @wraps(make)
    def made(*args: Any, **options: Any) -> Decoder:
        decode = make(*args, **options)

        def predict(model: Any, batch: Batch) -> Any:
            with torch.inference_mode():
                return decode(AsTorch(model), batch.map(torch.from_numpy))

        return predict

    return made


argmax = on_tensorflow(torch_argmax)
greedy = on_tensorflow(torch_greedy)
beam = on_tensorflow(torch_beam)


class AsTorch:
    """A model of TensorFlow that takes and gives tensors of torch."""

    def __init__(self, model: Any):
        self._model = model
        if hasattr(model, "max_length"):
            self.max_length: int = model.max_length

    def __call__(self, batch: Batch) -> torch.Tensor:
        """Logits."""
        return _given(self._model(batch.map(_taken)))

    def start(self, batch: Batch) -> "AsTorchState":
        """The state when only the source has been read."""
        return AsTorchState(self._model.start(batch.map(_taken)))

    def step(
        self, state: "AsTorchState", tokens: torch.Tensor
    ) -> tuple[torch.Tensor, "AsTorchState"]:
        """Logits of the next tokens, and the state after these."""
        logits, state.state = self._model.step(state.state, _taken(tokens))
        return _given(logits), state


@dataclass
class AsTorchState:
    """What decoding has computed so far, in TensorFlow."""

    state: Any

    def select(self, rows: torch.Tensor) -> "AsTorchState":
        """Of these rows, in that order."""
        self.state = self.state.select(_taken(rows))
        return self


def _taken(tensor: torch.Tensor) -> Any:
    return tensor.numpy()


def _given(tensor: Any) -> torch.Tensor:
    # A copy: decoders write into logits, and TensorFlow's arrays must not be written to.
    return torch.from_numpy(np.array(tensor))
