"""Tiny models: their configurations, tokenizers of their own, made-up texts and tasks."""

from collections.abc import Callable
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM

from msbench import Split, Task

WORDS = ["the", "cat", "dog", "bird", "saw", "heard", "liked", "a", "red", "blue", "old", "small"]
WORDS += ["house", "tree", "river", "and", "then", "again"]

BERT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
BERT |= {"intermediate_size": 32, "max_position_embeddings": 128}
SIDES = {f"{side}_{what}": 2 for side in ("encoder", "decoder") for what in ("layers",)}
SIDES |= {f"{side}_attention_heads": 2 for side in ("encoder", "decoder")}
SIDES |= {f"{side}_ffn_dim": 32 for side in ("encoder", "decoder")}
SIZES: dict[str, dict[str, Any]] = {
    "bert": BERT,
    "roberta": BERT,
    "deberta-v2": BERT,
    "modernbert": BERT,
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64, "initializer_range": 0.4},
    "llama": {**BERT, "num_key_value_heads": 1, "initializer_range": 0.4},
    "qwen2": {**BERT, "num_key_value_heads": 1, "initializer_range": 0.4},
    "t5": {"d_model": 16, "num_layers": 2, "num_heads": 2, "d_kv": 8, "d_ff": 32}
    | {"initializer_factor": 3.0},
    "bart": {"d_model": 16, **SIDES, "max_position_embeddings": 128, "init_std": 0.4},
    "marian": {"d_model": 16, **SIDES, "max_position_embeddings": 128, "init_std": 0.4},
}
"""Configurations that take no time, with weights so large that outputs differ."""


def sentences(count: int, seed: int = 0) -> list[str]:
    """Made-up texts of 3 to 8 words."""
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, draw.integers(3, 9))) for _ in range(count)]


def made_up(kind: Any, count: int = 80, words: int = 60) -> Task:
    """Random tokens; sources of 1 to 8 of them, targets of 12."""
    draw = np.random.default_rng(0)
    lengths = draw.integers(1, 9, count)
    source = draw.integers(4, words, (count, 8)) * (np.arange(8) < lengths[:, None])
    target = draw.integers(4, words, (count, 12))
    if kind == "seq2seq":
        source[np.arange(count), lengths - 1] = 2
    else:
        target = np.hstack([source, target])
    input = np.hstack([np.ones((count, 1), int), target])
    goal = np.hstack([target, np.full((count, 1), 2)])
    split = Split(source, goal, list(range(count)), input, prompted=kind == "lm")
    return Task(kind, split, split, split, lambda *_: None, "none", words)  # type: ignore[arg-type]


def word_pieces() -> tuple[Tokenizer, dict[str, str]]:
    """As BERT's."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=60, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(sentences(50), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    names = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]"}
    return tokenizer, {f"{name}_token": token for name, token in names.items()}


def bytes_(first: str = "") -> tuple[Tokenizer, dict[str, str]]:
    """As GPT-2's; with `first`, as BART's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>"] if first else ["<|endoftext|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences(50), trainer)
    if not first:
        return tokenizer, {f"{name}_token": special[0] for name in ("bos", "eos", "unk")}
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer, {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>"}


def pieces() -> tuple[Tokenizer, dict[str, str]]:
    """As T5's."""
    special = ["<pad>", "</s>", "<unk>"]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(sentences(50), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return tokenizer, {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}


KINDS: dict[str, tuple[Any, Callable[[], tuple[Tokenizer, dict[str, str]]], dict[str, Any]]] = {
    "bert": (AutoModel, word_pieces, {"pad_token_id": 0}),
    "gpt2": (AutoModelForCausalLM, bytes_, {"bos_token_id": 0, "eos_token_id": 0}),
    "t5": (AutoModelForSeq2SeqLM, pieces, {"decoder_start_token_id": 0}),
    "bart": (AutoModelForSeq2SeqLM, lambda: bytes_("<s>"), {"forced_eos_token_id": None}),
}
