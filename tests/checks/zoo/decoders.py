"""Decoders that are wrong, each in one way."""

import random

import torch

import msbench


def likeliest(model, batch):
    return model(batch).argmax(-1).tolist()


def reads_targets():
    return lambda model, batch: batch.target.tolist()


def reads_references():
    return lambda model, batch: list(batch.references)


def reads_the_test_split(task):
    return lambda model, batch: [int(task.test.target[row]) for row in batch.rows]


def one_too_few():
    return lambda model, batch: likeliest(model, batch)[1:]


def no_probabilities():
    return lambda model, batch: model(batch)


def follows_the_crowd():
    def decode(model, batch):
        own = likeliest(model, batch)
        return [max(own)] * len(own)

    return decode


def unseeded():
    return lambda model, batch: [random.SystemRandom().randrange(4) for _ in batch.rows]


def leaves_dropout_on():
    def decode(model, batch):
        model.train()
        return likeliest(model, batch)

    return decode


def writes_end():
    return lambda model, batch: [[5, 6, msbench.END] for _ in batch.rows]


def never_ends():
    def decode(model, batch):
        state = model.start(batch)
        tokens = torch.full((len(batch.rows),), msbench.BEGIN)
        outputs = [[] for _ in batch.rows]
        for _ in range(model.max_length):
            logits, state = model.step(state, tokens)
            tokens = logits[:, 4:].argmax(-1) + 4
            for output, token in zip(outputs, tokens.tolist(), strict=True):
                output.append(token)
        return [[*output, 7] for output in outputs]

    return decode
