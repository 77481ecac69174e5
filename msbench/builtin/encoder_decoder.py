"""A T5-like encoder-decoder with a key-value cache, and a pointer into the source."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from msbench import BEGIN, PAD, Batch, MsbenchError, Task
from msbench.builtin.layers import (
    CrossLayer,
    Embedding,
    Norm,
    SelfLayer,
    Share,
    Size,
    check_heads,
    initialize,
    last_norm,
)


class EncoderDecoder(nn.Module):
    """(B, S) source and (B, T) input -> (B, T, V) logits; source, target and output share one
    embedding (Press and Wolf, 2017).

    copy: add a pointer that can repeat tokens of the source (Gu et al., 2016). follow: tell the
    pointer where it stands and what is written already (`copying_clues`). repeats: tell tokens that
    occur more than once in the source (Chen et al., 2017).
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
        repeats: bool = False,
        follow: bool = False,
    ):
        super().__init__()
        check_heads(width, heads)
        if follow and not copy:
            raise MsbenchError("encoder-decoder: follow = true is about copying: set copy = true")
        self.max_length = task.longest_target
        """Most tokens that `step` can be asked for."""
        self.source = Embedding(task.vocabulary, task.longest_source, width, dropout, repeats)
        self.target = Embedding(task.vocabulary, task.longest_target, width, dropout)
        self.target.tokens = self.source.tokens
        self.encoder = nn.ModuleList(SelfLayer(width, heads, dropout, norm) for _ in range(layers))
        self.decoder = nn.ModuleList(CrossLayer(width, heads, dropout, norm) for _ in range(layers))
        self.source_norm = last_norm(width, norm)
        self.target_norm = last_norm(width, norm)
        self.pointer = Pointer(width, follow) if copy else None
        self.apply(initialize)

    def forward(self, batch: Batch) -> Tensor:
        memory, mask = self._read(batch.source)
        x = self.target(batch.input)
        for layer in self.decoder_layers():
            x = layer(x, *layer.across.keys_values(memory), mask)
        clues = self._clues(batch.source, batch.input)
        return self._logits(x, batch.source, self._pointer_keys(memory), clues)

    def start(self, batch: Batch) -> "State":
        """The state before the first token: the source read, the cache empty."""
        memory, mask = self._read(batch.source)
        across = [layer.across.keys_values(memory) for layer in self.decoder_layers()]
        rows, heads, _, size = across[0][0].shape
        empty = memory.new_empty(2, len(self.decoder), rows, heads, self.max_length, size)
        keys = self._pointer_keys(memory)
        written = torch.zeros_like(batch.source, dtype=torch.bool)
        return State(batch.source, across, mask, keys, written, empty[0], empty[1], 0)

    def step(self, state: "State", tokens: Tensor) -> tuple[Tensor, "State"]:
        """(rows,) tokens -> (rows, V) logits of the next ones, and the state behind them."""
        place = state.length
        x = self.target(tokens[:, None], place)
        for number, layer in enumerate(self.decoder):
            cache = state.keys[number], state.values[number], place
            x = layer(x, *state.across[number], state.mask, cache)
        written = state.written | (state.source == tokens[:, None])
        clues = self._clues(state.source, tokens[:, None], written)
        logits = self._logits(x, state.source, state.pointer_keys, clues)[:, 0]
        return logits, replace(state, written=written, length=place + 1)

    def decoder_layers(self) -> Iterator[CrossLayer]:
        """The layers, typed."""
        yield from self.decoder  # type: ignore[misc]

    def _read(self, source: Tensor) -> tuple[Tensor, Tensor]:
        mask = (source != PAD)[:, None, None, :]
        x = self.source(source)
        for layer in self.encoder:
            x = layer(x, mask)
        return self.source_norm(x), mask

    def _pointer_keys(self, memory: Tensor) -> Tensor | None:
        return None if self.pointer is None else self.pointer.keys(memory)

    def _clues(self, source: Tensor, input: Tensor, written: Tensor | None = None) -> Tensor | None:
        if self.pointer is None or self.pointer.weigh is None:
            return None
        return copying_clues(source, input, None if written is None else written[:, None])

    def _logits(
        self, x: Tensor, source: Tensor, pointer_keys: Tensor | None, clues: Tensor | None
    ) -> Tensor:
        x = self.target_norm(x)
        logits = functional.linear(x, self.source.tokens.weight)
        if self.pointer is None:
            return logits
        mixed: Tensor = self.pointer(x, logits, pointer_keys, source, clues)
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
    written: Tensor
    """(rows, S) whether a token of the source has been written already."""
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
        source, mask, written = self.source[rows], self.mask[rows], self.written[rows]
        return State(source, across, mask, pointer_keys, written, keys, values, self.length)


