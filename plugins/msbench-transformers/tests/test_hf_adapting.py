"""Which weights are trained, and how fast, on a tiny BERT and on models that nobody numbered."""

from functools import partial
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("peft", reason="peft is not installed")

import torch
from msbench_transformers.adapting import depths, frozen, layer_wise, lora, unfreezing
from msbench_transformers.models import causal_lm, encoder
from tiny_transformers import SIZES, made_up, sentences
from torch import nn

import msbench
from msbench import MsbenchError
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.optimizers.inspection import check_optimizer
from msbench.builtin.optimizers.torch_optim import adamw
from msbench.builtin.optimizers.wrappers import Lookahead

BASE = partial(adamw, lr=1e-2)


@pytest.fixture(scope="module")
def task() -> msbench.Task:
    rows = [(text, str("cat" in text)) for text in sentences(40)]
    splits = {"train": rows, "validation": rows, "test": rows}
    return msbench.classification(splits, max_length=12, vocabulary=60)


def bert(task: msbench.Task, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    config = {"model_type": "bert", **SIZES["bert"]}
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return encoder(task, config=config, dropout=0.0, **options)


def moved(task: msbench.Task, make: Any, spent: float = 0.0) -> tuple[set[int], nn.Module]:
    """The depths that one step moves, and the model after it."""
    model = bert(task)
    optimizer = make(model, base=BASE)
    if hasattr(optimizer, "spent"):
        optimizer.spent = spent
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    batch = task.train.batch(np.arange(16)).map(torch.from_numpy)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        total, count = cross_entropy()(model, batch)
        (total / count).backward()
        return total / count

    optimizer.step(closure)
    of = depths(model)
    return {of[n] for n, p in model.named_parameters() if not torch.equal(p, before[n])}, model


def test_depths_follow_the_layers(task: msbench.Task) -> None:
    of = depths(bert(task))
    assert {of[name] for name in of if "embeddings" in name} == {0}
    assert {of[name] for name in of if "layer.1." in name} == {2}
    assert of["head.weight"] == max(of.values()) == 3


def test_only_what_should_be_is_moved(task: msbench.Task) -> None:
    assert moved(task, frozen)[0] == {3}
    assert moved(task, layer_wise)[0] == {0, 1, 2, 3}
    assert moved(task, unfreezing, spent=0.0)[0] == {3}
    assert moved(task, unfreezing, spent=0.2)[0] == {2, 3}
    assert moved(task, unfreezing, spent=0.5)[0] == {0, 1, 2, 3}
    for dora in (False, True):
        depths_moved, model = moved(task, partial(lora, rank=2, dora=dora))
        assert depths_moved == {1, 2, 3}
        frozen_ones = [n for n, p in model.named_parameters() if not p.requires_grad]
        assert all("lora_" not in name and "head" not in name for name in frozen_ones)
        assert any("base_layer" in name for name in frozen_ones)


def test_rates_fall_with_depth_and_decay_spares_norms(task: msbench.Task) -> None:
    model = bert(task)
    optimizer = layer_wise(model, partial(adamw, lr=1.0, weight_decay=0.1), decay=0.5)
    of = {id(p): (name, depths(model)[name]) for name, p in model.named_parameters()}
    for group in optimizer.param_groups:
        for weight in group["params"]:
            name, depth = of[id(weight)]
            assert group["lr"] == 0.5 ** (3 - depth), name
            assert (group["weight_decay"] > 0) == (weight.ndim > 1), name
    with pytest.raises(MsbenchError, match="put the wrapper outside"):
        layer_wise(model, partial(Lookahead, base=BASE))


def test_lora_begins_where_others_do(task: msbench.Task) -> None:
    batch = task.train.batch(np.arange(8)).map(torch.from_numpy)
    plain, adapted = bert(task), bert(task)
    lora(adapted, BASE)
    names = [name for name, _ in adapted.named_parameters()]
    lora(adapted, BASE)  # as in the next phase
    assert names == [name for name, _ in adapted.named_parameters()]
    with torch.no_grad():
        torch.testing.assert_close(plain(batch), adapted(batch))


def test_they_fit_models_without_layers() -> None:
    for make in (frozen, layer_wise, unfreezing, lora):
        check_optimizer(partial(make, base=BASE))


def test_checkpointing_gives_the_same_gradients(task: msbench.Task) -> None:
    batch = task.train.batch(np.arange(8)).map(torch.from_numpy)
    grads = []
    for checkpointing in (False, True):
        model = bert(task, checkpointing=checkpointing).train()
        total, _ = cross_entropy(label_smoothing=0.1)(model, batch)
        total.backward()
        grads.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(grads[0], grads[1])


def test_causal_models_checkpoint_too() -> None:
    config = {"model_type": "gpt2", **SIZES["gpt2"]}
    config |= {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    task = made_up("lm", 8)
    batch = task.train.batch(np.arange(8)).map(torch.from_numpy)
    found = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        model = causal_lm(task, config=config, checkpointing=checkpointing).train()
        total, _ = cross_entropy()(model, batch)
        total.backward()
        found.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(found[0], found[1])
