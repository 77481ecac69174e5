"""Decoders that write one output token by token: greedy decoding and sampling.

`factory(**options) -> (model, batch) -> outputs`, lists of token ids without BEGIN and END. They
work with any model that has `start`, `step` and `select`. An output ends with END, at `max_length`
tokens, or at the model's own limit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import msbench
from msbench import BEGIN, END, PAD, Batch, Decoder
from msbench.builtin.types import Count, PositiveShare, Temperature

Choose = Callable[[Tensor], tuple[Tensor, Tensor]]
"""(rows, V) logits -> (rows,) token ids, and (rows,) numbers that are finite if the logits are."""

BLOCK = 32
"""Tokens of which the greatest logit is found first, so that few need to be compared or sorted."""

PATIENCE = 8
"""Steps after which finished rows are looked for on a device that would have to be waited for."""


@dataclass(frozen=True)
class Limits:
    """Constraints on what may be written."""

    min_length: int = 0
    """Tokens before END is allowed."""
    max_length: int = 0
    """Most tokens; 0 = as many as the model can."""
    no_repeat_ngram: int = 0
    """No sequence of this many tokens occurs twice (Paulus et al., 2018); 0 = no constraint."""

    def __post_init__(self) -> None:
        if self.max_length and self.min_length > self.max_length:
            raise msbench.MsbenchError(
                f"min_length {self.min_length} is above max_length {self.max_length}"
            )

    def most(self, model: Any) -> int:
        """The number of tokens at which an output is cut."""
        limit: int = min(self.max_length or model.max_length, model.max_length)
        return limit

    def allowed(self, logits: Tensor, written: Tensor) -> Tensor:
        """(rows, V) logits after (rows, length) tokens; in place, -inf where not allowed."""
        length = written.shape[1]
        no_padding(logits)
        if length < self.min_length:
            logits.select(-1, END).fill_(float("-inf"))
        if self.no_repeat_ngram and length >= self.no_repeat_ngram:
            self._no_repeats(logits, written)
        return logits

    def _no_repeats(self, logits: Tensor, written: Tensor) -> None:
        seen = written.unfold(1, self.no_repeat_ngram, 1)
        last = written[:, written.shape[1] - self.no_repeat_ngram + 1 :]
        again = (seen[..., :-1] == last[:, None]).all(-1)
        rows, places = again.nonzero(as_tuple=True)
        logits[rows, seen[rows, places, -1]] = float("-inf")
        # Where no token is allowed, the output may end after all.
        stuck = (logits == float("-inf")).all(-1)
        logits[:, END].masked_fill_(stuck, 0.0)


ANY = Limits()


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
        return [row[: row.index(END)] if END in row else row for row in self.tokens.tolist()]


def likeliest(logits: Tensor) -> Tensor:
    """(..., V) logits -> the first of the greatest; MsbenchError if that is not finite."""
    tokens, best = greatest(logits)
    check_numbers(best.isfinite())
    return tokens


def greatest(logits: Tensor) -> tuple[Tensor, Tensor]:
    """(..., V) logits -> the first of the greatest, and these: both (...).

    On a CPU, where looking for a place takes much longer than looking for a maximum, only one
    block of each row is searched.
    """
    blocks = logits.shape[-1] // BLOCK
    if logits.device.type != "cpu" or blocks < 2:
        best, tokens = logits.max(-1)
        return tokens, best
    cut = blocks * BLOCK
    in_blocks = logits[..., :cut].view(*logits.shape[:-1], blocks, BLOCK)
    block = in_blocks.amax(-1).argmax(-1, keepdim=True)
    searched = in_blocks.take_along_dim(block[..., None], -2)[..., 0, :]
    searched = torch.cat([searched, logits[..., cut:]], dim=-1)
    best, place = searched.max(-1)
    first = block[..., 0] * BLOCK
    return torch.where(place < BLOCK, first + place, place + (cut - BLOCK)), best


def no_padding(logits: Tensor) -> Tensor:
    """(..., V) logits, in place -inf for PAD and BEGIN, which are never predicted."""
    first = min(PAD, BEGIN)
    logits.narrow(-1, first, max(PAD, BEGIN) + 1 - first).fill_(float("-inf"))
    return logits


def check_generates(model: Any) -> None:
    """MsbenchError unless the model can be decoded token by token."""
    missing = [name for name in ("start", "step", "max_length") if not hasattr(model, name)]
    if missing:
        raise msbench.MsbenchError(
            f"this decoder needs a model that generates, and {model.__class__.__name__} has no "
            f"{' and no '.join(missing)}"
        )


def check_numbers(usable: Tensor | bool) -> None:
    """MsbenchError about the model's logits unless all of them are `usable`."""
    if not bool(usable if isinstance(usable, bool) else usable.all()):
        raise msbench.MsbenchError("the model's logits are not numbers (NaN or infinite)")
