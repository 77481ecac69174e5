"""Decoders that write one output token by token: greedy decoding and sampling.

`factory(**options) -> (model, batch) -> outputs`, lists of token ids without BEGIN and END. They
work with any model that has `start`, `step` and `select`. An output ends with END, at `max_length`
tokens, or at the model's own limit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from msbench import BEGIN, END, Batch, Decoder
from msbench.builtin.choosing import ANY, Limits, check_generates, check_numbers, greatest
from msbench.builtin.models.fixed import Form
from msbench.builtin.replayed_decoding import PATIENCE, replayed
from msbench.builtin.types import Count, PositiveShare, Temperature

Choose = Callable[[Tensor], tuple[Tensor, Tensor]]
"""(rows, V) logits -> (rows,) token ids, and (rows,) numbers that are finite if the logits are."""


def greedy(min_length: Count = 0, max_length: Count = 0, no_repeat_ngram: Count = 0) -> Decoder:
    """The likeliest token at every step; of equally likely ones, that with the smallest id."""
    limits = Limits(min_length, max_length, no_repeat_ngram)

    def decode(model: Any, batch: Batch) -> list[list[int]]:
        return generate(model, batch, greatest, limits)

    return decode


def sample(
    temperature: Temperature = 1.0,
    top_k: Count = 0,
    top_p: PositiveShare = 1.0,
    min_length: Count = 0,
    max_length: Count = 0,
    no_repeat_ngram: Count = 0,
) -> Decoder:
    """One output at random: each token from the softmax of logits / temperature.

    top_k: only of the k likeliest tokens (Fan et al., 2018); 0 = of all. top_p: then only of the
    fewest tokens that together have this probability (Holtzman et al., 2020).
    """
    limits = Limits(min_length, max_length, no_repeat_ngram)
    return Sample(temperature, top_k, top_p, limits)


@dataclass(frozen=True)
class Sample:
    """See `sample`; it draws from torch's generator."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    limits: Limits = ANY

    def __call__(self, model: Any, batch: Batch) -> list[list[int]]:
        """One output for each source."""
        return [outputs[0] for outputs in self.several(model, batch, 1)]

    def several(self, model: Any, batch: Batch, count: int) -> list[list[list[int]]]:
        """`count` independent outputs for each source."""

        def choose(logits: Tensor) -> tuple[Tensor, Tensor]:
            shares = self.probabilities(logits)
            return shares.multinomial(1)[:, 0], shares[:, 0]

        drawn = generate(model, batch, choose, self.limits, count)
        return [drawn[start : start + count] for start in range(0, len(drawn), count)]

    def probabilities(self, logits: Tensor) -> Tensor:
        """(..., V) logits -> (..., V) what tokens are drawn by; MsbenchError if not finite."""
        logits = logits.float() / self.temperature
        if 0 < self.top_k < logits.shape[-1]:
            best, places = logits.topk(self.top_k, dim=-1)
            logits = torch.full_like(logits, float("-inf")).scatter(-1, places, best)
        shares = logits.softmax(-1)
        check_numbers(shares[..., 0].isfinite())
        if self.top_p < 1:
            ordered, places = shares.sort(dim=-1, descending=True, stable=True)
            before = ordered.cumsum(-1) - ordered  # what the likelier ones have together
            kept = ordered.masked_fill(before >= self.top_p, 0.0)
            shares = torch.zeros_like(shares).scatter(-1, places, kept)
            shares = shares / shares.sum(-1, keepdim=True)
        return shares


