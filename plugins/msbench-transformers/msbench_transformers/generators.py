"""Models that write: causal language models and encoder-decoders.

Shapes: B examples, S source and T target positions, V tokens of msbench. `body` is the model of
transformers, and `vocabulary` says which of its tokens are msbench's.
"""

from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import GenerationConfig
from transformers.modeling_outputs import BaseModelOutput

from msbench import BEGIN, PAD, Batch, MsbenchError, Task
from msbench_transformers.states import (
    State,
    check_layers,
    new_cache,
    places_of,
    positions,
    to_the_right,
)
from msbench_transformers.vocabulary import Vocabulary


class Generator(nn.Module):
    """What both kinds share: steps on a cache, and transformers' own `generate`."""

    def __init__(self, body: Any, vocabulary: Vocabulary, max_length: int, longest: int):
        super().__init__()
        self.body, self.vocabulary, self.max_length = body, vocabulary, max_length
        self.positions = most_positions(body.config)
        """Positions that the model has, which are many where they are relative."""
        if longest > self.positions:
            raise MsbenchError(
                f"{type(body).__name__} has {self.positions} positions, and texts of this task "
                f"take {longest}: set a lower limit on tokens in the task"
            )
        body.generation_config = GenerationConfig()  # what is not said shall not count
        names = signature(body.forward).parameters
        self._cache = "cache" if "cache" in names else "past_key_values"
        self._takes_places = "position_ids" in names

    @torch.no_grad()
    def step(self, state: State, tokens: Tensor) -> tuple[Tensor, State]:
        """(rows,) tokens -> (rows, V) logits of the next ones, and the state after them; or
        (rows, n) -> (rows, n, V), as if they were read one by one."""
        read = tokens.view(len(state.begin), -1)
        ids = torch.where(read == BEGIN, state.begin[:, None], self.vocabulary.ids(read))
        logits = self.vocabulary.logits(self._read(state, ids))
        return logits.view(*tokens.shape, -1), state

    def _read(self, state: State, ids: Tensor) -> Tensor:
        """(rows, n) ids of the checkpoint -> its (rows, n, V) logits, and they are in the cache."""
        n = ids.shape[1]
        places = state.next_places(n, self.positions)
        state.go_on(n)
        given = {self._cache: state.cache, "use_cache": True}
        logits: Tensor = self._logits(state, ids, places, given)
        return logits

    def _logits(self, state: State, ids: Tensor, places: Tensor, given: dict[str, Any]) -> Tensor:
        raise NotImplementedError

    def _generated(self, counted: Callable[[int], None], **inputs: Any) -> Tensor:
        """What transformers' `generate` gives; every run of the model is counted."""

        def count(_: Any, args: Any, given: Any) -> None:
            ids = given.get("decoder_input_ids", given.get("input_ids"))
            counted(ids.numel())

        hook = self.body.register_forward_pre_hook(count, with_kwargs=True)
        try:
            outputs: Tensor = self.body.generate(**inputs)
        finally:
            hook.remove()
        return outputs


