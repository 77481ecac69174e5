"""A model of torch that never ends a text."""

from typing import Any


class Endless:
    """Does as the given model does, but its END is never likely; to decoders it is that model."""

    def __init__(self, model: Any, end: int):
        self._model, self._end = model, end

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._model)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, batch: Any) -> Any:
        return self._without_end(self._model(batch))

    def step(self, state: Any, tokens: Any) -> Any:
        """A step of the model."""
        logits, state = self._model.step(state, tokens)
        return self._without_end(logits), state

    def _without_end(self, logits: Any) -> Any:
        logits = logits.clone()
        logits[..., self._end] = -1e9
        return logits