@torch.no_grad()
def generate(
    model: Any,
    batch: Batch,
    choose: Choose,
    limits: Limits,
    copies: int = 1,
    *,
    patience: int = 0,
) -> list[list[int]]:
    """Token after token, by `choose`. Finished rows leave once they are a quarter of the batch.

    copies: outputs for each source, next to each other in the result; the source is read once.
    patience: steps between looks at which rows are finished; 0: one on a CPU, PATIENCE elsewhere.
    """
    check_generates(model)
    state = model.start(batch)
    limit, device = limits.most(model), batch.source.device
    if choose is greatest and copies == 1 and not (patience or limits.no_repeat_ngram):
        make = partial(GreedySlate, limits=limits, device=device)
        slate: GreedySlate | None = replayed(model, state, ("greedy", limits), 1, limit, make)
        if slate is not None:
            return slate.outputs(len(batch.rows))
    rows = len(batch.rows) * copies
    if copies > 1:
        state = state.select(torch.arange(len(batch.rows), device=device).repeat_interleave(copies))
    tokens = torch.full((rows,), BEGIN, device=device)
    page = Page(rows, limit, device)
    sound = torch.zeros(rows, device=device)
    every = patience or (1 if device.type == "cpu" else PATIENCE)
    done, finished = torch.zeros(rows, dtype=torch.bool, device=device), 0
    for length in range(1, limit + 1):
        logits, state = model.step(state, tokens)
        written = page.written() if limits.no_repeat_ngram else page.blank(length - 1)
        tokens, figures = choose(limits.allowed(logits, written))
        sound = sound + figures
        if finished or every > 1:
            tokens = tokens.masked_fill(done, END)
        page.write(tokens)
        done = tokens == END
        if length % every and length < limit:
            continue
        finished = int(done.sum())
        if finished == len(done):
            break
        if 4 * finished >= len(done) and length < limit:
            going = (~done).nonzero()[:, 0]
            check_numbers(sound.isfinite())
            page.select(going)
            state = state.select(going)
            tokens, done, sound = tokens[going], done[going], sound[going]
            finished = 0
    check_numbers(sound.isfinite())
    return page.outputs()


class Page:
    """What is written: (rows, limit) tokens, END where there is none yet."""

    def __init__(self, rows: int, limit: int, device: torch.device):
        self.tokens = torch.full((rows, limit), END, device=device)
        self.alive = torch.arange(rows, device=device)
        self.length = 0
        self._fresh: list[Tensor] = []
        """The last tokens of the rows that are alive, not yet entered."""

    def write(self, tokens: Tensor) -> None:
        """The next tokens of the rows that are alive."""
        self._fresh.append(tokens)

    def blank(self, length: int) -> Tensor:
        """(rows, length): of what is written, only its shape."""
        return self.tokens[:, :length]

    def written(self) -> Tensor:
        """(rows alive, length) all their tokens."""
        if self._fresh:
            end = self.length + len(self._fresh)
            self.tokens[self.alive, self.length : end] = torch.stack(self._fresh, dim=1)
            self._fresh, self.length = [], end
        return self.tokens[self.alive, : self.length]

    def select(self, rows: Tensor) -> None:
        """Go on with these of the rows that are alive."""
        self.written()
        self.alive = self.alive[rows]

    def outputs(self) -> list[list[int]]:
        """Of all rows, up to their END."""
        self.written()
        return up_to_end(self.tokens)


def up_to_end(tokens: Tensor) -> list[list[int]]:
    """(rows, length) tokens -> those before END."""
    return [row[: row.index(END)] if END in row else row for row in tokens.tolist()]


class GreedySlate:
    """What greedy decoding writes when its steps are replayed; see `Slate`."""

    def __init__(self, form: Form, limits: Limits, device: torch.device):
        self._limits = limits
        self.tokens = torch.empty(form.sources, dtype=torch.long, device=device)
        self.written = torch.empty(form.sources, form.tokens, dtype=torch.long, device=device)
        self.length = torch.empty(1, dtype=torch.long, device=device)
        self.done = torch.empty(form.sources, dtype=torch.bool, device=device)
        self.sound = torch.empty(form.sources, device=device)

    def begin(self) -> None:
        """As of any slate."""
        self.tokens.fill_(BEGIN)
        self.written.fill_(END)
        for each in (self.length, self.done, self.sound):
            each.zero_()

    def step(self, model: Any, state: Any) -> None:
        """As of any slate."""
        logits, _ = model.step(state, self.tokens)
        tokens, figures = greatest(self._limits.allowed_now(logits, self.length))
        self.sound += figures
        self.tokens.copy_(tokens.masked_fill_(self.done, END))
        self.written.index_copy_(1, self.length, self.tokens[:, None])
        self.length += 1
        torch.eq(self.tokens, END, out=self.done)

    def finished(self) -> Tensor:
        """As of any slate."""
        return self.done.all()

    def outputs(self, rows: int) -> list[list[int]]:
        """Of the first rows, up to their END."""
        check_numbers(self.sound.isfinite())
        return up_to_end(self.written[:rows])
