"""The layers of a decoder, prepared to read token after token into a cache.

Shapes: S sources, H hypotheses of each, n tokens of each read at once, T = H n of them, W width.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from msbench.builtin.models.cache import Cache
from msbench.builtin.models.layers import (
    CrossLayer,
    Embedding,
    Residual,
    SelfLayer,
    rotation_angles,
)

Across = tuple[Tensor, Tensor, Tensor]
"""Of the sources: keys and values (S, heads, length, size), and what to add to scores, 0 or -inf,
(S, heads, 1, length)."""


class Stack:
    """The layers of a decoder without dropout, their projections fused.

    Built for every batch, so that the weights are the current ones. A step consists of small
    operations, so there are as few as possible: pairs of numbers are rotated as complex ones, and
    logits, which are large, always go to the same memory.
    """

    def __init__(self, layers: Sequence[SelfLayer | CrossLayer], embedding: Embedding):
        self.layers = [_Layer(layer) for layer in layers]
        self.tokens, self.scale = embedding.tokens.weight, embedding.scale
        self.places = embedding.positions.weight
        self.range = torch.arange(len(self.places), device=self.places.device)
        angles = rotation_angles(self.range, self.layers[0].size // 2, self.places.dtype)
        self.rotations = torch.polar(torch.ones_like(angles), angles)[:, None, None]
        self.logits = self.places.new_empty(0)

    def across(self, memory: Tensor, padding: Tensor) -> list[Across]:
        """What the layers attend to, of (S, length, W) states and (S, length) 0 or -inf."""
        return [layer.across(memory, padding) for layer in self.layers]

    def read(self, tokens: Tensor, cache: Cache, across: Sequence[Across] = ()) -> Tensor:
        """(S, T) tokens -> (S, T, W) their states; adds the tokens to the cache.

        across: what each layer attends to.
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
        rotations = self.rotations[at]
        x = functional.embedding(tokens, self.tokens).mul_(self.scale).add_(self.places[at])
        x = x.view(size * new, -1)
        for number, layer in enumerate(self.layers):
            x = layer.within(x, size, cache, number, rotations, mask)
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
        # After the end of a shorter prompt there may be no such position, and nothing counts.
        places = (cache.places[..., None] + self.range[:n]).flatten(1)
        return places.clamp(max=len(self.range) - 1)

    def predict(self, x: Tensor) -> Tensor:
        """(S, T, W) normalized states -> (S, T, V) logits, valid until the next call."""
        flat = x.view(-1, x.shape[2])
        if len(self.logits) < len(flat):
            self.logits = flat.new_empty(len(flat), len(self.tokens))
        logits = self.logits[: len(flat)]
        return torch.mm(flat, self.tokens.t(), out=logits).view(*x.shape[:2], -1)


class _Layer:
    """One layer's weights, fused and scaled. x: (S T, W) states."""

    def __init__(self, layer: SelfLayer | CrossLayer):
        own = layer.within
        self.heads, self.size = own.heads, own.out.in_features // own.heads
        scale = self.size**-0.5
        query, bias = own.query.weight * scale, own.query.bias * scale
        self.weight = torch.cat([query, own.key_value.weight])
        self.bias = torch.cat([bias, own.key_value.bias])
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
        rotations: Tensor,
        mask: Tensor | None,
    ) -> Tensor:
        """Attention over what the hypotheses have read, including these tokens."""
        before, after = self.attended
        projected = functional.linear(before(x), self.weight, self.bias)
        pairs = projected.view(size, -1, 3, self.heads, self.size // 2, 2).narrow(2, 0, 2)
        torch.view_as_complex(pairs).mul_(rotations)
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
    """What is done before and after a part of a layer; one of the two does nothing."""
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
    new = mixed.shape[1]
    if new == 1:
        return mixed.view(size, -1)
    mixed = mixed.view(size, -1, new, mixed.shape[2]).transpose(1, 2)
    return mixed.reshape(size * new, -1)
