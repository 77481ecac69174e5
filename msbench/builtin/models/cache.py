"""Keys and values that the hypotheses of a source share.

The cache of a source is a tree. Every hypothesis sees its own branch of it, so that reordering
hypotheses moves no keys and no values: only what each of them sees changes. What none of them sees
any more is cleared away when room is needed. The same serves an output that takes back tokens it
proposed. Shapes: S sources, H hypotheses of each, n tokens of each read at once, T = H n of them,
W width.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

ROOM = 32
"""Slots to begin with."""

Slots = tuple[Tensor, Tensor, Tensor]
"""Of a layer: (2, S, heads, T, size) free slots, (S heads, size, slots) transposed keys and
(S heads, slots, size) values."""


class Cache:
    """Keys and values of S trees, each with H branches; all methods change them in place."""

    def __init__(self, like: Tensor, layers: int, sources: int, heads: int):
        """Empty. like: any tensor of the model whose last dimension is the width."""
        self.hypotheses, self.used = 1, 0
        self.places: int | Tensor = 0
        """The position of the next token; (S, H) where they differ."""
        self.hidden: Tensor | None = None
        """(S, H, capacity), 0 where a hypothesis sees a slot, else -inf; None if each sees all."""
        self._owners = torch.arange(sources, device=like.device)
        self._hold(like.new_empty(layers, 2, sources, heads, ROOM, like.shape[-1] // heads))

    def _hold(self, held: Tensor) -> None:
        """Hold (layers, 2, S, heads, capacity, size) keys and values; `used` slots are filled."""
        self.held = held
        self.sources, self.heads, self.capacity = held.shape[2:5]
        self._by_head = held.flatten(2, 3)

    def slots(self, new: int) -> list[Slots]:
        """Of each layer, the free slots that the next `new` tokens of a source go to, and all
        keys and values, these included."""
        places = self.held.narrow(4, self.used, new)
        seen = self._by_head.narrow(3, 0, self.used + new)
        keys, values = seen.unbind(1)
        return list(
            zip(places.unbind(0), keys.transpose(2, 3).unbind(0), values.unbind(0), strict=True)
        )

    def mask(self, n: int) -> Tensor | None:
        """(S heads, T, slots) 0 or -inf, to be added to scores; None if every slot is seen."""
        if self.hidden is None and n == 1:
            return None
        block = self._block(n).flatten(2)
        shape = (self.sources, self.heads, self.hypotheses, n)
        mask = self.held.new_empty(*shape, self.used + block.shape[2])
        before = 0.0 if self.hidden is None else self.hidden[:, None, :, None, : self.used]
        mask[..., : self.used] = before
        mask[..., self.used :] = block
        return mask.view(self.sources * self.heads, -1, mask.shape[-1])

    def make_room(self, new: int) -> None:
        """Make sure that there are `new` free slots."""
        capacity = self.capacity
        while capacity < self.used + new:
            capacity *= 2
        self._widen(capacity)

    def _widen(self, capacity: int) -> None:
        old, more = self.held, capacity - self.capacity
        if more <= 0:
            return
        held = old.new_empty(*old.shape[:4], capacity, old.shape[5])
        held[..., : self.used, :] = old[..., : self.used, :]
        self._hold(held)
        if self.hidden is not None:
            self.hidden = functional.pad(self.hidden, (0, more), value=float("-inf"))

    def advance(self, n: int) -> None:
        """Count the n tokens of every hypothesis, just entered, as read."""
        end = self.used + self.hypotheses * n
        if self.hidden is not None:
            self.hidden[:, :, self.used : end] = self._block(n)[:, -1].flatten(1)
        self.used, self.places = end, self.places + n

    def keep(self, counts: Tensor, n: int) -> None:
        """Keep the first (S H) `counts` of the n tokens that every hypothesis read last. They were
        read at once, or, where H is 1, since the last `keep` or `select`."""
        kept = counts.view(-1, self.hypotheses)
        if isinstance(self.places, int) and bool((kept == n).all()):
            return
        if self.hidden is None:
            self.hidden = self._all_seen()
        last = slice(self.used - self.hypotheses * n, self.used)
        own = self.hidden[:, :, last].view(-1, self.hypotheses, self.hypotheses, n)
        own = own.diagonal(dim1=1, dim2=2)
        beyond = torch.arange(n, device=kept.device)[:, None] >= kept[:, None]
        own.masked_fill_(beyond, float("-inf"))
        self.places = self.places - n + kept
        self._tidy(n)

    def select(self, rows: Tensor) -> Tensor | None:
        """Go on with the hypotheses `rows`, of S H, in that order -> their sources, None if as
        before.

        Neighbouring hypotheses of one source, equally many of each, go on sharing its tree.
        """
        old, new = self.hypotheses, self.hypotheses
        owner = rows // old
        sources = owner[::old]
        if not torch.equal(owner, self._owners):
            counts = torch.unique_consecutive(owner, return_counts=True)[1]
            new = int(counts[0]) if bool((counts == counts[0]).all()) else 1
            sources = owner[::new]
        if self.hidden is None and new > 1:
            self.hidden = self._all_seen()
        if self.hidden is not None:
            self.hidden = self.hidden.flatten(0, 1)[rows].view(-1, new, self.capacity)
        if isinstance(self.places, Tensor):
            self.places = self.places.flatten()[rows].view(-1, new)
        self.hypotheses = new
        self._owners = _range(sources).repeat_interleave(new)
        kept = None
        if len(sources) != self.sources or not torch.equal(sources, _range(sources)):
            kept = sources
            self._hold(self.held[:, :, sources])
        if new > old:
            self._widen(ROOM * new)
        self._tidy(1)
        return kept

    def _block(self, n: int) -> Tensor:
        """(H, n, H, n): each new token sees those of its own hypothesis up to itself."""
        return _block(self.hypotheses, n, self.held.dtype, self.held.device)

    def _all_seen(self) -> Tensor:
        hidden = self.held.new_full((self.sources, 1, self.capacity), float("-inf"))
        hidden[:, :, : self.used] = 0
        return hidden.expand(-1, self.hypotheses, -1)

    def _tidy(self, n: int) -> None:
        """Clear what no hypothesis sees, if the next n tokens need the room and it makes some.

        Only after `keep` and `select`, because until then the last tokens must stay in place.
        """
        if self.hidden is None or self.used + n * self.hypotheses <= self.capacity:
            return
        seen = (self.hidden[:, :, : self.used] == 0).any(1)
        count = int(seen.sum(1).max())
        if count + n * self.hypotheses > self.capacity - self.capacity // 4:
            return
        order = seen.byte().argsort(dim=1, descending=True, stable=True)[:, :count]
        index = order[:, None, :, None].expand(-1, self.heads, -1, self.held.shape[-1])
        for layer in self.held.flatten(0, 1):
            layer[:, :, :count] = layer.gather(2, index)
        index = order[:, None].expand(-1, self.hypotheses, -1)
        self.hidden[:, :, :count] = self.hidden.gather(2, index)
        self.hidden[:, :, count:] = float("-inf")
        self.used = count


@lru_cache(maxsize=8)
def _block(hypotheses: int, n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    seen = torch.full((n, n), float("-inf"), dtype=dtype, device=device).triu(1)
    block = seen.new_full((hypotheses, n, hypotheses, n), float("-inf"))
    block.diagonal(dim1=0, dim2=2).copy_(seen[..., None])
    return block


def _range(like: Tensor) -> Tensor:
    return torch.arange(len(like), device=like.device)
