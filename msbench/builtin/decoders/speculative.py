"""Speculative decoding: a draft proposes several tokens, and one step of the model reads them all.

Exact: the output is, or is distributed as, that of greedy decoding or sampling, whatever the draft
proposes (Leviathan et al., 2023; Chen et al., 2023). Shapes: R rows, n proposals, V vocabulary.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import msbench
from msbench import BEGIN, END, Batch, Decoder, Task
from msbench.builtin.choosing import Limits, check_generates, likeliest, no_padding
from msbench.builtin.decoders.second_model import SecondModel
from msbench.builtin.generation import Sample
from msbench.builtin.types import Count, FiniteNotNegative, PositiveShare, Size


def speculative(
    task: Task,
    tokens: Size = 4,
    ngram: Size = 2,
    model: Any = None,
    passes: Size = 500,
    temperature: FiniteNotNegative = 0.0,
    top_k: Count = 0,
    top_p: PositiveShare = 1.0,
    max_length: Count = 0,
) -> Decoder:
    """Greedy decoding, or sampling, in fewer steps.

    tokens: proposed at once. model: a small model that proposes, such as `{name =
    "encoder-decoder", width = 32, layers = 1}`, trained on the same data for `passes` before the
    clock starts. Without it, proposals are what follows where the last tokens, `ngram` of them or
    fewer, occurred before in the source or in the output (Saxena, 2023, prompt lookup).
    temperature: 0 is greedy; else top_k and top_p are those of `sample`.
    """
    if temperature == 0 and (top_k or top_p < 1):
        raise msbench.MsbenchError("speculative: top_k and top_p need a temperature above 0")
    second = None if model is None else SecondModel(task, model, passes)
    rule = Sample(temperature, top_k, top_p)
    return Speculative(tokens, ngram, rule, Limits(0, max_length), second)


@dataclass(frozen=True)
class Speculative:
    """See `speculative`."""

    tokens: int
    ngram: int
    rule: Sample
    """How tokens are chosen; greedily at temperature 0."""
    limits: Limits
    second: SecondModel | None

    def calibrate(self, model: nn.Module) -> None:
        """Train the small model, if there is one."""
        if self.second is not None:
            self.second.calibrate(model)

    @torch.no_grad()
    def __call__(self, model: Any, batch: Batch) -> list[list[int]]:
        """One output for each source."""
        check_generates(model)
        state = model.start(batch)
        check_keeps(model, state)
        limit, device = self.limits.most(model), batch.source.device
        rows = len(batch.rows)
        last = torch.full((rows,), BEGIN, device=device)
        written = torch.full((rows, limit + self.tokens + 1), END, device=device)
        lengths = torch.zeros(rows, dtype=torch.long, device=device)
        alive = torch.arange(rows, device=device)
        outputs: list[list[int]] = [[] for _ in range(rows)]
        draft: LookupDraft | ModelDraft = (
            LookupDraft(batch.source, self.ngram)
            if self.second is None
            else ModelDraft(self.second.model, batch, self.rule)
        )
        while len(alive):
            # No row may get more tokens than the model can write.
            room = limit - int(lengths.max()) - 1
            proposed, drawn_by = draft.propose(last, min(self.tokens, room))
            n = proposed.shape[1]
            logits, state = model.step(state, torch.cat([last[:, None], proposed], dim=1))
            counts, last = verify(no_padding(logits), proposed, drawn_by, self.rule)
            state = state.keep(counts + 1, n + 1)
            places = lengths[:, None] + torch.arange(n + 1, device=device)
            new = torch.cat([proposed, last[:, None]], dim=1)
            new = new.scatter(1, counts[:, None], last[:, None])
            written.scatter_(1, places, new)
            lengths = lengths + counts + 1
            draft.accept(written, lengths, counts)
            ended = (new == END) & (places < lengths[:, None])
            done = ended.any(1) | (lengths >= limit)
            if bool(done.any()):
                for row in done.nonzero()[:, 0].tolist():
                    tokens = written[row, : int(lengths[row])].tolist()[:limit]
                    cut = tokens.index(END) if END in tokens else len(tokens)
                    outputs[int(alive[row])] = tokens[:cut]
                going = (~done).nonzero()[:, 0]
                alive, last, written, lengths = (x[going] for x in (alive, last, written, lengths))
                if len(going):
                    state = state.select(going)
                    draft.select(going)
        return outputs


def verify(
    logits: Tensor, proposed: Tensor, drawn_by: Tensor | None, rule: Sample
) -> tuple[Tensor, Tensor]:
    """(R, n + 1, V) logits after the last token and after each of (R, n) proposals -> (R,) how many
    of these are taken, and (R,) the token after them.

    A proposal x, drawn by q, is taken with probability min(1, p(x) / q(x)); where it is not, the
    token is drawn from the part of p that exceeds q.
    """
    n = proposed.shape[1]
    if rule.temperature == 0:
        best = likeliest(logits)
        counts = (best[:, :n] == proposed).long().cumprod(1).sum(1)
        return counts, best.gather(1, counts[:, None])[:, 0]
    p = rule.probabilities(logits)
    p_proposed = p[:, :n].gather(2, proposed[:, :, None])[:, :, 0]
    if drawn_by is None:
        q = torch.zeros_like(p[:, :n]).scatter_(2, proposed[:, :, None], 1.0)
        q_proposed = torch.ones_like(p_proposed)
    else:
        q = drawn_by[:, :n].to(p.dtype)
        q_proposed = q.gather(2, proposed[:, :, None])[:, :, 0]
    chance = p_proposed / q_proposed.clamp(min=torch.finfo(p.dtype).tiny)
    counts = (torch.rand_like(chance) < chance).long().cumprod(1).sum(1)
    rows = torch.arange(len(counts), device=counts.device)
    p_next = p[rows, counts]
    q_next = torch.cat([q, torch.zeros_like(p[:, :1])], dim=1)[rows, counts]
    excess = (p_next - q_next).clamp(min=0)
    # Where p and q agree to the last digit, a refusal was a rounding error.
    excess = torch.where(excess.sum(1, keepdim=True) > 0, excess, p_next)
    return counts, excess.multinomial(1)[:, 0]


def check_keeps(model: Any, state: Any) -> None:
    """MsbenchError unless tokens can be taken back from the model's state."""
    if not hasattr(state, "keep"):
        raise msbench.MsbenchError(
            f"speculative decoding takes tokens back, which the state of "
            f"{model.__class__.__name__} cannot: it has no keep()"
        )


