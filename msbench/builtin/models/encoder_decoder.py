"""A T5-like encoder-decoder with a key-value cache and, if asked for, a pointer."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from msbench import Batch, MsbenchError, Task
from msbench.builtin.models.cache import Cache
from msbench.builtin.models.layers import (
    CrossLayer,
    Embedding,
    Norm,
    SelfLayer,
    check_heads,
    check_source,
    hiding,
    initialize,
    last_norm,
    padding_mask,
)
from msbench.builtin.models.pointer import Pointed, Pointer, copying_clues
from msbench.builtin.models.stack import Across, Stack
from msbench.builtin.types import Share, Size


class EncoderDecoder(nn.Module):
    """(B, S) source and (B, T) input -> (B, T, V) logits; source, target and output share one
    embedding (Press and Wolf, 2017).

    copy: add a pointer that can repeat tokens of the source (Gu et al., 2016). follow: tell the
    pointer where it is and what is written already (`copying_clues`). repeats: mark tokens that
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
        memory, mask = self._read(batch)
        x = self.target(batch.input)
        for layer in self.decoder_layers():
            x = layer(x, *layer.across.keys_values(memory), mask)
        x = self.target_norm(x)
        logits = functional.linear(x, self.source.tokens.weight)
        pointed = self._pointed(memory, batch.source)
        return self._pointed_at(x, logits, pointed, batch.input)

    @torch.no_grad()
    def start(self, batch: Batch) -> "State":
        """The state before the first token, when only the source has been read."""
        check_source(batch.source, self.source.positions.num_embeddings)
        memory, _ = self._read(batch)
        layers = list(self.decoder_layers())
        heads = layers[0].across.heads
        stack = Stack(layers, self.target)
        return State(
            stack,
            Cache(memory, len(layers), len(memory), heads),
            stack.across(memory, hiding(batch.source, memory)),
            self._pointed(memory, batch.source),
            torch.zeros_like(batch.source, dtype=torch.bool)[:, None],
        )

    @torch.no_grad()
    def step(self, state: "State", tokens: Tensor) -> tuple[Tensor, "State"]:
        """(rows,) tokens -> (rows, V) logits of the next ones, and the state after them; or
        (rows, n) -> (rows, n, V), as if they were read one by one."""
        cache, n = state.cache, tokens.shape[1] if tokens.ndim == 2 else 1
        read = tokens.view(cache.sources, -1)
        x = state.stack.read(read, cache, state.across)
        trail = state.written
        if state.pointed is not None:
            same = state.pointed.source[:, None, None] == read.view(len(read), -1, n, 1)
            trail = (same.cummax(2).values | state.written[:, :, None]).flatten(1, 2)
        x = self.target_norm(x)
        logits = self._pointed_at(x, state.stack.predict(x), state.pointed, read, trail)
        state.n = n
        if state.pointed is not None:
            state.trail += trail.view(*state.written.shape[:2], n, -1).unbind(2)
            state.written = state.trail[-1]
        return logits.view(*tokens.shape, -1), state

    def decoder_layers(self) -> Iterator[CrossLayer]:
        """The layers, typed."""
        yield from self.decoder  # type: ignore[misc]

    def _read(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        x = self.source(batch.source)
        mask = padding_mask(batch, x)
        for layer in self.encoder:
            x = layer(x, mask)
        return self.source_norm(x), mask

    def _pointed(self, memory: Tensor, source: Tensor) -> Pointed | None:
        return None if self.pointer is None else self.pointer.read(memory, source)

    def _pointed_at(
        self,
        x: Tensor,
        logits: Tensor,
        pointed: Pointed | None,
        input: Tensor,
        written: Tensor | None = None,
    ) -> Tensor:
        """Logits with what the pointer adds to them, if there is one."""
        if self.pointer is None or pointed is None:
            return logits
        follows = self.pointer.weigh is not None
        clues = copying_clues(pointed.source, input, written) if follows else None
        mixed: Tensor = self.pointer(x, logits, pointed, clues)
        return mixed


@dataclass
class State:
    """What decoding has computed so far: of each source once, and of its hypotheses."""

    stack: Stack
    cache: Cache
    across: list[Across]
    """What each layer attends to."""
    pointed: Pointed | None
    written: Tensor
    """(S, H, length) whether a token of the source has been written already."""
    trail: list[Tensor] = field(default_factory=list)
    """`written` before and after every token that was read since `start`, `select` or `keep`."""
    n: int = 1

    def __post_init__(self) -> None:
        self._go_on(self.written)

    def select(self, rows: Tensor) -> "State":
        """The state of the given rows, in that order; a row may be taken more than once. The old
        state is used up."""
        kept = self.cache.select(rows)
        written = self.written.flatten(0, 1)[rows]
        self._go_on(written.view(-1, self.cache.hypotheses, self.written.shape[2]))
        if kept is not None:
            self.across = [(k[kept], v[kept], hide[kept]) for k, v, hide in self.across]
            self.pointed = self.pointed and self.pointed.select(kept)
        return self

    def keep(self, counts: Tensor, n: int = 0) -> "State":
        """Keep only the first `counts` of the last n tokens that each row read, by default those of
        the last step."""
        n = n or self.n
        self.cache.keep(counts, n)
        if self.pointed is not None:
            trail = torch.stack(self.trail[-n - 1 :], dim=2)
            index = counts.view(*trail.shape[:2], 1, 1).expand(-1, -1, -1, trail.shape[3])
            self._go_on(trail.gather(2, index)[:, :, 0])
        return self

    def _go_on(self, written: Tensor) -> None:
        self.written, self.trail = written, [written]
