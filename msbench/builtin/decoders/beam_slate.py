"""What beam search writes when its steps are replayed; see `replayed_decoding.Slate`.

Shapes: S sources, H hypotheses of each.
"""

from typing import Any

import torch
from torch import Tensor

from msbench import BEGIN
from msbench.builtin.choosing import Limits, check_numbers
from msbench.builtin.decoders.beam_step import Hypothesis, Step, Worth, take_step
from msbench.builtin.models.fixed import Form, reordered


class BeamSlate:
    """The hypotheses of every source, and the best complete ones."""

    def __init__(self, form: Form, worth: Worth, limits: Limits, count: int, device: torch.device):
        self._form, self._worth, self._limits = form, worth, limits
        every, best = (form.sources, form.hypotheses), (form.sources, count)
        self._first = torch.arange(form.sources, device=device)[:, None] * form.hypotheses
        self.tokens = torch.empty(every, dtype=torch.long, device=device).flatten()
        self.written = torch.empty(*every, form.tokens, dtype=torch.long, device=device)
        self.scores = torch.empty(every, device=device)
        self.length = torch.empty(1, dtype=torch.long, device=device)
        self.going = torch.empty(form.sources, dtype=torch.bool, device=device)
        self.broken = torch.empty((), dtype=torch.bool, device=device)
        self.top = torch.empty(best, device=device)
        """(S, count) the worths of the best complete ones, -inf where there is none."""
        self.logs = torch.empty(best, device=device)
        self.lengths = torch.empty(best, dtype=torch.long, device=device)
        self.best = torch.empty(*best, form.tokens, dtype=torch.long, device=device)

    def begin(self) -> None:
        """Of each source one hypothesis is alive, and empty."""
        self.tokens.fill_(BEGIN)
        self.scores.fill_(float("-inf")).select(1, 0).zero_()
        self.top.fill_(float("-inf"))
        self.going.fill_(True)
        for each in (self.written, self.length, self.broken, self.logs, self.lengths, self.best):
            each.zero_()

    def step(self, model: Any, state: Any) -> None:
        """As of any slate; in order of rank even where there are no ties, which nobody asks."""
        width, limit = self._form.hypotheses, self._form.tokens
        logits, _ = model.step(state, self.tokens)
        logits = self._limits.allowed_now(logits, self.length).float()
        place = self.length[0].double() + 1, limit
        logs, worth = logits.log_softmax(-1), self._worth
        step = take_step(logs, self.scores, self.top, width, worth, place, exact=True)
        rows = (self._first + step.parents).flatten()
        written = reordered(self.written, rows)
        self.written.copy_(written.index_copy_(2, self.length, step.tokens[:, :, None]))
        self.length += 1
        self._enter(step)
        self.tokens.copy_(step.tokens.flatten())
        self.scores.copy_(step.living)
        self.going.copy_(step.going)
        self.broken |= step.signs[0] > 0
        state.select(rows)

    def _enter(self, step: Step) -> None:
        """Keep the best complete hypotheses of each source, of equals the earlier ones."""
        worths = torch.cat([self.top, step.worths], dim=1)
        order = worths.sort(dim=1, descending=True, stable=True).indices[:, : self.top.shape[1]]
        lengths = self.length.expand_as(step.tokens)
        for best, new in (
            (self.logs, step.scores),
            (self.lengths, lengths),
            (self.top, step.worths),
        ):
            best.copy_(torch.cat([best, new], dim=1).gather(1, order))
        places = order[:, :, None].expand_as(self.best)
        self.best.copy_(torch.cat([self.best, self.written], dim=1).gather(1, places))

    def finished(self) -> Tensor:
        """As of any slate."""
        return ~self.going.any()

    def complete(self, rows: int) -> list[list[Hypothesis]]:
        """The best complete hypotheses of the first sources, the best first."""
        check_numbers(~self.broken)
        columns = (self.top, self.logs, self.lengths, self.best)
        sources = zip(*(each[:rows].tolist() for each in columns), strict=True)
        return [
            [
                Hypothesis.of(worth, log, tokens[:length])
                for worth, log, length, tokens in zip(*source, strict=True)
                if worth > float("-inf")
            ]
            for source in sources
        ]
