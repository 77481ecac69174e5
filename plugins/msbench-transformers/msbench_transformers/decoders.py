"""Decoders: transformers' own `generate`, and beam search as it does it.

Shapes: S sources, H hypotheses of each, V vocabulary.
"""

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor
from transformers import GenerationConfig

from msbench import BEGIN, END, PAD, Batch, Decoder, MsbenchError

Count = Annotated[int, Field(ge=0)]
Size = Annotated[int, Field(ge=1)]
UpTo10 = Annotated[float, Field(ge=0, le=10)]


def generate(
    width: Size = 1, length_penalty: UpTo10 = 1.0, min_length: Count = 0, max_length: Count = 0
) -> Decoder:
    """transformers' `generate` on the same weights: greedy, or beam search of a width.

    For comparisons of speed and of outputs; nothing but these options is asked for. Beams stop only
    once no better output can follow (`early_stopping = "never"`).
    """

    def decode(model: Any, batch: Batch) -> list[list[int]]:
        inner, counted = getattr(model, "unwatched", (model, lambda count: None))
        if not hasattr(inner, "generate"):
            raise MsbenchError(
                f"hf-generate needs a model of transformers that writes, such as hf-causal-lm, "
                f"and not {type(inner).__name__}"
            )
        limit = min(max_length or inner.max_length, inner.max_length)
        pad, begin, end = inner.vocabulary.special
        options = GenerationConfig(
            do_sample=False,
            num_beams=width,
            length_penalty=length_penalty,
            early_stopping="never" if width > 1 else None,
            min_new_tokens=min_length or None,
            max_new_tokens=limit,
            pad_token_id=pad,
            bos_token_id=begin,
            eos_token_id=end,
            suppress_tokens=sorted({pad, begin, *inner.vocabulary.never} - {end}) or None,
            renormalize_logits=True,
        )
        written = inner.vocabulary.tokens(inner.generate(batch, options, counted)).tolist()
        return [row[: row.index(END)] if END in row else row for row in written]

    return decode


def full_beam(
    width: Size = 4, length_penalty: UpTo10 = 1.0, min_length: Count = 0, max_length: Count = 0
) -> Decoder:
    """Beam search in which a hypothesis that ends leaves its place to the next best one.

    msbench's `beam` becomes narrower instead, so that its width 1 is greedy. The rest is the same:
    the most log-probability / length ** length_penalty, until nothing can overtake it.
    """

    @torch.no_grad()
    def decode(model: Any, batch: Batch) -> list[list[int]]:
        limit = min(max_length or model.max_length, model.max_length)
        state, sources = model.start(batch), len(batch.rows)
        device = batch.source.device
        tokens = torch.full((sources,), BEGIN, device=device)
        written = torch.empty(sources, 0, dtype=torch.long, device=device)
        scores = torch.zeros(sources, 1, device=device)
        best = torch.full((sources,), float("-inf"), device=device)
        outputs: list[list[int]] = [[] for _ in range(sources)]
        for length in range(1, limit + 1):
            logits, state = model.step(state, tokens)
            logs = _allowed(logits, length <= min_length).float().log_softmax(-1)
            sums, parents, found = _continuations(logs, scores, 2 * width)
            ended = (found == END) | (length == limit)
            worths = (sums / length**length_penalty).masked_fill(~ended, float("-inf"))
            worth, place = worths[:, :width].max(1)
            base = torch.arange(sources, device=device)[:, None] * scores.shape[1]
            for row in (worth > best).nonzero()[:, 0].tolist():
                best[row] = worth[row]
                at = place[row]
                text = [*written[base[row, 0] + parents[row, at]].tolist(), int(found[row, at])]
                outputs[row] = text[:-1] if text[-1] == END else text
            scores, index = sums.masked_fill(ended, float("-inf")).topk(width, dim=1)
            hope = scores[:, 0] / limit**length_penalty
            if length == limit or not bool((hope > best).any()):
                break
            rows = (base + parents.gather(1, index)).flatten()
            tokens = found.gather(1, index).flatten()
            written = torch.cat([written[rows], tokens[:, None]], dim=1)
            state = state.select(rows)
        return outputs

    return decode


def _allowed(logits: Tensor, short: bool) -> Tensor:
    """In place -inf for what is never written, and for END where the output is too short."""
    logits[:, [PAD, BEGIN, *([END] if short else [])]] = float("-inf")
    return logits


def _continuations(logs: Tensor, scores: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """(S H, V) log-probabilities after (S, H) scores -> the best sums of each source, and the
    hypotheses and tokens they are of: each (S, count)."""
    vocabulary = logs.shape[1]
    sums = (logs.view(*scores.shape, vocabulary) + scores[:, :, None]).flatten(1)
    best, places = sums.topk(min(count, sums.shape[1]), dim=1)
    return best, places // vocabulary, places % vocabulary
