"""What a state of decoding is made of if its steps are to be captured: tensors that stay where they
are, with room for all that will be written.

A captured step is frozen but for what its tensors hold, so that how far decoding has come is a
number on the device. Shapes: S sources, H hypotheses of each.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from msbench.builtin.models.cache import Cache, Slots

STEP = 16
"""Lengths of sources are rounded up to multiples of this."""

LARGE = 2**22
"""Numbers of scores in a head from which on launching operations is not what a step waits for."""


class Form(NamedTuple):
    """The shapes of a step. Rounded up, so that few forms serve all batches."""

    sources: int
    length: int
    """Tokens of each source that are attended to."""
    hypotheses: int
    tokens: int
    """Most that each hypothesis writes."""

    @classmethod
    def of(cls, sources: int, length: int, hypotheses: int, tokens: int) -> "Form":
        """A form with room for these: powers of two of sources, multiples of STEP tokens."""
        rows = 1 << (sources - 1).bit_length()
        return cls(rows, -(-length // STEP) * STEP, hypotheses, tokens)

    @property
    def large(self) -> bool:
        """Whether capturing its steps would save little, and need much memory."""
        slots = self.length + self.hypotheses * self.tokens
        return self.sources * self.hypotheses * slots > LARGE


class FixedCache(Cache):
    """A tree with room for everything. New tokens go to the first slots in every step, and are then
    copied behind those of the steps before, to a place that the device knows."""

    def __init__(self, like: Cache, form: Form, before: int):
        """Empty, of the layers and heads of `like`. before: tokens that may be read already."""
        layers, _, _, heads, _, size = like.held.shape
        self.hypotheses, self.used = form.hypotheses, 0
        slots = before + form.hypotheses * form.tokens
        shape = layers, 2, form.sources, heads, self.hypotheses + slots, size
        self._hold(like.held.new_zeros(shape))
        self._new = self.held.narrow(4, 0, self.hypotheses)
        self._read = self.held.narrow(4, self.hypotheses, slots)
        blank = like.held.new_zeros(form.sources, form.hypotheses, slots)
        self.hidden: Tensor = blank
        self.places: Tensor = torch.zeros_like(blank[..., 0], dtype=torch.long)
        self._next = torch.arange(form.hypotheses, device=blank.device)
        own = self._block(1).view(form.hypotheses, form.hypotheses)
        self._own = own.expand(form.sources, -1, -1).contiguous()
        self._mask = torch.cat([self._own, blank], dim=2)[:, None].repeat(1, heads, 1, 1)
        self._slots = [(new, *rest[1:]) for new, rest in zip(self._new, self._all(), strict=True)]

    def _all(self) -> list[Slots]:
        return super().slots(self.capacity)

    def rows(self, sources: int) -> Tensor:
        """(S,) which source of a batch each row has: the last one once more where it has fewer."""
        return torch.arange(self.sources, device=self.held.device).clamp(max=sources - 1)

    def load(self, cache: Cache, rows: Tensor) -> None:
        """Begin with what these sources have in another cache, where each has one hypothesis."""
        past = cache.held.narrow(4, 0, cache.used)
        self.held.zero_()  # what is hidden has no weight, but must be finite
        self._read.narrow(4, 0, cache.used).copy_(past.index_select(2, rows))
        self.hidden.fill_(float("-inf"))
        seen = self.hidden.narrow(2, 0, cache.used)
        if cache.hidden is None:
            seen.zero_()
        else:
            seen.copy_(cache.hidden[rows, :, : cache.used])
        if isinstance(cache.places, Tensor):
            self.places.copy_(cache.places[rows])
        else:
            self.places.fill_(cache.places)
        torch.arange(cache.used, cache.used + self.hypotheses, out=self._next)

    def slots(self, new: int) -> list[Slots]:
        """As of any cache."""
        return self._slots

    def mask(self, n: int) -> Tensor:
        """As of any cache."""
        self._mask.narrow(3, self.hypotheses, self.hidden.shape[2]).copy_(self.hidden[:, None])
        return self._mask.flatten(0, 1)

    def make_room(self, new: int) -> None:
        """There is room."""

    def advance(self, n: int) -> None:
        """As of any cache."""
        self._read.index_copy_(4, self._next, self._new)
        self.hidden.index_copy_(2, self._next, self._own)
        self._next += self.hypotheses
        self.places += 1

    def select(self, rows: Tensor) -> None:
        """As of any cache; each source goes on with as many hypotheses of its own as it has."""
        self.hidden.copy_(reordered(self.hidden, rows))


def reordered(fixed: Tensor, rows: Tensor) -> Tensor:
    """(S, H, ...) -> the same with the hypotheses at these rows of S H; a copy."""
    return fixed.flatten(0, 1)[rows].view_as(fixed)


def enter(fixed: Tensor, new: Tensor, rows: Tensor, empty: float = 0) -> None:
    """Write these rows of `new` to the beginning of `fixed` in every dimension; empty behind."""
    fixed.fill_(empty)
    fixed[tuple(map(slice, (len(rows), *new.shape[1:])))] = new[rows]
