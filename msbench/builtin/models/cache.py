"""Reading token after token: layers fused for it, and keys and values that hypotheses share.

The cache of a source is a tree. Every hypothesis sees its own branch of it, so that reordering
hypotheses moves no keys and no values: only what is hidden from whom changes. What nobody sees any
more is cleared away when room is needed. The same serves an output that takes back what it
proposed. Shapes: S sources, H hypotheses of each, n tokens of each read at once, T = H n of them,
W width.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from msbench.builtin.models.layers import CrossLayer, Embedding, Residual, SelfLayer

ROOM = 32
"""Slots to begin with."""


Across = tuple[Tensor, Tensor, Tensor]
"""Of the sources: keys and values (S, heads, length, size), and what to add to scores, 0 or -inf,
(S, heads, 1, length)."""


class Cache:
    """Keys and values of S trees, each with H branches; changed in place by all that it does."""

    def __init__(self, like: Tensor, layers: int, sources: int, heads: int):
        """Nothing read yet. like: any tensor of the model, its last dimension the width."""
        self.hypotheses, self.used = 1, 0
        self.places: int | Tensor = 0
        """The position of the next token; (S, H) where they differ."""
        self.hidden: Tensor | None = None
        """(S, H, capacity), 0 where a hypothesis sees a slot, else -inf; None if each sees all."""
        self._owners = torch.arange(sources, device=like.device)
        self._hold(like.new_empty(layers, 2, sources, heads, ROOM, like.shape[-1] // heads))

    def _hold(self, held: Tensor) -> None:
        """(layers, 2, S, heads, capacity, size) keys and values; `used` slots are filled."""
        self.held = held
        self.sources, self.heads, self.capacity = held.shape[2:5]
        self._layers = [(each, *each.flatten(1, 2)) for each in held]

    def enter(self, layer: int, new: Tensor) -> tuple[Tensor, Tensor]:
        """(2, S, heads, T, size) keys and values -> all those of the layer, each (S heads, slots,
        size), with these at the end."""
        held, keys, values = self._layers[layer]
        count = new.shape[3]
        held.narrow(3, self.used, count).copy_(new)
        end = self.used + count
        return keys.narrow(1, 0, end), values.narrow(1, 0, end)

    def mask(self, n: int) -> Tensor | None:
        """(S heads, T, slots) 0 or -inf, to be added to scores; None if all is seen."""
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
        """Add slots if there are not so many more."""
        capacity = self.capacity
        while capacity < self.used + new:
            capacity *= 2
        self._widen(capacity)

    def _widen(self, capacity: int) -> None:
        before, more = self.held, capacity - self.capacity
        if more <= 0:
            return
        held = before.new_empty(*before.shape[:4], capacity, before.shape[5])
        held[..., : self.used, :] = before[..., : self.used, :]
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
        """(S H) of the n tokens of every hypothesis that were read last, how many stay. They were
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
        """Go on with the hypotheses `rows`, of S H, in that order; their sources, None if as
        before.

        Hypotheses of one source that stand together, equally many of each, go on sharing its tree.
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
        """Clear what no one sees, if the next n tokens would find no room and it makes some.

        Only here, because the last tokens read must stay in their places until they are kept.
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


class Stack:
    """The layers of a decoder as they read: without dropout, their projections fused.

    Made anew for every batch, so that the weights are those of the day. What a step does is mostly
    small, so there is as little of it as can be: pairs of numbers are turned as complex ones, and
    logits, which are large, always go to the same place.
    """

    def __init__(self, layers: Sequence[SelfLayer | CrossLayer], embedding: Embedding):
        self.layers = [_Layer(layer) for layer in layers]
        self.tokens, self.scale = embedding.tokens.weight, embedding.scale
        self.places = embedding.positions.weight
        self.range = torch.arange(len(self.places), device=self.places.device)
        self.turns = torch.polar(*_angles(self.range, self.layers[0].size, self.places.dtype))
        self.turns = self.turns[:, None, None]
        self.logits = self.places.new_empty(0)

    def across(self, memory: Tensor, padding: Tensor) -> list[Across]:
        """What the layers look at: (S, length, W) states, and (S, length) 0 or -inf."""
        return [layer.across(memory, padding) for layer in self.layers]

    def read(self, tokens: Tensor, cache: Cache, across: Sequence[Across] = ()) -> Tensor:
        """(S, T) tokens -> (S, T, W) their states; the tokens are in the cache then.

        across: what the layers look at, each at its own.
        """
        size, new = tokens.shape
        n = new // cache.hypotheses
        cache.make_room(new)
        mask = cache.mask(n)
        at: int | Tensor | slice
        if n == 1 and isinstance(cache.places, int):
            place = min(cache.places, len(self.range) - 1)  # a draft may run ahead of the limit
            at = slice(place, place + 1)
        else:
            at = self._positions(cache, n)
        turns = self.turns[at]
        x = functional.embedding(tokens, self.tokens).mul_(self.scale).add_(self.places[at])
        x = x.view(size * new, -1)
        for number, layer in enumerate(self.layers):
            x = layer.within(x, size, cache, number, turns, mask)
            if across:
                x = layer.look(x, size, across[number])
            x = layer.change(x)
        cache.advance(n)
        return x.view(size, new, -1)

    def _positions(self, cache: Cache, n: int) -> Tensor:
        """(1 or S, T) positions of the next n tokens of every hypothesis."""
        if isinstance(cache.places, int):
            ahead = (cache.places + self.range[:n]).clamp(max=len(self.range) - 1)
            return ahead.repeat(cache.hypotheses)[None]
        # Behind the end of a shorter prompt there may be no such position, and nothing counts.
        places = (cache.places[..., None] + self.range[:n]).flatten(1)
        return places.clamp(max=len(self.range) - 1)

    def predict(self, x: Tensor) -> Tensor:
        """(S, T, W) normalized states -> (S, T, V) logits; those of the last time are gone."""
        flat = x.view(-1, x.shape[2])
        if len(self.logits) < len(flat):
            self.logits = flat.new_empty(len(flat), len(self.tokens))
        logits = self.logits[: len(flat)]
        return torch.mm(flat, self.tokens.t(), out=logits).view(*x.shape[:2], -1)


