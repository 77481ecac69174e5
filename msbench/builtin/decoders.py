"""Decoders: `factory(**options) -> (model, batch) -> predictions`.

Generating ones use the model's `start`, `step` and `select`, and give token ids without BEGIN and
END. They stop at `model.max_length` tokens at the latest.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

import msbench
from msbench import BEGIN, END, IGNORE, PAD, Batch, Decoder


def argmax() -> Decoder:
    """The label with the highest logit: (B, classes) log-probabilities, or (B, S) tag ids."""

    def decode(model: Any, batch: Batch) -> Tensor:
        logits: Tensor = model(batch)
        return logits.float().log_softmax(-1) if logits.ndim == 2 else logits.argmax(-1)

    return decode


def likelihood() -> Decoder:
    """(B,) log-probability of each text as it stands, in nats; nothing is generated."""

    def decode(model: Any, batch: Batch) -> Tensor:
        logits: Tensor = model(batch).float()
        lost = functional.cross_entropy(
            logits.transpose(1, 2), batch.target, ignore_index=IGNORE, reduction="none"
        )
        return -lost.double().sum(1)

    return decode


def greedy() -> Decoder:
    """The likeliest token at every step."""

    def decode(model: Any, batch: Batch) -> list[list[int]]:
        return _generate(model, batch, lambda logits: logits.argmax(-1))

    return decode


def draw(model: Any, batch: Batch, temperature: float = 1.0) -> list[list[int]]:
    """One output for each source at random, from torch's generator: its tokens one by one from
    the softmax of logits / temperature."""

    def choose(logits: Tensor) -> Tensor:
        return (logits.float() / temperature).softmax(-1).multinomial(1)[:, 0]

    return _generate(model, batch, choose)


def _generate(model: Any, batch: Batch, choose: Callable[[Tensor], Tensor]) -> list[list[int]]:
    """Token after token, by `choose`: (rows, V) logits -> (rows,) ids; finished rows leave."""
    rows = len(batch.rows)
    state = model.start(batch)
    tokens = torch.full((rows,), BEGIN, device=batch.source.device)
    alive = torch.arange(rows, device=tokens.device)
    output: list[list[int]] = [[] for _ in range(rows)]
    for _ in range(model.max_length):
        logits, state = model.step(state, tokens)
        tokens = choose(no_padding(logits))
        going = tokens != END
        if not going.all():
            alive, tokens, state = (
                alive[going],
                tokens[going],
                state.select(going.nonzero()[:, 0]),
            )
        for row, token in zip(alive.tolist(), tokens.tolist(), strict=True):
            output[row].append(token)
        if not len(alive):
            break
    return output


def beam(width: int = 4, length_penalty: float = 1.0) -> Decoder:
    """Beam search; hypotheses compete by log-probability / length ** length_penalty.

    width: hypotheses kept per source; one that ends leaves the beam, so that width 1 is greedy.
    A source is finished once no living hypothesis can overtake its best complete one: scores
    only fall, and the most generous length is the limit.
    """
    if width < 1:
        raise msbench.MsbenchError(f"beam needs a width of 1 or more, not {width}")
    if length_penalty < 0:
        raise msbench.MsbenchError(f"beam needs length_penalty >= 0, not {length_penalty}")

    def decode(model: Any, batch: Batch) -> list[list[int]]:
        rows, limit = len(batch.rows), model.max_length
        device = batch.source.device
        best: list[tuple[float, list[int]]] = [(float("-inf"), []) for _ in range(rows)]
        state = model.start(batch).select(
            torch.arange(rows, device=device).repeat_interleave(width)
        )
        tokens = torch.full((rows * width,), BEGIN, device=device)
        history = torch.empty(rows * width, 0, dtype=torch.long, device=device)
        scores = torch.full((rows, width), float("-inf"), device=device)
        scores[:, 0] = 0.0  # all hypotheses start equal: only one may go on
        alive = list(range(rows))
        for length in range(1, limit + 1):
            logits, state = model.step(state, tokens)
            size = logits.shape[-1]
            steps = no_padding(logits).float().log_softmax(-1).view(-1, width, size)
            total = scores[:, :, None] + steps
            scores, places = total.flatten(1).topk(width, dim=1)
            offset = torch.arange(len(alive), device=device)[:, None] * width
            source, tokens = (places // size + offset).flatten(), (places % size).flatten()
            history = torch.cat([history[source], tokens[:, None]], dim=1)
            complete = (tokens == END).view(-1, width)
            if length == limit:  # what is still alive counts as it stands
                complete = scores.isfinite()
            _finish(best, alive, scores / length**length_penalty, complete, history)
            scores = scores.masked_fill(complete, float("-inf"))
            ahead = (scores.amax(1) / limit**length_penalty).tolist()
            going = [i for i, row in enumerate(alive) if ahead[i] > best[row][0]]
            if not going:
                break
            if len(going) < len(alive):
                kept = torch.tensor(going, device=device)
                every = (kept[:, None] * width + torch.arange(width, device=device)).flatten()
                source, tokens, history = source[every], tokens[every], history[every]
                scores, alive = scores[kept], [alive[i] for i in going]
            state = state.select(source)
        return [tokens for _, tokens in best]

    return decode


def _finish(
    best: list[tuple[float, list[int]]],
    alive: list[int],
    scores: Tensor,
    complete: Tensor,
    history: Tensor,
) -> None:
    """Enter complete hypotheses that beat the best complete one of their source."""
    width = scores.shape[1]
    for index, place in complete.nonzero().tolist():
        score = float(scores[index, place])
        if score > best[alive[index]][0]:
            tokens = history[index * width + place].tolist()
            best[alive[index]] = (score, tokens[:-1] if tokens[-1] == END else tokens)


def no_padding(logits: Tensor) -> Tensor:
    """(..., V) logits, changed in place: PAD and BEGIN are never predicted."""
    logits[..., [PAD, BEGIN]] = float("-inf")
    return logits
