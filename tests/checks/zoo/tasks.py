"""Tasks that are wrong, each in one way; all of them classify texts."""

from dataclasses import replace

import numpy as np

import msbench


def texts(first, count, order=sorted):
    words = order({f"word{n} {'abc'[n % 3]}" for n in range(first, first + count)})
    return [(text, text[-1]) for text in words]


def made(order=sorted):
    splits = {
        "train": texts(0, 60, order),
        "validation": texts(100, 20),
        "test": texts(200, 20),
    }
    return msbench.classification(splits, max_length=8, vocabulary=60)


def shares_examples():
    task = made()
    return replace(task, test=replace(task.train))


def orders_a_set():
    return made(list)


def new_labels():
    task = made()
    target = np.zeros_like(task.train.target)
    return replace(task, train=replace(task.train, target=target, references=target.tolist()))


def scored_by(change):
    task = made()

    def score(predictions, references):
        scores = task.score(predictions, references)
        return change(scores, predictions, references)

    return replace(task, score=score)


def beyond_its_bounds():
    def change(scores, predictions, references):
        return msbench.Scores({k: 100 * v for k, v in scores.metrics.items()}, scores.examples)

    return scored_by(change)


def likes_the_first():
    def change(scores, predictions, references):
        first = 0.5 * (int(np.argmax(predictions[0])) if not isinstance(predictions[0], int)
                       else predictions[0]) / 3  # fmt: skip
        return msbench.Scores({"accuracy": 0.5 * scores.metrics["accuracy"] + first})

    return scored_by(change)


def likes_everything():
    return scored_by(lambda scores, predictions, references: msbench.Scores({"accuracy": 1.0}))


def ids_too_large():
    return replace(made(), vocabulary=10)


def no_task():
    return {"train": texts(0, 10)}
