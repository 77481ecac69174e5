"""The yardstick `linear`: what it learns on every kind of task, and that its n-grams are right."""

import numpy as np
import pytest

from msbench import (
    Task,
    classification,
    evaluation_batches,
    language_modelling,
    rouge,
    summarization,
    tagging,
    translation,
)
from msbench.builtin.linear.learner import LinearLearner
from msbench.builtin.linear.ngrams import Ngrams
from msbench.builtin.linear.parts import linear, loss, optimizer, predicted, written
from msbench.builtin.linear.rules import Rules
from msbench.data.scores import bleu_chrf

WORDS = ["red", "green", "blue", "cyan", "pink"]


def texts(seed: int, count: int) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, 6)) for _ in range(count)]


def splits(make: object) -> dict[str, list]:  # type: ignore[type-arg]
    sizes = {"train": 200, "validation": 40, "test": 40}
    return {name: [make(x) for x in texts(n, size)] for n, (name, size) in enumerate(sizes.items())}  # type: ignore[operator]


def label(text: str) -> tuple[str, str]:
    return text, "warm" if "red" in text else "cold"


def pair(text: str) -> tuple[tuple[str, str], str]:
    matches = text.startswith(("red", "blue", "pink"))
    other = text[::1] if matches else " ".join(reversed(WORDS[:2] * 2))
    return (text, other), "yes" if matches else "no"


def tags(text: str) -> tuple[list[str], list[str]]:
    words = text.split()
    after = ["O", *("B-x" if word == "red" else "O" for word in words[:-1])]
    return words, after


TASKS: dict[str, Task] = {
    "texts": classification(splits(label), max_length=3, vocabulary=60),
    "pairs": classification(splits(pair), max_length=20, vocabulary=60),
    "words": tagging(splits(tags), max_length=20, vocabulary=60),
    "copying": translation(
        splits(lambda text: (text, text)),
        score=bleu_chrf,
        metric="bleu",
        max_source=20,
        max_target=20,
        vocabulary=60,
    ),
    "a table": translation(
        splits(lambda t: (t, t.replace("red", "rouge").replace("green", "vert"))),
        score=bleu_chrf,
        metric="bleu",
        max_source=20,
        max_target=20,
        vocabulary=60,
    ),
    "leading": summarization(
        splits(lambda text: (text, " ".join(text.split()[:4]))),
        score=rouge,
        metric="rougeL",
        max_source=20,
        max_target=20,
        vocabulary=60,
    ),
}
LM = language_modelling(splits(lambda text: text), block=12, prompt=3, vocabulary=300)


@pytest.mark.parametrize("name", TASKS)
def test_it_learns_what_is_simple(name: str) -> None:
    task = TASKS[name]
    learner = LinearLearner(task, model=linear, loss=loss, optimizer=optimizer, seed=0)
    batches = evaluation_batches(task.test, 16)
    assert learner.train_step(batches[0]).passes == 1
    assert np.isfinite(learner.validate(batches))
    found = {}
    for batch in batches:
        outputs = learner.predict(batch, predicted())
        found.update(zip(batch.rows.tolist(), outputs, strict=True))
    outputs = [found[row] for row in range(len(task.test))]
    score = task.score(outputs, task.test.references).metrics[task.metric]
    assert score > (95 if task.metric == "bleu" else 0.95)


def test_rules_are_chosen_on_validation() -> None:
    chosen = {}
    for name in ("copying", "a table", "leading"):
        rules = Rules(TASKS[name])
        rules.fit()
        chosen[name] = rules.name
    assert chosen == {"copying": "copy", "a table": "table", "leading": "first 4"}


def test_shares_of_ngrams_add_up_to_one_and_agree_with_those_of_texts() -> None:
    """Over the next token after contexts seen and unseen; the vector is the twin of the lookup."""
    model = Ngrams(LM)
    model.fit()
    batch = evaluation_batches(LM.test, 8)[0]
    for row in range(3):
        used = batch.target[row] != -100
        logs = []
        for at in np.flatnonzero(used):
            shares = model.shares(batch.input[row, : at + 1].tolist())
            assert shares.sum() == pytest.approx(1, abs=1e-9)
            logs.append(np.log(shares[batch.target[row, at]]))
        assert sum(logs) == pytest.approx(model.predict(batch)[row], abs=1e-8)
    assert model.shares([1, 299, 298, 297]).sum() == pytest.approx(1, abs=1e-9)
    scores = LM.score(model.predict(batch), batch.references)
    assert scores.metrics["bits_per_byte"] < 1.0  # a color a word of 5 letters: log2(5) / 5 at best
    learner = LinearLearner(LM, model=linear, loss=loss, optimizer=optimizer, seed=0)
    learner.train_step(batch)
    assert learner.predict(batch, predicted()) == model.predict(batch)
    texts_of = []
    for _ in range(2):
        learner.reseed("decoding")
        texts_of.append(learner.predict(batch, written()))
    assert texts_of[0] == texts_of[1]
    assert 0 < max(map(len, texts_of[0])) <= LM.longest_target - LM.longest_source