class _Layer:
    """One layer's weights, made ready. x: (S T, W) states."""

    def __init__(self, layer: SelfLayer | CrossLayer):
        own = layer.within
        self.heads, self.size = own.heads, own.out.in_features // own.heads
        # The rotation turns a number with the one half a head away; here they are neighbours.
        pairs = torch.arange(self.size).view(2, -1).t().flatten()
        order = (torch.arange(own.heads)[:, None] * self.size + pairs).flatten()
        key, value = own.key_value.weight.chunk(2)
        key_bias, value_bias = own.key_value.bias.chunk(2)
        scale = self.size**-0.5
        query, bias = own.query.weight[order] * scale, own.query.bias[order] * scale
        self.weight = torch.cat([query, key[order], value])
        self.bias = torch.cat([bias, key_bias[order], value_bias])
        self.out = own.out.weight, own.out.bias
        self.attended, self.changed = _residual(layer.attend), _residual(layer.change)
        first, _, last = layer.feed
        assert isinstance(first, nn.Linear)
        assert isinstance(last, nn.Linear)
        self.feed: tuple[Tensor, Tensor] = first.weight, first.bias
        self.back: tuple[Tensor, Tensor] = last.weight, last.bias
        self.attention = layer.across if isinstance(layer, CrossLayer) else None
        if isinstance(layer, CrossLayer):
            across = layer.across
            self.question = across.query.weight * scale, across.query.bias * scale
            self.answer = across.out.weight, across.out.bias
            self.looked = _residual(layer.look)

    def within(
        self,
        x: Tensor,
        size: int,
        cache: Cache,
        number: int,
        turns: Tensor,
        mask: Tensor | None,
    ) -> Tensor:
        """Attention over what the hypotheses have read, these tokens included."""
        before, after = self.attended
        projected = functional.linear(before(x), self.weight, self.bias)
        pairs = projected.view(size, -1, 3, self.heads, self.size // 2, 2).narrow(2, 0, 2)
        torch.view_as_complex(pairs).mul_(turns)
        heads = projected.view(size, -1, 3, self.heads, self.size).permute(2, 0, 3, 1, 4)
        keys, values = cache.enter(number, heads.narrow(0, 1, 2))
        queries = heads[0].reshape(size * self.heads, -1, self.size)
        mixed = _mixed(queries, keys, values, mask, size)
        return after(functional.linear(mixed, *self.out).add_(x))

    def across(self, memory: Tensor, padding: Tensor) -> Across:
        """What `look` needs of (S, length, W) states of the source and (S, length) 0 or -inf."""
        attention = self.attention
        assert attention is not None
        keys, values = (x.contiguous() for x in attention.keys_values(memory))
        hide = padding[:, None, None].expand(-1, self.heads, -1, -1)
        return keys, values, hide

    def look(self, x: Tensor, size: int, across: Across) -> Tensor:
        """Attention over the source."""
        before, after = self.looked
        keys, values, hide = across
        queries = functional.linear(before(x), *self.question)
        queries = queries.view(size, -1, self.heads, self.size).transpose(1, 2)
        queries = queries.reshape(size * self.heads, -1, self.size)
        keys, values, hide = keys.flatten(0, 1), values.flatten(0, 1), hide.flatten(0, 1)
        mixed = _mixed(queries, keys, values, hide, size)
        return after(functional.linear(mixed, *self.answer).add_(x))

    def change(self, x: Tensor) -> Tensor:
        """The feed-forward part."""
        before, after = self.changed
        hidden = functional.gelu(functional.linear(before(x), *self.feed))
        return after(functional.linear(hidden, *self.back).add_(x))


def _residual(residual: Residual) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """What is done before and after a part of a layer; one of them is nothing."""
    weight, bias, epsilon = residual.norm.weight, residual.norm.bias, residual.norm.eps
    shape = weight.shape

    def normalized(x: Tensor) -> Tensor:
        return torch.layer_norm(x, shape, weight, bias, epsilon)

    def same(x: Tensor) -> Tensor:
        return x

    return (normalized, same) if residual.before else (same, normalized)


def _mixed(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, size: int) -> Tensor:
    """(S heads, T, size) queries over as many keys and values, (S heads, length, size) -> (S T, W).

    Plain products: for a few queries they are faster than the fused kernels of the CPU.
    """
    keys = keys.transpose(1, 2)
    scores = torch.bmm(queries, keys) if mask is None else torch.baddbmm(mask, queries, keys)
    mixed = torch.bmm(scores.softmax(-1), values)
    rows, new, each = mixed.shape
    if new == 1:
        return mixed.view(size, -1)
    mixed = mixed.view(size, rows // size, new, each).transpose(1, 2)
    return mixed.reshape(size * new, -1)


def _angles(positions: Tensor, size: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Ones, and the (positions, size / 2) angles of `layers.rotated`."""
    half = size // 2
    steps = torch.arange(half, device=positions.device, dtype=dtype)
    angles = positions[:, None].to(dtype) * 10_000.0 ** (-steps / half)
    return torch.ones_like(angles), angles
