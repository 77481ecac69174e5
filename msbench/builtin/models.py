"""Transformers: an encoder for labels, an encoder-decoder for text, with a key-value cache.

Learned positions, GELU, a feed-forward part of four widths; sizes by `width`, `layers`, `heads`.
Layers are normalized before each part (`norm = "pre"`, Xiong et al., 2020) or after it (`"post"`,
Vaswani et al., 2017). Shapes: B examples, S source and T target positions, W width, V vocabulary.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import scaled_dot_product_attention

import msbench
from msbench import PAD, Batch, Task

Norm = Literal["pre", "post"]
Size = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]


class Encoder(nn.Module):
    """(B, S) tokens -> (B, classes) logits: the mean of the last layer over the text, projected."""

    def __init__(
        self,
        task: Task,
        width: Size = 64,
        layers: Size = 2,
        heads: Size = 4,
        dropout: Share = 0.1,
        norm: Norm = "pre",
    ):
        super().__init__()
        _check_heads(width, heads)
        self.embedding = Embedding(task.vocabulary, task.longest_source, width, dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(width, heads, dropout, norm) for _ in range(layers)
        )
        self.norm = _last_norm(width, norm)
        self.head = nn.Linear(width, task.classes)
        self.apply(initialize)

    def forward(self, batch: Batch) -> Tensor:
        used = batch.source != PAD
        x = self.embedding(batch.source)
        for layer in self.layers:
            x = layer(x, used[:, None, None, :])
        x = self.norm(x) * used[..., None]
        logits: Tensor = self.head(x.sum(1) / used.sum(1, keepdim=True))
        return logits


class EncoderDecoder(nn.Module):
    """(B, S) source and (B, T) input -> (B, T, V) logits; source, target and output share one
    embedding (Press and Wolf, 2017).

    copy: add a pointer that can repeat tokens of the source (See et al., 2017); the logits are
    then log-probabilities.
    """

    def __init__(
        self,
        task: Task,
        width: Size = 64,
        layers: Size = 2,
        heads: Size = 4,
        dropout: Share = 0.1,
        norm: Norm = "pre",
        copy: bool = False,
    ):
        super().__init__()
        _check_heads(width, heads)
        self.max_length = task.longest_target
        """Most tokens that `step` can be asked for."""
        self.source = Embedding(task.vocabulary, task.longest_source, width, dropout)
        self.target = Embedding(task.vocabulary, task.longest_target, width, dropout)
        self.target.tokens = self.source.tokens
        self.encoder = nn.ModuleList(
            EncoderLayer(width, heads, dropout, norm) for _ in range(layers)
        )
        self.decoder = nn.ModuleList(
            DecoderLayer(width, heads, dropout, norm) for _ in range(layers)
        )
        self.source_norm = _last_norm(width, norm)
        self.target_norm = _last_norm(width, norm)
        self.pointer = Pointer(width) if copy else None
        self.apply(initialize)

    def forward(self, batch: Batch) -> Tensor:
        memory, mask = self._read(batch.source)
        x = self.target(batch.input)
        for layer in self.decoder_layers():
            x = layer(x, *layer.across.keys_values(memory), mask)
        return self._logits(x, batch.source, self._pointer_keys(memory))

    def start(self, batch: Batch) -> "State":
        """The state before the first token: the source read, the cache empty."""
        memory, mask = self._read(batch.source)
        across = [layer.across.keys_values(memory) for layer in self.decoder_layers()]
        rows, heads, _, size = across[0][0].shape
        empty = memory.new_empty(2, len(self.decoder), rows, heads, self.max_length, size)
        return State(batch.source, across, mask, self._pointer_keys(memory), empty[0], empty[1], 0)

    def step(self, state: "State", tokens: Tensor) -> tuple[Tensor, "State"]:
        """(rows,) tokens -> (rows, V) logits of the next ones, and the state behind them."""
        place = state.length
        x = self.target(tokens[:, None], place)
        for number, layer in enumerate(self.decoder):
            cache = state.keys[number], state.values[number], place
            x = layer(x, *state.across[number], state.mask, cache)
        logits = self._logits(x, state.source, state.pointer_keys)[:, 0]
        return logits, replace(state, length=place + 1)

    def decoder_layers(self) -> Iterator["DecoderLayer"]:
        """The layers, typed."""
        yield from self.decoder  # type: ignore[misc]

    def _read(self, source: Tensor) -> tuple[Tensor, Tensor]:
        mask = (source != PAD)[:, None, None, :]
        x = self.source(source)
        for layer in self.encoder:
            x = layer(x, mask)
        return self.source_norm(x), mask

    def _pointer_keys(self, memory: Tensor) -> Tensor | None:
        return None if self.pointer is None else self.pointer.key(memory)

    def _logits(self, x: Tensor, source: Tensor, pointer_keys: Tensor | None) -> Tensor:
        x = self.target_norm(x)
        logits = functional.linear(x, self.source.tokens.weight)
        if self.pointer is None:
            return logits
        mixed: Tensor = self.pointer(x, logits, pointer_keys, source)
        return mixed


@dataclass(frozen=True)
class State:
    """What decoding has computed so far, one row per hypothesis."""

    source: Tensor
    """(rows, S) token ids."""
    across: list[tuple[Tensor, Tensor]]
    """Per layer, keys and values of the source: (rows, heads, S, size)."""
    mask: Tensor
    pointer_keys: Tensor | None
    keys: Tensor
    """(layers, rows, heads, max_length, size); the first `length` positions are filled."""
    values: Tensor
    length: int

    def select(self, rows: Tensor) -> "State":
        """The state of the given rows, in that order; a row may be taken more than once."""
        used = slice(0, self.length)
        keys, values = (
            torch.empty(old.shape[0], len(rows), *old.shape[2:], dtype=old.dtype, device=old.device)
            for old in (self.keys, self.values)
        )
        keys[:, :, :, used] = self.keys[:, rows, :, used]
        values[:, :, :, used] = self.values[:, rows, :, used]
        across = [(k[rows], v[rows]) for k, v in self.across]
        pointer_keys = None if self.pointer_keys is None else self.pointer_keys[rows]
        source, mask = self.source[rows], self.mask[rows]
        return State(source, across, mask, pointer_keys, keys, values, self.length)


class Pointer(nn.Module):
    """Mixes the model's next-token probabilities with a copy of one of the source's tokens."""

    def __init__(self, width: int):
        super().__init__()
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.gate = nn.Linear(width, 1)

    def forward(self, x: Tensor, logits: Tensor, keys: Tensor, source: Tensor) -> Tensor:
        """(B, T, W) states, (B, T, V) logits, (B, S, W) keys, (B, S) ids -> log-probabilities."""
        scores = self.query(x) @ keys.transpose(1, 2) / keys.shape[-1] ** 0.5
        attention = scores.masked_fill((source == PAD)[:, None], float("-inf")).softmax(-1)
        tokens = source[:, None].expand_as(attention)
        copied = torch.zeros_like(logits).scatter_add(2, tokens, attention)
        share = self.gate(x).sigmoid()
        mixed: Tensor = share * logits.softmax(-1) + (1 - share) * copied
        return (mixed + 1e-9).log()


class Embedding(nn.Module):
    """Tokens plus learned positions."""

    def __init__(self, vocabulary: int, longest: int, width: int, dropout: float):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(longest, width)
        self.dropout = nn.Dropout(dropout)
        self.scale = width**0.5

    def forward(self, tokens: Tensor, start: int = 0) -> Tensor:
        positions = self.positions.weight[start : start + tokens.shape[1]]
        embedded: Tensor = self.dropout(self.tokens(tokens) * self.scale + positions)
        return embedded


class Attention(nn.Module):
    """Queries of one sequence over keys and values of another (or the same).

    Without dropout on its weights, so that the fused kernels serve; dropout comes after it.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S, W) -> keys and values, each (B, heads, S, W / heads)."""
        keys, values = self.key_value(x).chunk(2, dim=-1)
        return self._split(keys), self._split(values)

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool = False
    ) -> Tensor:
        queries = self._split(self.query(x))
        mixed = scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, is_causal=causal
        )
        joined: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return joined

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], self.heads, -1).transpose(1, 2)


class FeedForward(nn.Sequential):
    """Two linear maps with a GELU between them."""

    def __init__(self, width: int):
        super().__init__(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))


class Residual(nn.Module):
    """What a part of a layer gives, added to what it got; normalized before or after."""

    def __init__(self, width: int, dropout: float, norm: Norm):
        super().__init__()
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        self.before = norm == "pre"

    def forward(self, x: Tensor, part: Callable[[Tensor], Tensor]) -> Tensor:
        if self.before:
            changed: Tensor = x + self.dropout(part(self.norm(x)))
        else:
            changed = self.norm(x + self.dropout(part(x)))
        return changed


class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward."""

    def __init__(self, width: int, heads: int, dropout: float, norm: Norm):
        super().__init__()
        self.within, self.feed = Attention(width, heads), FeedForward(width)
        self.attend, self.change = (Residual(width, dropout, norm) for _ in range(2))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.attend(x, lambda y: self.within(y, *self.within.keys_values(y), mask))
        changed: Tensor = self.change(x, self.feed)
        return changed