class Pointer(nn.Module):
    """Lets every token of the source compete with the vocabulary (CopyNet: Gu et al., 2016).

    One softmax over both: where a token stands in the source, exp(score) is added to exp(logit).
    That costs a gather and a scatter instead of a second distribution over the vocabulary. A place
    is found by what it holds and by what stands before it, because what is copied next usually
    follows what was copied last (as Olsson et al., 2022, saw models learn by themselves, late).

    follow: scores also depend on `copying_clues`, weighed anew at every step.
    """

    def __init__(self, width: int, follow: bool = False):
        super().__init__()
        self.query, self.bias = nn.Linear(width, width), nn.Linear(width, 1)
        self.here, self.before = nn.Linear(width, width), nn.Linear(width, width)
        self.weigh = nn.Linear(width, 3) if follow else None

    def keys(self, memory: Tensor) -> Tensor:
        """(B, S, W) states of the source -> (B, S, W) keys."""
        before = functional.pad(memory, (0, 0, 1, 0))[:, :-1]
        keys: Tensor = self.here(memory) + self.before(before)
        return keys

    def forward(
        self,
        x: Tensor,
        logits: Tensor,
        keys: Tensor,
        source: Tensor,
        clues: Tensor | None = None,
    ) -> Tensor:
        """(B, T, W) states, (B, T, V) logits, (B, S, W) keys, (B, S) ids -> (B, T, V) logits."""
        scores = self.query(x) @ keys.transpose(1, 2) / keys.shape[-1] ** 0.5 + self.bias(x)
        if clues is not None and self.weigh is not None:
            scores = scores + (self.weigh(x)[:, :, None] @ clues.to(x.dtype))[:, :, 0]
        scores = scores.masked_fill((source == PAD)[:, None], float("-inf"))
        # A token that stands in several places counts with the sum, entered at the first of them.
        same = source[:, :, None] == source[:, None]
        first = ~same.tril(-1).any(-1)
        top = scores.amax(-1, keepdim=True).detach()
        sums = (scores - top).exp() @ same.to(scores.dtype)
        copied = sums.clamp(min=torch.finfo(sums.dtype).tiny).log() + top
        tokens = source[:, None].expand_as(scores)
        found = logits.gather(2, tokens)
        gain = (torch.logaddexp(found, copied) - found) * (first & (source != PAD))[:, None]
        return logits.scatter_add(2, tokens, gain)


def copying_clues(source: Tensor, input: Tensor, written: Tensor | None = None) -> Tensor:
    """(B, S) ids, (B, T) ids read -> (B, T, 3, S): what places are to the next token.

    Whether a place stands right behind the last token; anywhere behind it, so that copying may
    skip but goes on in order; and whether its token was written already (coverage: See et al.,
    2017). written: (B, 1, S) the last of these, where `input` is not all that was read.
    """
    before = functional.pad(source, (1, 0), value=BEGIN)[:, :-1]
    behind = before[:, None] == input[:, :, None]
    ahead = behind.cummax(-1).values & (input != BEGIN)[:, :, None]
    if written is None:
        written = (source[:, None] == input[:, :, None]).cummax(1).values
    return torch.stack([behind, ahead, written], dim=2)
