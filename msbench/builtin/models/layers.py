"""What our transformers are made of: embedding, attention, feed-forward, layers.

Learned positions, and rotary ones within self-attention (Su et al., 2021): neighbours then look the
same everywhere in a text, which few examples cannot teach by learned positions alone. GELU, a
feed-forward part of four widths. Layers are normalized before each part (`norm = "pre"`, Xiong et
al., 2020) or after it (`"post"`, Vaswani et al., 2017). Shapes: B examples, S source and T target
positions, W width, V vocabulary.
"""

from collections.abc import Callable
from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import scaled_dot_product_attention

import msbench
from msbench import END, PAD, Batch
from msbench.builtin.models.dropout import Dropout

Norm = Literal["pre", "post"]


class Embedding(nn.Module):
    """Tokens plus learned positions.

    repeats: also mark tokens that occur more than once in their text, alone or with a neighbour,
    like the exact-match feature of question answering (Chen et al., 2017, DrQA).
    """

    def __init__(
        self, vocabulary: int, longest: int, width: int, dropout: float, repeats: bool = False
    ):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(longest, width)
        self.dropout = Dropout(dropout)
        self.scale = width**0.5
        self.repeats = nn.Embedding(3, width) if repeats else None

    def forward(self, tokens: Tensor, places: Tensor | None = None) -> Tensor:
        """(B, T) ids -> (B, T, W). places: (B, T) positions, where they are not 0, 1, 2, ..."""
        if places is None:
            positions = self.positions.weight[: tokens.shape[1]]
        else:
            positions = self.positions(places)
        x = torch.add(positions, self.tokens(tokens), alpha=self.scale)
        if self.repeats is not None:
            x = x.add(self.repeats(repeated(tokens)), alpha=self.scale)
        embedded: Tensor = self.dropout(x)
        return embedded


class Attention(nn.Module):
    """Queries of one sequence over keys and values of another (or the same).

    Without dropout on its weights, so that fused kernels can be used; dropout follows it. Masks
    are what to add to scores, (B, 1, 1, S) as `padding_mask` makes them, or None.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def keys_values(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, S, W) -> keys and values, each (B, heads, S, W / heads)."""
        return self._split(self.key_value(x)).chunk(2, dim=1)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Attention over another sequence, by its keys and values."""
        return self._mixed(self._split(self.query(x)), keys, values, mask, causal=False)

    def within(self, x: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        """Self-attention; queries, keys and values are one product.

        Their weights stay apart, so that initialization and optimizers that look at a whole matrix
        (Muon, Adafactor) do not depend on what is computed together.
        """
        weight = torch.cat([self.query.weight, self.key_value.weight])
        bias = torch.cat([self.query.bias, self.key_value.bias])
        projected = self._split(functional.linear(x, weight, bias))
        both, values = torch.split(projected, [2 * self.heads, self.heads], dim=1)
        queries, keys = rotated(both).chunk(2, dim=1)
        return self._mixed(queries, keys, values, mask, causal)

    def _mixed(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool
    ) -> Tensor:
        mixed = scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, is_causal=causal
        )
        joined: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return joined

    def _split(self, x: Tensor) -> Tensor:
        """(B, T, n size) -> (B, n, T, size): as many heads as there are."""
        size = self.out.in_features // self.heads
        return x.view(*x.shape[:-1], -1, size).transpose(1, 2)


class FeedForward(nn.Sequential):
    """Two linear maps with a GELU between them."""

    def __init__(self, width: int):
        super().__init__(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))


class Residual(nn.Module):
    """A part of a layer with its residual connection; normalized before or after."""

    def __init__(self, width: int, dropout: float, norm: Norm):
        super().__init__()
        self.norm, self.dropout = nn.LayerNorm(width), Dropout(dropout)
        self.before = norm == "pre"

    def forward(self, x: Tensor, part: Callable[[Tensor], Tensor]) -> Tensor:
        if self.before:
            changed: Tensor = x + self.dropout(part(self.norm(x)))
        else:
            changed = self.norm(x + self.dropout(part(x)))
        return changed


class SelfLayer(nn.Module):
    """Self-attention, then feed-forward: a layer of an encoder or of a causal model."""

    def __init__(self, width: int, heads: int, dropout: float, norm: Norm):
        super().__init__()
        self.within, self.feed = Attention(width, heads), FeedForward(width)
        self.attend, self.change = (Residual(width, dropout, norm) for _ in range(2))

    def forward(self, x: Tensor, mask: Tensor | None, causal: bool = False) -> Tensor:
        x = self.attend(x, lambda y: self.within.within(y, mask, causal))
        changed: Tensor = self.change(x, self.feed)
        return changed


class CrossLayer(nn.Module):
    """Causal self-attention, attention over the source, feed-forward."""

    def __init__(self, width: int, heads: int, dropout: float, norm: Norm):
        super().__init__()
        self.within, self.across = Attention(width, heads), Attention(width, heads)
        self.feed = FeedForward(width)
        self.attend, self.look, self.change = (Residual(width, dropout, norm) for _ in range(3))

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """memory: states of the source; mask: what of it is padding."""
        x = self.attend(x, lambda y: self.within.within(y, None, causal=True))
        keys, values = self.across.keys_values(memory)
        x = self.look(x, lambda y: self.across(y, keys, values, mask))
        changed: Tensor = self.change(x, self.feed)
        return changed


def rotated(x: Tensor) -> Tensor:
    """(B, heads, T, size), pairs of neighbours rotated by angles that grow with the position.

    The product of two rotated vectors depends on their distance, not on their positions. A pair is
    one complex number, so that the rotation is one operation, in single precision at least.
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    pairs = wide.view(*x.shape[:-1], -1, 2)
    length, half = pairs.shape[2:4]
    if torch.compiler.is_compiling():  # compilers fuse real numbers, and do without complex ones
        angles = rotation_angles(torch.arange(length, device=x.device), half, pairs.dtype)
        sine, cosine = angles.sin(), angles.cos()
        a, b = pairs.unbind(-1)
        turned = torch.stack([a * cosine - b * sine, a * sine + b * cosine], dim=-1)
    else:
        room = 1 << (length - 1).bit_length()
        rotations = _rotations(room, half, pairs.dtype, x.device)[:length]
        turned = torch.view_as_real(torch.view_as_complex(pairs) * rotations)
    return turned.flatten(-2).to(x.dtype)