class CausalLM(Generator):
    """(B, T, V) logits of a causal language model (`AutoModelForCausalLM`).

    On `lm` tasks it reads BEGIN and the text. On `seq2seq` tasks it reads the source as a prompt,
    and then BEGIN and the target, in one sequence.
    """

    def __init__(self, task: Task, body: Any, vocabulary: Vocabulary):
        self.joins = task.kind == "seq2seq"
        before = len(vocabulary.prefix)
        if self.joins:
            length, longest = task.longest_target, task.longest_source + task.longest_target
        else:
            length, longest = task.longest_target - task.longest_source, task.longest_target
        super().__init__(body, vocabulary, length, before + longest)
        if not self._takes_places:
            raise MsbenchError(
                f"{type(body).__name__} takes no positions, so that prompts of unequal length "
                f"cannot be read together"
            )

    def forward(self, batch: Batch) -> Tensor:
        ids, seen = self._after_source(batch, batch.input)
        logits = self.body(
            input_ids=ids, attention_mask=seen, position_ids=places_of(seen), use_cache=False
        ).logits
        return self.vocabulary.logits(logits[:, ids.shape[1] - batch.input.shape[1] :])

    def _after_source(self, batch: Batch, input: Tensor) -> tuple[Tensor, Tensor]:
        """Ids of the source, if it is not part of the input, and of the input."""
        source = batch.source if self.joins else batch.source[:, :0]
        ids, seen = self.vocabulary.source(source)
        ids = torch.cat([ids, self.vocabulary.ids(input)], dim=1)
        return ids, torch.cat([seen, (input != PAD).long()], dim=1)

    def _prompts(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B, T) ids of what is read before the first token is written, gaps at the left."""
        prompt = functional.pad(batch.source, (1, 0), value=BEGIN)
        begin = torch.full_like(batch.source[:, :1], BEGIN)
        return to_the_right(*self._after_source(batch, begin if self.joins else prompt))

    @torch.no_grad()
    def start(self, batch: Batch) -> State:
        """The state after the prompt but its last token, which the first step reads."""
        ids, seen = self._prompts(batch)
        rows = len(ids)
        state = State(new_cache(), seen[:, :0], seen.new_zeros(rows), begin=ids[:, -1])
        if ids.shape[1] > 1:
            before = seen[:, :-1]
            self.body(
                input_ids=ids[:, :-1],
                attention_mask=before,
                position_ids=places_of(before),
                use_cache=True,
                **{self._cache: state.cache},
            )
            check_layers(state.cache, type(self.body).__name__)
            state.seen, state.places = before, before.sum(1)
        return state

    def _logits(self, state: State, ids: Tensor, places: Tensor, given: dict[str, Any]) -> Tensor:
        logits: Tensor = self.body(
            input_ids=ids, attention_mask=state.seen, position_ids=places, **given
        ).logits
        return logits

    def generate(self, batch: Batch, options: Any, counted: Callable[[int], None]) -> Tensor:
        """(B, written) ids of the checkpoint, without the prompt."""
        ids, seen = self._prompts(batch)
        outputs = self._generated(
            counted, inputs=ids, attention_mask=seen, generation_config=options
        )
        return outputs[:, ids.shape[1] :]


class EncoderDecoder(Generator):
    """(B, T, V) logits of an encoder-decoder (`AutoModelForSeq2SeqLM`).

    first: what its decoder reads before what BEGIN stands for, where a checkpoint forces the first
    token that is written.
    """

    def __init__(self, task: Task, body: Any, vocabulary: Vocabulary, first: tuple[int, ...] = ()):
        longest = max(
            len(vocabulary.prefix) + task.longest_source, len(first) + task.longest_target
        )
        super().__init__(body, vocabulary, task.longest_target, longest)
        self.register_buffer("first", torch.tensor(first).long(), persistent=False)

    first: Tensor

    def forward(self, batch: Batch) -> Tensor:
        ids, seen = self.vocabulary.source(batch.source)
        before = self.first.expand(len(ids), -1)
        input = torch.cat([before, self.vocabulary.ids(batch.input)], dim=1)
        logits = self.body(
            input_ids=ids, attention_mask=seen, decoder_input_ids=input, use_cache=False
        ).logits
        return self.vocabulary.logits(logits[:, before.shape[1] :])

    @torch.no_grad()
    def start(self, batch: Batch) -> State:
        """The state before the first token, when only the source has been read."""
        ids, seen = self.vocabulary.source(batch.source)
        memory = self.body.get_encoder()(input_ids=ids, attention_mask=seen).last_hidden_state
        rows = len(ids)
        begin = self.vocabulary.table[BEGIN].expand(rows)
        nothing = seen[:, :0]
        state = State(new_cache(True), nothing, seen.new_zeros(rows), begin, memory, seen)
        if len(self.first):
            self._read(state, self.first.expand(rows, -1))
        return state

    def _logits(self, state: State, ids: Tensor, places: Tensor, given: dict[str, Any]) -> Tensor:
        with positions(self.body.get_decoder(), places):
            logits: Tensor = self.body(
                encoder_outputs=BaseModelOutput(last_hidden_state=state.memory),
                attention_mask=state.read,
                decoder_input_ids=ids,
                decoder_attention_mask=state.seen,
                **given,
            ).logits
        return logits

    def generate(self, batch: Batch, options: Any, counted: Callable[[int], None]) -> Tensor:
        """(B, written) ids of the checkpoint, without what its decoder begins with."""
        ids, seen = self.vocabulary.source(batch.source)
        begin = torch.cat([self.first, self.vocabulary.table[BEGIN][None]])
        start = begin.expand(len(ids), -1)
        options.decoder_start_token_id = int(begin[0])  # or it would be put before
        outputs = self._generated(
            counted,
            inputs=ids,
            attention_mask=seen,
            decoder_input_ids=start,
            generation_config=options,
        )
        return outputs[:, start.shape[1] :]


def most_positions(config: Any) -> int:
    """Positions that a model has; a million where they are relative or computed (T5)."""
    return int(getattr(config, "max_position_embeddings", None) or 2**20)
