"""The layers of a decoder, prepared to read token after token into a cache.

Shapes: S sources, H hypotheses of each, n tokens of each read at once, T = H n of them, W width.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from msbench.builtin.models.cache import Cache, Slots
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

Looked = tuple[Tensor, Tensor, Tensor | None]
"""The same by head: transposed keys (S heads, size, length), values (S heads, length, size), and
what to add to scores, (S heads, 1, length); None if that is 0 everywhere."""


class Stack:
    """The layers of a decoder without dropout, their projections fused.

    Built for every batch, so that the weights are the current ones. A step consists of small
    operations, which cost more to call than to compute, so there are as few as possible: pairs of
    numbers are rotated as complex ones, results are added to the residual stream in place, and
    large results always go to the same memory, of which all views are made once.
    """

    def __init__(self, layers: Sequence[SelfLayer | CrossLayer], embedding: Embedding):
        self.layers = [_Layer(layer) for layer in layers]
        self.tokens, self.scale = embedding.tokens.weight, embedding.scale
        self.project = self.tokens.t()
        self.places = embedding.positions.weight
        self.range = torch.arange(len(self.places), device=self.places.device)
        angles = rotation_angles(self.range, self.layers[0].size // 2, self.places.dtype)
        self.rotations = torch.polar(torch.ones_like(angles), angles)[:, None, None]
        self.logits = self.places.new_empty(0)
        self._desk: _Desk | None = None
        self._across: Sequence[Across] = ()
        self._looked: list[Looked] = []

    def across(self, memory: Tensor, padding: Tensor) -> list[Across]:
        """What the layers attend to, of (S, length, W) states and (S, length) 0 or -inf."""
        return [layer.across(memory, padding) for layer in self.layers]

    def fix(self, across: Sequence[Across]) -> None:
        """Attend to these tensors from now on, whatever will be written there."""
        self._across, self._looked = across, _looked(across, hides=True)

    def load(self, other: "Stack") -> None:
        """Take over the weights that another stack of this model has copied."""
        for mine, its in zip(self.layers, other.layers, strict=True):
            for old, new in zip(mine.copies, its.copies, strict=True):
                old.copy_(new)

    def read(self, tokens: Tensor, cache: Cache, across: Sequence[Across] = ()) -> Tensor:
        """(S, T) tokens -> (S, T, W) their states; adds the tokens to the cache.

        across: what each layer attends to.
        """
        size, new = tokens.shape
        n = new // cache.hypotheses
        cache.make_room(new)
        mask = cache.mask(n)
        places, rotations = self._positions(cache, n)
        desk, looked = self._prepared(size, new, across)
        x = torch.add(places, torch.embedding(self.tokens, tokens), alpha=self.scale)
        x = x.view(size * new, -1)
        for number, (layer, slots) in enumerate(zip(self.layers, cache.slots(new), strict=True)):
            x = layer.within(x, desk, slots, rotations, mask)
            if looked:
                x = layer.look(x, desk, looked[number])
            x = layer.change(x, desk)
        cache.advance(n)
        return x.view(size, new, -1)

    def _prepared(
        self, size: int, new: int, across: Sequence[Across]
    ) -> tuple["_Desk", list[Looked]]:
        """Memory for so many tokens and what is attended to, made when either has changed."""
        desk = self._desk
        if desk is None or desk.shape != (size, new):
            desk = self._desk = _Desk(size, new, self.layers[0], self.places)
        if across is not self._across:
            hides = bool(across) and bool((across[0][2] != 0).any())
            self._across, self._looked = across, _looked(across, hides=hides)
        return desk, self._looked

    def _positions(self, cache: Cache, n: int) -> tuple[Tensor, Tensor]:
        """Learned positions of the next n tokens of every hypothesis, and their rotations."""
        last = len(self.range) - 1  # a draft may run ahead of the limit
        if n == 1 and isinstance(cache.places, int):
            place = min(cache.places, last)
            return self.places[place], self.rotations[place]
        if isinstance(cache.places, int):
            ahead = (cache.places + self.range[:n]).clamp(max=last)
            at = ahead.repeat(cache.hypotheses)[None]
        else:
            # After the end of a shorter prompt there may be no such position, and nothing counts.
            at = (cache.places[..., None] + self.range[:n]).flatten(1).clamp(max=last)
        return self.places[at], self.rotations[at]

    def predict(self, x: Tensor) -> Tensor:
        """(S, T, W) normalized states -> (S, T, V) logits, valid until the next call."""
        flat = x.view(-1, x.shape[2])
        if len(self.logits) < len(flat):
            self.logits = flat.new_empty(len(flat), len(self.tokens))
        logits = self.logits[: len(flat)]
        return torch.mm(flat, self.project, out=logits).view(*x.shape[:2], -1)


class _Desk:
    """Memory for (S, T) tokens in a layer, and its views."""

    def __init__(self, size: int, new: int, layer: "_Layer", like: Tensor):
        heads, each = layer.heads, layer.size
        width = heads * each
        self.shape = size, new
        self.projected = like.new_empty(size * new, 3 * width)
        self.hidden = like.new_empty(size * new, layer.feed[1].shape[1])
        split = self.projected.view(size, new, 3, heads, each)
        pairs = split.view(size, new, 3, heads, each // 2, 2).narrow(2, 0, 2)
        self.pairs = torch.view_as_complex(pairs)
        """(S, T, 2, heads, size / 2) queries and keys, to be rotated."""
        projected_heads = split.permute(2, 0, 3, 1, 4)
        self.projected_queries, self.new = projected_heads[0], projected_heads.narrow(0, 1, 2)
        """(S, heads, T, size), and (2, S, heads, T, size) keys and values."""
        by_head = like.new_empty(size, heads, new, each)
        self.queries, self.queries_split = by_head.flatten(0, 1), by_head
        """The same memory as (S heads, T, size) and as (S, heads, T, size)."""
        # The heads of a single token are where they belong already.
        joined = by_head.view(size * new, width)
        self.joined = joined if new == 1 else like.new_empty(size * new, width)
        """(S T, W)."""
        self.joined_split = self.joined.view(size, new, heads, each).transpose(1, 2)
        self.single = new == 1

    def split(self) -> Tensor:
        """What stands in `joined`, by head: (S heads, T, size)."""
        if not self.single:
            self.queries_split.copy_(self.joined_split)
        return self.queries

    def mix(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """(S heads, T, size) queries over (S heads, size, length) keys and (S heads, length, size)
        values -> (S T, W).

        Plain products: for a few queries they are faster than the fused kernels of the CPU.
        """
        scores = torch.bmm(queries, keys) if mask is None else torch.baddbmm(mask, queries, keys)
        torch.bmm(scores.softmax(-1), values, out=self.queries)
        if not self.single:
            self.joined_split.copy_(self.queries_split)
        return self.joined


class _Layer:
    """One layer's weights, fused, scaled and transposed. x: (S T, W) states, changed in place."""

    def __init__(self, layer: SelfLayer | CrossLayer):
        own = layer.within
        self.heads, self.size = own.heads, own.out.in_features // own.heads
        scale = self.size**-0.5
        query, bias = own.query.weight * scale, own.query.bias * scale
        weight = torch.cat([query, own.key_value.weight])
        self.own = torch.cat([bias, own.key_value.bias]), weight.t()
        self.copies = list(self.own)
        """Of weights; all others are the model's own."""
        self.out = own.out.bias, own.out.weight.t()
        self.attended, self.changed = _residual(layer.attend), _residual(layer.change)
        first, _, last = layer.feed
        assert isinstance(first, nn.Linear)
        assert isinstance(last, nn.Linear)
        self.feed: tuple[Tensor, Tensor] = first.bias, first.weight.t()
        self.back: tuple[Tensor, Tensor] = last.bias, last.weight.t()
        self.attention = layer.across if isinstance(layer, CrossLayer) else None
        if isinstance(layer, CrossLayer):
            across = layer.across
            self.question = across.query.bias * scale, (across.query.weight * scale).t()
            self.copies += self.question
            self.answer = across.out.bias, across.out.weight.t()
            self.looked = _residual(layer.look)

    def within(
        self, x: Tensor, desk: _Desk, slots: Slots, rotations: Tensor, mask: Tensor | None
    ) -> Tensor:
        """Attention over what the hypotheses have read, including these tokens."""
        (before, after), (bias, weight) = self.attended, self.own
        new, keys, values = slots
        torch.addmm(bias, before(x), weight, out=desk.projected)
        desk.pairs.mul_(rotations)
        new.copy_(desk.new)
        queries = desk.queries_split.copy_(desk.projected_queries).flatten(0, 1)
        bias, weight = self.out
        return after(x.add_(bias).addmm_(desk.mix(queries, keys, values, mask), weight))

    def across(self, memory: Tensor, padding: Tensor) -> Across:
        """What `look` needs of (S, length, W) states of the source and (S, length) 0 or -inf."""
        attention = self.attention
        assert attention is not None
        keys, values = (x.contiguous() for x in attention.keys_values(memory))
        hide = padding[:, None, None].expand(-1, self.heads, -1, -1)
        return keys, values, hide

    def look(self, x: Tensor, desk: _Desk, looked: Looked) -> Tensor:
        """Attention over the source."""
        (before, after), (bias, weight) = self.looked, self.question
        torch.addmm(bias, before(x), weight, out=desk.joined)
        bias, weight = self.answer
        return after(x.add_(bias).addmm_(desk.mix(desk.split(), *looked), weight))

    def change(self, x: Tensor, desk: _Desk) -> Tensor:
        """The feed-forward part."""
        (before, after), (bias, weight) = self.changed, self.feed
        hidden = torch.addmm(bias, before(x), weight, out=desk.hidden)
        functional.gelu(hidden, out=hidden)  # type: ignore[call-arg]
        bias, weight = self.back
        return after(x.add_(bias).addmm_(hidden, weight))


def _residual(residual: Residual) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """What is done before and after a part of a layer; one of the two does nothing."""
    weight, bias, epsilon = residual.norm.weight, residual.norm.bias, residual.norm.eps
    shape = weight.shape

    def normalized(x: Tensor) -> Tensor:
        return torch.layer_norm(x, shape, weight, bias, epsilon)

    def same(x: Tensor) -> Tensor:
        return x

    return (normalized, same) if residual.before else (same, normalized)


def _looked(across: Sequence[Across], *, hides: bool) -> list[Looked]:
    """By head. All layers hide the same, and where no source is padded, nothing."""
    hidden = across[0][2].flatten(0, 1) if hides else None
    return [(k.flatten(0, 1).transpose(1, 2), v.flatten(0, 1), hidden) for k, v, _ in across]