class LookupDraft:
    """Proposes what followed the last tokens before, in the source or in the output."""

    def __init__(self, source: Tensor, ngram: int):
        self.source, self.ngram = source, ngram
        self.text = source
        self.ends = torch.zeros(len(source), dtype=torch.long, device=source.device)

    def propose(self, last: Tensor, n: int) -> tuple[Tensor, None]:
        """(R,) last tokens -> (R, n) the tokens after the longest match, of equals the last; END
        where there is none. None, because they are not drawn."""
        text, length = self.text, self.text.shape[1]
        places = torch.arange(length, device=text.device)
        # matched[:, p]: how many tokens up to p equal those that were written last.
        same = torch.ones_like(text, dtype=torch.bool)
        matched = torch.zeros_like(text)
        for back in range(self.ngram):
            at = self.ends - 1 - back
            wanted = text.gather(1, at.clamp(min=0)[:, None])
            equal = text.roll(back, 1) == wanted
            same &= equal & (places >= back) & (at >= self.source.shape[1])[:, None]
            matched += same
        matched[places[None] >= (self.ends - 1)[:, None]] = 0
        best = (matched * length + places).argmax(1)
        any_match = matched.gather(1, best[:, None]) > 0
        ahead = best[:, None] + 1 + torch.arange(n, device=text.device)
        proposed = text.gather(1, ahead.clamp(max=length - 1))
        known = ahead < self.ends[:, None].clamp(min=1)
        return torch.where(any_match & known, proposed, END), None

    def accept(self, written: Tensor, lengths: Tensor, counts: Tensor) -> None:
        """Search the output, too: (R, limit) tokens, of which (R,) `lengths` are written."""
        self.text = torch.cat([self.source, written], dim=1)
        self.ends = self.source.shape[1] + lengths

    def select(self, rows: Tensor) -> None:
        """Go on with these rows."""
        self.source, self.text, self.ends = self.source[rows], self.text[rows], self.ends[rows]


class ModelDraft:
    """Proposes what a smaller model would write."""

    def __init__(self, model: Any, batch: Batch, rule: Sample):
        check_generates(model)
        self.model, self.rule = model, rule
        self.state = model.start(batch)
        self.read, self.written = 0, 0
        check_keeps(model, self.state)

    def propose(self, last: Tensor, n: int) -> tuple[Tensor, Tensor | None]:
        """(R,) last tokens -> (R, n) proposals by the rule of the large model, fewer at the small
        one's limit, and the (R, n, V) probabilities by which they were drawn, if they were."""
        n = min(n, max(0, self.model.max_length - self.written - 1))
        self.read = n + 1 if self.written < self.model.max_length else 0
        proposed, probabilities = [], []
        for _ in range(n):
            logits, self.state = self.model.step(self.state, last)
            if self.rule.temperature == 0:
                last = likeliest(no_padding(logits))
            else:
                probabilities.append(self.rule.probabilities(no_padding(logits)))
                last = probabilities[-1].multinomial(1)[:, 0]
            proposed.append(last)
        if self.read:  # every proposal that may be taken must have been read
            _, self.state = self.model.step(self.state, last)
        if not n:
            return last.new_empty(len(last), 0), None
        drawn_by = torch.stack(probabilities, dim=1) if probabilities else None
        return torch.stack(proposed, dim=1), drawn_by

    def accept(self, written: Tensor, lengths: Tensor, counts: Tensor) -> None:
        """Take back all but the (R,) `counts` proposals that were taken."""
        if self.read:
            self.state = self.state.keep(counts + 1, self.read)
        self.written = int(lengths.max())

    def select(self, rows: Tensor) -> None:
        """Go on with these rows."""
        self.state = self.state.select(rows)
