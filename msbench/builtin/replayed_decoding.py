"""Decoding steps that are captured once for each shape and then replayed.

On a GPU a step of decoding takes as long as its hundred operations take to launch; a captured one
is launched at once. What a step reads and writes stays where it is (`models/fixed.py`), the host
only looks every PATIENCE steps whether all rows are finished, and finished ones stay: leaving would
need a capture for every size, to save what such steps do not wait for.
"""

import warnings
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from msbench.builtin.capture import CudaGraphs, Record, Replay

EAGER = 4
"""Steps of a form before it is captured. They take about as long as capturing does, so that not
knowing how many will follow costs at most as much again."""

PATIENCE = 8
"""Steps after which finished rows are looked for on a device that would have to be waited for."""

KEPT = 16
"""Forms of a model that are kept, those that were used last."""


class Slate(Protocol):
    """What a decoder writes on, step by step, in tensors that stay where they are."""

    def begin(self) -> None:
        """Nothing is written."""

    def step(self, model: Any, state: Any) -> None:
        """One more token of every hypothesis; nothing of it depends on what the host knows."""

    def finished(self) -> Tensor:
        """Whether no further step can change an output."""


Make = Callable[[Any], Slate]
"""Makes a slate for a `Form`."""


class Replays:
    """The captured steps of a model. They go with it, and a copy of it begins with none."""

    def __init__(self, step: Any, record: Record | None = None):
        """step: the method of the model's class that may be captured. record: by default a CUDA
        graph for a model on a GPU, and nothing elsewhere."""
        self._step, self._given, self._record = step, record, record
        self._on_stream: Callable[[], AbstractContextManager[None]] = nullcontext
        self._places: list[tuple[int, torch.dtype]] = []
        self._kept: dict[Hashable, _Steps] = {}

    def __reduce__(self) -> Any:
        return Replays, (self._step, self._given)

    def serve(self, model: nn.Module, device: torch.device) -> bool:
        """Whether this model's steps can be replayed here and now: not if they are another class's,
        and not if something watches or changes every operation."""
        if getattr(model.step, "__func__", None) is not self._step:
            return False
        if torch.is_autocast_enabled(device.type) or is_in_torch_dispatch_mode():
            return False
        if device.type == "cuda" and self._record is None:
            graphs = CudaGraphs()
            self._record, self._on_stream = graphs, graphs.on_stream
        return self._record is not None

    def take(
        self,
        model: nn.Module,
        state: Any,
        key: tuple[Hashable, Any],
        make: Make,
        count: Callable[[int], None],
    ) -> Slate:
        """Take all steps. key: the decoder and the form; count: is told the positions of a step."""
        form = key[1]
        with self._on_stream():
            steps = self._steps(model, state, key, make)
            steps.state.load(state)
            steps.slate.begin()
            for number in range(1, form.tokens + 1):
                count(form.sources * form.hypotheses)
                steps.take(model)
                if number % PATIENCE == 0 and bool(steps.slate.finished()):
                    break
        return steps.slate

    def _steps(
        self, model: nn.Module, state: Any, key: tuple[Hashable, Any], make: Make
    ) -> "_Steps":
        weights = chain(model.parameters(), model.buffers())
        places = [(each.data_ptr(), each.dtype) for each in weights]
        if places != self._places:  # a graph would read the weights where they were
            self._places, self._kept = places, {}
        exact = key, torch.get_float32_matmul_precision()
        steps = self._kept.pop(exact, None)
        if steps is None:
            assert self._record is not None
            steps = _Steps(state.fixed(key[1]), make(key[1]), self._record)
        self._kept[exact] = steps
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        return steps


class _Steps:
    """Steps of one form: the first ones eagerly, then captured, or not if that fails."""

    def __init__(self, state: Any, slate: Slate, record: Record):
        self.state, self.slate, self._record = state, slate, record
        self._taken = 0
        self._replay: Replay | None = None

    def take(self, model: Any) -> None:
        """One more step."""
        if self._taken == EAGER:
            self._capture(model)
        self._taken += 1
        if self._replay is None:
            self.slate.step(model, self.state)
        else:
            self._replay()

    def _capture(self, model: Any) -> None:
        try:
            _, self._replay = self._record(lambda: self.slate.step(model, self.state))
        except RuntimeError as error:  # torch's, whatever a device refuses
            warnings.warn(f"decoding steps are taken one by one: {error}", stacklevel=2)


@torch.inference_mode()
def replayed(
    model: Any, state: Any, decoder: Hashable, hypotheses: int, tokens: int, make: Make
) -> Any:
    """The slate after all steps, to be read at once; None where steps are to be taken eagerly.

    state: after the sources were read. decoder: whatever its steps depend on besides their form.
    """
    inner, count = getattr(model, "unwatched", (model, _uncounted))
    replays, start = getattr(inner, "replays", None), getattr(state, "form", None)
    if not isinstance(replays, Replays) or start is None:
        return None
    if not replays.serve(inner, next(inner.parameters()).device):
        return None
    form = start(hypotheses, tokens)
    return None if form.large else replays.take(inner, state, (decoder, form), make, count)


def _uncounted(positions: int) -> None:
    """Where nobody counts."""
