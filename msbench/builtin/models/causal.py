"""A GPT-like causal language model with a key-value cache."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from msbench import BEGIN, PAD, Batch, Task
from msbench.builtin.models.cache import Cache
from msbench.builtin.models.fixed import FixedCache, Form
from msbench.builtin.models.layers import (
    Embedding,
    Norm,
    SelfLayer,
    check_heads,
    check_source,
    initialize,
    last_norm,
)
from msbench.builtin.models.stack import Stack
from msbench.builtin.replayed_decoding import Replays
from msbench.builtin.types import Share, Size


class CausalLM(nn.Module):
    """(B, T) input -> (B, T, V) logits; input and output share one embedding.

    Radford et al., 2019. Generation continues the prompt in `Batch.source`.
    """

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
        check_heads(width, heads)
        self.heads = heads
        self.max_length = task.longest_target - task.longest_source
        """Most tokens that `step` can be asked for."""
        self.embedding = Embedding(task.vocabulary, task.longest_target, width, dropout)
        self.layers = nn.ModuleList(SelfLayer(width, heads, dropout, norm) for _ in range(layers))
        self.norm = last_norm(width, norm)
        self.replays = Replays(CausalLM.step)
        self.apply(initialize)

    def forward(self, batch: Batch) -> Tensor:
        x = self.embedding(batch.input)
        for layer in self.layers:
            x = layer(x, None, causal=True)  # padding is at the end: nothing before it sees it
        return self._logits(x)

    @torch.no_grad()
    def start(self, batch: Batch) -> "State":
        """The state after BEGIN and the prompt but its last token, which the first step reads."""
        limit = self.embedding.positions.num_embeddings - self.max_length
        check_source(batch.source, limit, some=False)
        prompt = functional.pad(batch.source, (1, 0), value=BEGIN)
        counts = (prompt != PAD).sum(1) - 1
        layers = list(self.typed_layers())
        weight = self.embedding.tokens.weight
        cache = Cache(weight, len(layers), len(prompt), self.heads)
        state = State(Stack(layers, self.embedding), cache, prompt.gather(1, counts[:, None]))
        if prompt.shape[1] > 1:  # padding is read too, and taken back
            state.stack.read(prompt[:, :-1], cache)
            cache.keep(counts, prompt.shape[1] - 1)
        return state

    @torch.no_grad()
    def step(self, state: "State", tokens: Tensor) -> tuple[Tensor, "State"]:
        """(rows,) tokens -> (rows, V) logits of the next ones, and the state after them; or
        (rows, n) -> (rows, n, V), as if they were read one by one.

        BEGIN, which every decoder passes first, means the last token of the prompt.
        """
        n = tokens.shape[1] if tokens.ndim == 2 else 1
        read = tokens.view(len(state.last), -1)
        last = state.last if n == 1 else state.last.repeat_interleave(n, 1)
        x = state.stack.read(torch.where(read == BEGIN, last, read), state.cache)
        state.n = n
        return state.stack.predict(self.norm(x)).view(*tokens.shape, -1), state

    def typed_layers(self) -> Iterator[SelfLayer]:
        """The layers, typed."""
        yield from self.layers  # type: ignore[misc]

    def _logits(self, x: Tensor) -> Tensor:
        return functional.linear(self.norm(x), self.embedding.tokens.weight)


@dataclass
class State:
    """What decoding has computed so far: of each source once, and of its hypotheses."""

    stack: Stack
    cache: Cache
    last: Tensor
    """(S, H) last token of the prompt, BEGIN where there is none."""
    n: int = 1

    def form(self, hypotheses: int, tokens: int) -> Form:
        """That of a fixed state for so many hypotheses of each source, and tokens of each."""
        return Form.of(self.cache.sources, self.cache.used, hypotheses, tokens)

    def fixed(self, form: Form) -> "FixedState":
        """A state whose steps can be captured; to be loaded with ones like this."""
        cache = FixedCache(self.cache, form, form.length)
        last = self.last.new_empty(form.sources, form.hypotheses)
        return FixedState(self.stack, cache, last)

    def select(self, rows: Tensor) -> "State":
        """The state of the given rows, in that order; a row may be taken more than once. The old
        state is used up."""
        self.cache.select(rows)
        self.last = self.last.flatten()[rows].view(-1, self.cache.hypotheses)
        return self

    def keep(self, counts: Tensor, n: int = 0) -> "State":
        """Keep only the first `counts` of the last n tokens that each row read, by default those of
        the last step."""
        self.cache.keep(counts, n or self.n)
        return self


class FixedState(State):
    """A state in tensors that stay where they are; see `fixed.py`."""

    cache: FixedCache

    def load(self, state: State) -> None:
        """Begin as this state does, which has read the prompts alone."""
        rows = self.cache.rows(state.cache.sources)
        self.cache.load(state.cache, rows)
        self.stack.load(state.stack)
        self.last.copy_(state.last[rows])

    def select(self, rows: Tensor) -> "FixedState":
        """As of any state; see `FixedCache.select`."""
        self.cache.select(rows)
        return self
