"""A GPT-like causal language model with a key-value cache."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from msbench import BEGIN, PAD, Batch, Task
from msbench.builtin.layers import (
    Embedding,
    Norm,
    SelfLayer,
    Share,
    Size,
    check_heads,
    initialize,
    last_norm,
)


class CausalLM(nn.Module):
    """(B, T) input -> (B, T, V) logits; input and output share one embedding.

    Radford et al., 2019. To generate, it goes on behind the prompt in `Batch.source`.
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
        self.apply(initialize)

    def forward(self, batch: Batch) -> Tensor:
        x = self.embedding(batch.input)
        for layer in self.layers:
            x = layer(x, None, causal=True)  # padding is at the end: nothing before it sees it
        return self._logits(x)

    def start(self, batch: Batch) -> "State":
        """The state behind BEGIN and the prompt but its last token, which the first step reads.

        Prompts are moved to the right, so that all rows go on at one position of the cache.
        """
        prompt = functional.pad(batch.source, (1, 0), value=BEGIN)
        rows, long = prompt.shape
        blank = (prompt == PAD).sum(1, keepdim=True)
        index = torch.arange(long, device=prompt.device) - blank
        prompt = prompt.gather(1, index.clamp(min=0)).masked_fill(index < 0, PAD)
        weight = self.embedding.tokens.weight
        size = weight.shape[1] // self.heads
        positions = long + self.max_length
        cache = weight.new_zeros(2, len(self.layers), rows, self.heads, positions, size)
        state = State(prompt[:, -1], blank, cache[0], cache[1], 0)
        if long > 1:
            _, state = self._read(prompt[:, :-1], state)
        return state

    def step(self, state: "State", tokens: Tensor) -> tuple[Tensor, "State"]:
        """(rows,) tokens -> (rows, V) logits of the next ones, and the state behind them.

        BEGIN, with which every decoder begins, stands for the last token of the prompt.
        """
        tokens = torch.where(tokens == BEGIN, state.last, tokens)
        x, state = self._read(tokens[:, None], state)
        return self._logits(x)[:, 0], state

    def _read(self, tokens: Tensor, state: "State") -> tuple[Tensor, "State"]:
        """(rows, n) tokens behind those in the cache -> their states before the last norm."""
        end = state.length + tokens.shape[1]
        places = torch.arange(end, device=tokens.device)
        mine = places[state.length :, None]
        # Each sees what is not after it and not blank; a blank sees itself, to stay a number.
        seen = (places <= mine) & (places >= state.blank[..., None]) | (places == mine)
        x = self.embedding(tokens, (places[state.length :] - state.blank).clamp(min=0))
        for number, layer in enumerate(self.layers):
            cache = state.keys[number], state.values[number], state.length
            x = layer(x, seen[:, None], cache=cache)
        return x, replace(state, length=end)

    def _logits(self, x: Tensor) -> Tensor:
        return functional.linear(self.norm(x), self.embedding.tokens.weight)


@dataclass(frozen=True)
class State:
    """What decoding has computed so far, one row per hypothesis."""

    last: Tensor
    """(rows,) last token of the prompt, BEGIN where there is none."""
    blank: Tensor
    """(rows, 1) unused positions before the prompt."""
    keys: Tensor
    """(layers, rows, heads, positions, size); the first `length` positions are filled."""
    values: Tensor
    length: int

    def select(self, rows: Tensor) -> "State":
        """The state of the given rows, in that order; a row may be taken more than once."""
        return State(
            self.last[rows], self.blank[rows], self.keys[:, rows], self.values[:, rows], self.length
        )
