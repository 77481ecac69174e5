"""What a checkpoint asks of generation: obeyed, or refused, and never ignored."""

from dataclasses import dataclass
from typing import Any, Literal

from msbench import MsbenchError
from msbench_transformers.checkpoints import Checkpoint

Asked = Literal["checkpoint", "suite"]
"""Whose word counts where a checkpoint says how to search for outputs."""

SEARCH = (
    *("do_sample", "temperature", "top_k", "top_p", "min_p", "typical_p"),
    *("num_beams", "early_stopping", "length_penalty", "no_repeat_ngram_size"),
    *("min_length", "max_length", "min_new_tokens", "max_new_tokens", "forced_eos_token_id"),
    "repetition_penalty",
    "num_return_sequences",
)
"""What a suite says by its decoders."""

TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")

OBEYED = ("forced_bos_token_id", "suppress_tokens", "bad_words_ids")

HARMLESS = (
    *("transformers_version", "_from_model_config", "use_cache", "return_dict_in_generate"),
    *("output_attentions", "output_hidden_states", "output_scores", "output_logits"),
    *("cache_implementation", "is_encoder_decoder"),
)
"""What changes no output."""

NOTHING = {"do_sample": False, "num_beams": 1, "temperature": 1.0, "top_p": 1.0, "top_k": 50}
"""What says no more than a default does; `top_k` and `temperature` only count in sampling."""


@dataclass(frozen=True)
class Rules:
    """What is obeyed, in the checkpoint's ids."""

    start: int | None = None
    """What an encoder-decoder's decoder begins with."""
    end: int | None = None
    forced: int | None = None
    """The first token of every output."""
    never: tuple[int, ...] = ()
    """Tokens that are never written."""


def rules_of(checkpoint: Checkpoint, generation: Asked) -> Rules:
    """What the checkpoint says; MsbenchError lists what can be neither obeyed nor left out.

    generation: "suite" leaves to the suite's decoders what they say themselves.
    """
    own = checkpoint.json("generation_config.json") or _legacy(checkpoint.config)
    given = {name: value for name, value in own.items() if _says(name, value)}
    left = {n for n in given if n in SEARCH}
    unknown = given.keys() - {*SEARCH, *TOKENS, *OBEYED}
    if left and generation == "checkpoint":
        raise MsbenchError(
            f"checkpoint {checkpoint.name} asks for {_told(given, left)}, and here a suite's "
            f'decoders say how outputs are searched: set generation = "suite" to go by them'
        )
    if unknown:
        raise MsbenchError(
            f"checkpoint {checkpoint.name} asks for {_told(given, unknown)}, which cannot be "
            f"obeyed: take it out of its generation_config.json, or take another checkpoint"
        )
    never = [*given.get("suppress_tokens", []), *_single(checkpoint, given)]
    return Rules(
        start=own.get("decoder_start_token_id", checkpoint.config.get("decoder_start_token_id")),
        end=_one(checkpoint, own.get("eos_token_id", checkpoint.config.get("eos_token_id"))),
        forced=given.get("forced_bos_token_id"),
        never=tuple(dict.fromkeys(never)),
    )


def _legacy(config: dict[str, Any]) -> dict[str, Any]:
    """Older checkpoints have it among everything else."""
    names = (*SEARCH, *TOKENS, *OBEYED)
    return {name: config[name] for name in names if config.get(name) is not None}


def _says(name: str, value: Any) -> bool:
    """Whether the option asks for anything."""
    if name in HARMLESS or value is None or value == []:
        return False
    return not (name in NOTHING and value == NOTHING[name])


def _single(checkpoint: Checkpoint, given: dict[str, Any]) -> list[int]:
    words: list[list[int]] = given.get("bad_words_ids", [])
    if any(len(word) != 1 for word in words):
        raise MsbenchError(
            f"checkpoint {checkpoint.name} forbids words of several tokens (bad_words_ids), which "
            f"cannot be obeyed"
        )
    return [word[0] for word in words]


def _one(checkpoint: Checkpoint, end: Any) -> int | None:
    """The one token that ends an output."""
    if not isinstance(end, list):
        return None if end is None else int(end)
    if len(set(end)) != 1:
        raise MsbenchError(
            f"checkpoint {checkpoint.name} ends outputs by any of the tokens {end}, and here one "
            f"ends them: keep one in its generation_config.json"
        )
    return int(end[0])


def _told(given: dict[str, Any], names: set[str]) -> str:
    return ", ".join(f"{name} = {given[name]!r}" for name in sorted(names))
