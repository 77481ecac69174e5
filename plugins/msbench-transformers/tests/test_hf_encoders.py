"""Labels by encoders: the states are those of transformers, for texts, pairs and words."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("peft", reason="peft is not installed")

import torch
from msbench_transformers.checkpoints import find_checkpoint
from msbench_transformers.encoders import segment
from msbench_transformers.models import encoder
from msbench_transformers.tokens import encoder_tokens
from tiny_transformers import SIZES, sentences
from transformers import AutoModel, AutoTokenizer

import msbench
from msbench import DataError, MsbenchError, Task


def pairs() -> dict[str, list[tuple[Any, str]]]:
    texts = sentences(60)
    rows = [((a, b), str(len(a) % 2)) for a, b in zip(texts[::2], texts[1::2], strict=True)]
    return {"train": rows[:20], "validation": rows[20:25], "test": rows[25:]}


def batch_of(task: Task) -> Any:
    return task.train.batch(np.arange(8)).map(torch.from_numpy)


def test_a_pair_is_read_as_the_checkpoint_reads_it(checkpoint: Callable[[str], Path]) -> None:
    folder = checkpoint("bert")
    tokens = encoder_tokens(str(folder))
    task = msbench.classification(pairs(), max_length=48, vocabulary=tokens)
    model = encoder(task, str(folder)).eval()
    batch = batch_of(task)
    (a, b) = zip(*(pair for pair, _ in pairs()["train"][:8]), strict=True)
    expected = AutoTokenizer.from_pretrained(folder)(a, b, return_tensors="pt", padding=True)
    ids, seen = model.vocabulary.source(batch.source)
    assert torch.equal(ids, expected.input_ids)
    assert torch.equal(seen, expected.attention_mask)
    assert torch.equal(model._segments(batch.source, ids), expected.token_type_ids)
    with torch.no_grad():
        theirs = AutoModel.from_pretrained(folder).eval()(**expected).last_hidden_state
        mine, _ = model._states(batch.source)
    torch.testing.assert_close(mine * seen[..., None], theirs * seen[..., None])
    assert model(batch).shape == (8, 2)


def test_apart_each_text_is_read_alone(checkpoint: Callable[[str], Path]) -> None:
    folder = checkpoint("bert")
    tokens = encoder_tokens(str(folder))
    model = encoder(
        msbench.classification(pairs(), max_length=48, vocabulary=tokens),
        str(folder),
        pairs="apart",
    ).eval()
    other = {name: [((a, a), label) for (a, _), label in rows] for name, rows in pairs().items()}
    same = batch_of(msbench.classification(other, max_length=48, vocabulary=tokens))
    seen: list[torch.Tensor] = []
    model.head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model(same)
    u, v, difference, _ = seen[0].chunk(4, dim=-1)
    torch.testing.assert_close(u, v)
    assert difference.abs().max() < 1e-5
    assert segment(same.source).sum() > 0


@pytest.mark.parametrize("kind", ["bert", "roberta", "deberta-v2", "modernbert"])
def test_padding_changes_no_tag(kind: str) -> None:
    words = [text.split() for text in sentences(30)]
    rows = [(text, ["B-x" if "cat" in word else "O" for word in text]) for text in words]
    task = msbench.tagging(
        {"train": rows, "validation": rows, "test": rows}, max_length=20, vocabulary=80
    )
    torch.manual_seed(0)
    model = encoder(task, config={"model_type": kind, **SIZES[kind]}).eval()
    batch = batch_of(task)
    with torch.no_grad():
        logits = model(batch)
        shortest = int((batch.source != msbench.PAD).sum(1).argmin())
        alone = task.train.batch(np.array([shortest])).map(torch.from_numpy)
        expected = model(alone)[0]
    assert logits.shape == (*batch.source.shape, 2)
    torch.testing.assert_close(logits[shortest, : len(expected)], expected, atol=1e-5, rtol=1e-4)


def test_what_cannot_be_read_is_refused(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    task = msbench.classification(pairs(), max_length=20, vocabulary=50)
    with pytest.raises(MsbenchError, match="a task with its tokens"):
        encoder(task, str(checkpoint("bert")))
    with pytest.raises(MsbenchError, match="set a lower max_length"):
        encoder(task, config={"model_type": "bert", **SIZES["bert"], "max_position_embeddings": 8})
    with pytest.raises(MsbenchError, match="needs revision = the commit"):
        find_checkpoint("google/bert", "main")
    with pytest.raises(DataError, match="no checkpoint 'nowhere'"):
        find_checkpoint("nowhere")
    with pytest.raises(DataError, match="which is"):
        find_checkpoint(str(checkpoint("bert")), "0" * 12)
    (tmp_path / "config.json").write_text('{"model_type": "bert", "auto_map": {"AutoModel": "x"}}')
    with pytest.raises(DataError, match="never run"):
        _ = find_checkpoint(str(tmp_path)).config
