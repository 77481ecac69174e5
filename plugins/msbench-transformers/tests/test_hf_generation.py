"""Decoders of msbench on models of transformers, against transformers' own `generate`."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("peft", reason="peft is not installed")

import torch
from msbench_transformers.checkpoints import find_checkpoint
from msbench_transformers.decoders import full_beam, generate
from msbench_transformers.models import causal_lm, encoder_decoder
from msbench_transformers.options import Rules, rules_of
from msbench_transformers.tokens import causal_tokens, seq2seq_tokens
from tiny_transformers import SIZES, made_up, sentences
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

import msbench
from msbench import MsbenchError
from msbench.builtin.decoders.beam import beam
from msbench.builtin.decoders.rerank import rerank
from msbench.builtin.decoders.speculative import speculative
from msbench.builtin.generation import greedy, sample
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.scoring import log_probabilities

MODELS = {
    "gpt2": (causal_lm, "lm"),
    "llama": (causal_lm, "seq2seq"),
    "qwen2": (causal_lm, "lm"),
    "t5": (encoder_decoder, "seq2seq"),
    "bart": (encoder_decoder, "seq2seq"),
    "marian": (encoder_decoder, "seq2seq"),
}


def random_model(name: str) -> tuple[Any, Any, Any]:
    """A model of an architecture with random weights, a task of 80 examples, and these."""
    make, kind = MODELS[name]
    task = made_up(kind)  # 80 examples
    torch.manual_seed(3)
    model = make(task, config={"model_type": name, **SIZES[name]}).eval()
    return task, model, task.test.batch(np.arange(80)).map(torch.from_numpy)


@pytest.mark.parametrize("name", MODELS)
def test_outputs_are_those_of_generate(name: str) -> None:
    task, model, batch = random_model(name)
    written = greedy()(model, batch)
    assert written == generate()(model, batch)
    assert len(set(map(tuple, written))) > 20 or name == "marian"
    assert speculative(task, tokens=3)(model, batch) == written
    for options in ({}, {"length_penalty": 0.5, "max_length": 6}):
        assert full_beam(4, **options)(model, batch) == generate(4, **options)(model, batch)
    if name in ("gpt2", "t5", "bart"):  # where nothing ends early, both kinds of beams are one
        assert beam(4, min_length=12)(model, batch) == generate(4, min_length=12)(model, batch)


def texts() -> dict[str, list[tuple[str, str]]]:
    rows = list(zip(sentences(60), sentences(60, 1), strict=True))
    return {"train": rows[:20], "validation": rows[20:25], "test": rows[20:]}


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_a_checkpoint_writes_what_transformers_writes(
    kind: str, checkpoint: Callable[[str], Path]
) -> None:
    folder = checkpoint(kind)
    task = msbench.translation(
        texts(),
        score=msbench.bleu_chrf,
        metric="bleu",
        max_source=60,
        max_target=10,
        vocabulary=seq2seq_tokens(str(folder)),  # type: ignore[arg-type]
    )
    model = encoder_decoder(task, str(folder)).eval()
    batch = task.test.batch(np.arange(40)).map(torch.from_numpy)
    written = greedy()(model, batch)
    assert written == generate()(model, batch)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    given = tokenizer([source for source, _ in texts()["test"]], return_tensors="pt", padding=True)
    never = {tokenizer.pad_token_id, tokenizer.bos_token_id} - {None}
    outputs = AutoModelForSeq2SeqLM.from_pretrained(folder).generate(
        **given, max_new_tokens=11, suppress_tokens=sorted(never), do_sample=False
    )
    assert task.spell is not None
    assert task.spell(written, []) == tokenizer.batch_decode(outputs, skip_special_tokens=True)
    prompted = encoder_decoder(task, str(folder), prompt="the cat").eval()
    assert len(prompted.vocabulary.prefix) > len(model.vocabulary.prefix)
    assert greedy()(prompted, batch) != written


def test_gpt2_continues_its_own_tokens(checkpoint: Callable[[str], Path]) -> None:
    folder = str(checkpoint("gpt2"))
    documents = [" ".join(sentences(6, seed)) for seed in range(8)]
    task = msbench.language_modelling(
        {"train": documents, "validation": documents[:2], "test": documents},
        block=24,
        prompt=6,
        vocabulary=causal_tokens(folder),  # type: ignore[arg-type]
    )
    model = causal_lm(task, folder).eval()
    batch = task.test.batch(np.arange(len(task.test))).map(torch.from_numpy)
    written = greedy()(model, batch)
    assert written == generate()(model, batch)
    with torch.no_grad():
        logits = model(batch)
        own = model.body(input_ids=model.vocabulary.ids(batch.input)).logits
    ids = model.vocabulary.table[4:]
    read = (batch.input != msbench.PAD)[..., None]
    torch.testing.assert_close(logits[..., 4:] * read, own[..., ids] * read)
    assert float(logits.softmax(-1)[..., [0, 1]].max()) < 1e-40
    smoothed, _ = cross_entropy(label_smoothing=0.1)(model, batch)
    assert bool(smoothed.isfinite())
    texts = rerank(task, by="score", count=4)(model, batch)
    assert texts == [best[0] for best in beam(4).several(model, batch, 1)]


def test_steps_agree_with_the_forward_pass() -> None:
    for name in ("llama", "t5", "bart"):
        _, model, batch = random_model(name)
        torch.manual_seed(0)
        outputs = sample(temperature=1.5)(model, batch)
        state, total = model.start(batch), torch.zeros(80)
        logs = log_probabilities(model, batch, outputs)
        tokens = torch.ones(80, dtype=torch.long)
        ended = torch.zeros(80, dtype=torch.bool)
        for place in range(model.max_length):
            logits, state = model.step(state, tokens)
            logits[:, :2] = float("-inf")
            ends = torch.tensor([len(row) <= place for row in outputs])
            written = [row[place] if len(row) > place else msbench.END for row in outputs]
            tokens = torch.tensor(written)
            gained = logits.log_softmax(-1).gather(1, tokens[:, None])[:, 0]
            total += gained.masked_fill(ended, 0.0)
            ended |= ends
        torch.testing.assert_close(total, logs, atol=1e-3, rtol=1e-4)


def test_what_a_checkpoint_says_of_generation(
    checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint("bart"), tmp_path / "bart")

    def rules(generation: Any = "checkpoint", **says: Any) -> Rules:
        (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 2, **says}))
        return rules_of(find_checkpoint(str(folder)), generation)

    with pytest.raises(MsbenchError, match=r"num_beams = 4.*generation = \"suite\""):
        rules(num_beams=4)
    assert rules("suite", num_beams=4, num_return_sequences=1).end == 2
    assert rules(forced_bos_token_id=0, suppress_tokens=[7]) == Rules(2, 2, 0, (7,))
    with pytest.raises(MsbenchError, match="guidance_scale = 2"):
        rules("suite", guidance_scale=2)
    with pytest.raises(MsbenchError, match="any of the tokens"):
        rules(eos_token_id=[1, 2])
    rules(forced_bos_token_id=0, suppress_tokens=[7, 9])
    task = msbench.translation(
        texts(),
        score=msbench.bleu_chrf,
        metric="bleu",
        max_source=60,
        max_target=10,
        vocabulary=seq2seq_tokens(str(folder)),  # type: ignore[arg-type]
    )
    model = encoder_decoder(task, str(folder)).eval()
    batch = task.test.batch(np.arange(40)).map(torch.from_numpy)
    written = full_beam(4)(model, batch)
    assert written == generate(4)(model, batch)
    banned = {n for n, own in enumerate(model.vocabulary.table.tolist()) if own in (7, 9)}
    assert not banned & {token for row in written for token in row}
    state = model.start(batch)
    assert state.seen.shape[1] == 1  # it has read what a decoder begins with
    assert set(state.begin.tolist()) == {0}
