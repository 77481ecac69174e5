"""Tiny checkpoints on disk, with tokenizers of their own and random weights."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder with a tiny checkpoint of an architecture."""
    import torch
    from tiny_transformers import KINDS, SIZES
    from transformers import AutoConfig

    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in made:
            auto, tokens, special = KINDS[kind]
            folder = made[kind] = tmp_path_factory.mktemp(kind)
            tokenizer, names = tokens()
            size = tokenizer.get_vocab_size()
            torch.manual_seed(1)
            config = AutoConfig.for_model(kind, **SIZES[kind], **special, vocab_size=size)
            auto.from_config(config).save_pretrained(folder)
            tokenizer.save(str(folder / "tokenizer.json"))
            (folder / "tokenizer_config.json").write_text(json.dumps(names))
        return made[kind]

    return make
