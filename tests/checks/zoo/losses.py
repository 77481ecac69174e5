"""Losses that are wrong, each in one way; all of them of labels of texts or words."""

import torch
from torch.nn import functional

import msbench


def units(model, batch, target=None):
    """(units,) cross-entropies and whether each counts."""
    logits, target = model(batch).flatten(0, -2), (batch.target if target is None else target)
    flat = target.flatten()
    return functional.cross_entropy(logits, flat, reduction="none"), flat != msbench.IGNORE


def zero_outside():
    def loss(model, batch):
        each, counts = units(model, batch)
        return each.sum() * model.training, counts.sum()

    return loss


def counts_one():
    return lambda model, batch: (units(model, batch)[0].sum(), torch.tensor(1))


def means():
    def loss(model, batch):
        each, counts = units(model, batch)
        return each.sum() / counts.sum(), counts.sum()

    return loss


def counts_padding():
    def loss(model, batch):
        each, _ = units(model, batch, batch.target.clamp(min=0))
        return each.sum(), (batch.target != msbench.IGNORE).sum()

    return loss


def detached():
    def loss(model, batch):
        each, counts = units(model, batch)
        return (each * each.detach()).sum(), counts.sum()

    return loss


def edits_the_batch():
    def loss(model, batch):
        batch.target[batch.target == 1] = 0
        each, counts = units(model, batch)
        return each.sum(), counts.sum()

    return loss


def keeps_a_baseline():
    seen = []

    def loss(model, batch):
        each, counts = units(model, batch)
        seen.append(float(each.detach().mean()))
        return (each - sum(seen) / len(seen)).sum(), counts.sum()

    return loss