Cache = tuple[Tensor, Tensor, int]
"""Keys and values (rows, heads, max_length, size), and how many positions are filled."""


class DecoderLayer(nn.Module):
    """Causal self-attention, attention over the source, feed-forward."""

    def __init__(self, width: int, heads: int, dropout: float, norm: Norm):
        super().__init__()
        self.within, self.across = Attention(width, heads), Attention(width, heads)
        self.feed = FeedForward(width)
        self.attend, self.look, self.change = (Residual(width, dropout, norm) for _ in range(3))

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor, cache: Cache | None = None
    ) -> Tensor:
        """keys, values, mask: of the source. cache: x is the one position behind what it holds."""
        x = self.attend(x, lambda y: self._within(y, cache))
        x = self.look(x, lambda y: self.across(y, keys, values, mask))
        changed: Tensor = self.change(x, self.feed)
        return changed

    def _within(self, x: Tensor, cache: Cache | None) -> Tensor:
        keys, values = self.within.keys_values(x)
        if cache is None:
            attended: Tensor = self.within(x, keys, values, None, causal=True)
            return attended
        stored_keys, stored_values, place = cache
        stored_keys[:, :, place : place + 1] = keys
        stored_values[:, :, place : place + 1] = values
        seen = slice(0, place + 1)  # one new position: it may look at all before it
        attended = self.within(x, stored_keys[:, :, seen], stored_values[:, :, seen], None)
        return attended


def initialize(module: nn.Module) -> None:
    """Glorot for linear maps, width^-1/2 for embeddings, zero biases."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)


def _last_norm(width: int, norm: Norm) -> nn.Module:
    """Post-norm layers have normalized already."""
    return nn.LayerNorm(width) if norm == "pre" else nn.Identity()


def _check_heads(width: int, heads: int) -> None:
    if heads < 1 or width % heads:
        raise msbench.MsbenchError(f"width {width} is not a multiple of heads {heads}")
