"""A T5-like encoder-decoder with a key-value cache and, if asked for, a pointer."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from msbench import Batch, MsbenchError, Task
from msbench.builtin.models.cache import Cache
from msbench.builtin.models.fixed import FixedCache, Form, enter, reordered
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
from msbench.builtin.replayed_decoding import Replays
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
        self.replays = Replays(EncoderDecoder.step)
        self.apply(initialize)

    def forward(self, batch: Batch) -> Tensor:
        memory, mask = self._read(batch)
        x = self.target(batch.input)
        for layer in self.decoder_layers():
            x = layer(x, memory, mask)
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
        state.go_on(trail, n)
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
        self._begin(self.written)

    def go_on(self, written: Tensor, n: int) -> None:
        """After each of n more tokens, (S, H n, length) `written`."""
        self.n = n
        if self.pointed is not None:
            self.trail += written.view(*self.written.shape[:2], n, -1).unbind(2)
            self.written = self.trail[-1]

    def form(self, hypotheses: int, tokens: int) -> Form:
        """That of a fixed state for so many hypotheses of each source, and tokens of each."""
        return Form.of(self.cache.sources, self.written.shape[2], hypotheses, tokens)

    def fixed(self, form: Form) -> "FixedState":
        """A state whose steps can be captured; to be loaded with ones like this."""
        return FixedState.like(self, form)

    def select(self, rows: Tensor) -> "State":
        """The state of the given rows, in that order; a row may be taken more than once. The old
        state is used up."""
        kept = self.cache.select(rows)
        written = self.written.flatten(0, 1)[rows]
        self._begin(written.view(-1, self.cache.hypotheses, self.written.shape[2]))
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
            self._begin(trail.gather(2, index)[:, :, 0])
        return self

    def _begin(self, written: Tensor) -> None:
        self.written, self.trail = written, [written]


class FixedState(State):
    """A state in tensors that stay where they are; see `fixed.py`."""

    cache: FixedCache

    @classmethod
    def like(cls, state: State, form: Form) -> "FixedState":
        """An empty one of this form."""
        keys = state.across[0][0]
        rows, heads, long = form.sources, keys.shape[1], form.length
        hide = keys.new_empty(rows, heads, 1, long)
        shape = rows, heads, long, keys.shape[3]
        across = [(keys.new_empty(shape), keys.new_empty(shape), hide) for _ in state.across]
        written = state.written.new_empty(rows, form.hypotheses, long)
        pointed = state.pointed and state.pointed.room(rows, long)
        state.stack.fix(across)
        return cls(state.stack, FixedCache(state.cache, form, 0), across, pointed, written)

    def load(self, state: State) -> None:
        """Begin as this state does, which has read the sources alone."""
        rows = self.cache.rows(state.cache.sources)
        self.cache.load(state.cache, rows)
        self.stack.load(state.stack)
        for mine, its in zip(self.across, state.across, strict=True):
            enter(mine[0], its[0], rows)
            enter(mine[1], its[1], rows)
        enter(self.across[0][2], state.across[0][2], rows, float("-inf"))  # that of all layers
        self.written.fill_(False)
        if self.pointed is not None and state.pointed is not None:
            self.pointed.load(state.pointed, rows)

    def go_on(self, written: Tensor, n: int) -> None:
        """As of any state, but that nothing can be taken back."""
        self.written.copy_(written)

    def select(self, rows: Tensor) -> "FixedState":
        """As of any state; see `FixedCache.select`."""
        self.cache.select(rows)
        self.written.copy_(reordered(self.written, rows))
        return self
