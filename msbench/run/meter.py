"""Counts what decoders ask of a model, and when."""

import math
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

from msbench.data.task import Batch


class Meter:
    """Stands between a decoder and a model: counts what is asked of it, and when."""

    def __init__(self, synchronize: Callable[[], None] = lambda: None):
        self.steps = 0
        """Times that the model was run: forward passes, and steps of whole batches."""
        self.positions = 0
        """Token positions that it worked on, padding included."""
        self._synchronize = synchronize
        self._start, self._second, self._generated = 0.0, 0.0, 0

    def watch(self, model: Any) -> Any:
        """A model that does as the given one does, and is counted from now on."""
        self._synchronize()
        self._start, self._second, self._generated = perf_counter(), 0.0, 0
        return _Watched(model, self)

    def first_token(self) -> float:
        """Seconds to the first token: the second step cannot be asked for without it."""
        self._synchronize()
        return (self._second or perf_counter()) - self._start

    def count(self, positions: int, *, steps: int = 1, generated: bool = False) -> None:
        """The model is about to be run on so many positions."""
        self._generated += generated
        if self._generated == 2 and not self._second:
            self._synchronize()
            self._second = perf_counter()
        self.steps += steps
        self.positions += positions


class _Watched:
    """To decoders it is the model, its class included."""

    def __init__(self, model: Any, meter: Meter):
        self._model, self._meter = model, meter

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._model)

    @property
    def unwatched(self) -> tuple[Any, Callable[[int], None]]:
        """The model, and what counts a step of so many positions that is taken without asking it,
        because it is replayed."""
        return self._model, partial(self._meter.count, generated=True)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._model, name)
        return partial(getattr(self, f"_{name}"), found) if name in ("start", "step") else found

    def __call__(self, batch: Batch) -> Any:
        size = 0 if batch.input is None else math.prod(batch.input.shape)
        if not size or not (batch.split is not None and batch.split.prompted):
            size += math.prod(batch.source.shape)  # of a prompted text, the source is its beginning
        self._meter.count(size)
        return self._model(batch)

    def _start(self, start: Callable[[Batch], Any], batch: Batch) -> Any:
        self._meter.count(math.prod(batch.source.shape), steps=0)
        return start(batch)

    def _step(self, step: Callable[[Any, Any], Any], state: Any, tokens: Any) -> Any:
        self._meter.count(math.prod(tokens.shape), generated=True)
        return step(state, tokens)
