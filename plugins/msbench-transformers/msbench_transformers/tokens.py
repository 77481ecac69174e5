"""Tokenizers of checkpoints, with which tasks are prepared (`msbench.Tokenizer`)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from tokenizers import Tokenizer

import msbench
from msbench import MsbenchError
from msbench_transformers.checkpoints import Checkpoint, find_checkpoint
from msbench_transformers.options import Asked, rules_of


@dataclass(frozen=True)
class Tokens(msbench.Tokenizer):
    """A fast tokenizer. Of one that tells words by the space before them, words have it, too."""

    spaced: bool = False

    def words(self, texts: Sequence[Sequence[str]]) -> list[list[tuple[int, int | None]]]:
        """As of any tokenizer, but for that space."""
        if self.spaced:
            texts = [[word if not n else f" {word}" for n, word in enumerate(x)] for x in texts]
        return super().words(texts)


def encoder_tokens(checkpoint: str = "", revision: str = "") -> msbench.Tokenizer | None:
    """For an encoder: a text begins and ends with what its tokenizer puts around one."""
    if not checkpoint:
        return None
    found = find_checkpoint(checkpoint, revision)
    before, after = around(found)
    known = special_ids(found)
    begin = before[0] if before else known.get("cls", known.get("bos"))
    end = after[0] if after else known.get("sep", known.get("eos"))
    return _tokens(found, begin, end)


def causal_tokens(
    checkpoint: str = "", revision: str = "", generation: Asked = "checkpoint"
) -> msbench.Tokenizer | None:
    """For a causal model: what ends a text also begins one, where nothing else does."""
    if not checkpoint:
        return None
    found = find_checkpoint(checkpoint, revision)
    known, rules = special_ids(found), rules_of(found, generation)
    end = known.get("eos") if rules.end is None else rules.end
    return _tokens(found, known.get("bos", end), end)


def seq2seq_tokens(
    checkpoint: str = "", revision: str = "", generation: Asked = "checkpoint"
) -> msbench.Tokenizer | None:
    """For an encoder-decoder: BEGIN is the last of what its decoder reads before it writes."""
    if not checkpoint:
        return None
    found = find_checkpoint(checkpoint, revision)
    rules = rules_of(found, generation)
    end = special_ids(found).get("eos") if rules.end is None else rules.end
    return _tokens(found, rules.start if rules.forced is None else rules.forced, end)


def _tokens(found: Checkpoint, begin: int | None, end: int | None) -> msbench.Tokenizer:
    if begin is None or end is None:
        missing = "begins" if begin is None else "ends"
        raise MsbenchError(f"checkpoint {found.name} names no token that {missing} a text")
    fast, known = fast_tokenizer(found), special_ids(found)
    return Tokens(
        name=f"{found.name} {hashlib.sha256(found.tokenizer.encode()).hexdigest()[:20]}",
        encode=lambda texts: [
            each.ids for each in fast.encode_batch(list(texts), add_special_tokens=False)
        ],
        decode=lambda rows: fast.decode_batch([list(row) for row in rows]),
        size=max(fast.get_vocab_size(), int(found.config.get("vocab_size", 0))),
        pad=known.get("pad"),
        begin=begin,
        end=end,
        unknown=None if known.get("unk") == end else known.get("unk"),
        spaced="ByteLevel" in str(fast.pre_tokenizer),
    )


@cache
def fast_tokenizer(found: Checkpoint) -> Tokenizer:
    """The checkpoint's own, which neither cuts texts nor fills them up."""
    tokenizer = Tokenizer.from_str(found.tokenizer)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # "[SEP]" in a text is text
    return tokenizer


@cache
def special_ids(found: Checkpoint) -> dict[str, int]:
    """The checkpoint's special tokens: `bos`, `eos`, `unk`, `pad`, `cls`, `sep`, those it has."""
    told = found.json("tokenizer_config.json") | found.json("special_tokens_map.json")
    known: dict[str, int] = {}
    for name in ("bos", "eos", "unk", "pad", "cls", "sep"):
        token = told.get(f"{name}_token")
        token = token.get("content") if isinstance(token, dict) else token
        number = None if token is None else fast_tokenizer(found).token_to_id(token)
        number = found.config.get(f"{name}_token_id") if number is None else number
        if isinstance(number, int):
            known[name] = number
    return known


@cache
def around(found: Checkpoint) -> tuple[list[int], list[int]]:
    """The ids that the checkpoint's tokenizer puts before and after a text."""
    plain = fast_tokenizer(found).encode("a", add_special_tokens=False).ids
    whole = fast_tokenizer(found).encode("a").ids
    start = next(i for i in range(len(whole)) if whole[i : i + len(plain)] == plain)
    return whole[:start], whole[start + len(plain) :]


def prompt_ids(found: Checkpoint, prompt: str) -> list[int]:
    """A text that stands before every source, in the checkpoint's ids."""
    return list(fast_tokenizer(found).encode(prompt, add_special_tokens=False).ids)