@cache
def _rotations(length: int, half: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(length, half) complex numbers of absolute value 1.

    Usable in training too, wherever they are first made, and never dropped: a captured step reads
    them where they were.
    """
    with torch.inference_mode(False), torch.no_grad():
        angles = rotation_angles(torch.arange(length, device=device), half, dtype)
        return torch.polar(torch.ones_like(angles), angles)


def rotation_angles(positions: Tensor, half: int, dtype: torch.dtype) -> Tensor:
    """(T,) positions -> (T, half) angles of `rotated`."""
    steps = torch.arange(half, device=positions.device, dtype=dtype)
    return positions[:, None].to(dtype) * 10_000.0 ** (-steps / half)


def padding_mask(batch: Batch, x: Tensor) -> Tensor | None:
    """(B, 1, 1, S) what to add to scores, 0 or -inf, in the type of x; None if there is no padding.

    Every layer would turn a boolean mask into such numbers again, and without a mask faster kernels
    can be used. Whether there is padding is not asked of the device.
    """
    return None if batch.full else hiding(batch.source, x)[:, None, None]


def hiding(source: Tensor, x: Tensor) -> Tensor:
    """(B, S) ids -> -inf at padding, else 0, in the type of x."""
    return x.new_zeros(source.shape).masked_fill_(source == PAD, float("-inf"))


def repeated(tokens: Tensor) -> Tensor:
    """(B, S) ids -> 0 where a token is unique in its text, 1 if repeated, 2 with a neighbour."""
    same = tokens[:, :, None] == tokens[:, None]
    pair = (same[:, 1:, 1:] & same[:, :-1, :-1]).sum(-1) > 1
    either = functional.pad(pair, (1, 0)) | functional.pad(pair, (0, 1))
    return (same.sum(-1) > 1).long() + either.long()


def pooled(x: Tensor, source: Tensor, segments: int) -> Tensor:
    """(B, S, W) states -> (B, W) mean over the text; for two texts, (B, 4 W) features of the pair.

    Two texts: both means u and v, |u - v| and u * v (Conneau et al., 2017, InferSent).
    """
    if segments == 1:
        return _mean(x, source != PAD)
    which = segment(source)
    u, v = _mean(x, (which == 0) & (source != PAD)), _mean(x, (which == 1) & (source != PAD))
    return torch.cat([u, v, (u - v).abs(), u * v], dim=-1)


def pooled_width(width: int, segments: int) -> int:
    """Last dimension of the result of `pooled`."""
    return width if segments == 1 else 4 * width


def segment(source: Tensor) -> Tensor:
    """(B, S) which of the texts a token belongs to; each ends with END, which belongs to it."""
    ends = (source == END).long()
    return ends.cumsum(1) - ends


def _mean(x: Tensor, used: Tensor) -> Tensor:
    # States of PAD may be anything, so they are zeroed; a missing text has mean zero.
    return (x * used[..., None]).sum(1) / used.sum(1, keepdim=True).clamp(min=1)


def initialize(module: nn.Module) -> None:
    """Glorot for linear maps, width^-1/2 for embeddings, zero biases."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)


def last_norm(width: int, norm: Norm) -> nn.Module:
    """The norm after the last layer; post-norm layers have normalized already."""
    return nn.LayerNorm(width) if norm == "pre" else nn.Identity()


def check_heads(width: int, heads: int) -> None:
    """MsbenchError unless the width can be divided among the heads in pairs of numbers."""
    if heads < 1 or width % (2 * heads):
        raise msbench.MsbenchError(
            f"width {width} is not a multiple of twice the heads, {2 * heads}"
        )


def check_source(source: Tensor, limit: int, *, some: bool = True) -> None:
    """MsbenchError if a (B, S) source has more tokens than the model has positions, or, with
    `some`, if one has no tokens."""
    if source.shape[1] > limit:
        raise msbench.MsbenchError(
            f"a source of {source.shape[1]} tokens: the model reads {limit} at most"
        )
    if some and not bool((source != PAD).any(1).all()):
        raise msbench.MsbenchError("an empty source: there is nothing to decode from")
