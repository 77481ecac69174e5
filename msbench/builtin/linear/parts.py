"""What a suite's yardstick `linear` is made of: its model by kind of task, and the rest."""

from collections.abc import Sequence
from typing import Any

from msbench import Batch, Decoder, Task
from msbench.builtin.linear.learner import Fitted, LinearLearner


def linear(task: Task) -> Fitted:
    """The baseline for a task of this kind.

    Texts: TF-IDF of words and character n-grams, and logistic regression. Pairs: how much they
    share. Words: a window of words around each. Text to text: the best of copying, beginning,
    word table, nearest neighbour and commonest target. Language: an n-gram model.
    """
    # Imported here, since each takes libraries that the others do without.
    if task.kind == "classify" and task.segments == 2:
        from msbench.builtin.linear.pairs import Pairs

        return Pairs(task)
    if task.kind == "classify":
        from msbench.builtin.linear.texts import Texts

        return Texts(task)
    if task.kind == "tag":
        from msbench.builtin.linear.windows import Windows

        return Windows(task)
    if task.kind == "seq2seq":
        from msbench.builtin.linear.rules import Rules

        return Rules(task)
    from msbench.builtin.linear.ngrams import Ngrams

    return Ngrams(task)


def loss() -> None:
    """What the model is fitted to, which is its own."""


def optimizer(model: Any) -> None:
    """How the model is fitted, which is its own."""


def predicted() -> Decoder:
    """What the model predicts: log-probabilities of labels, tags, an output, or of the text."""

    def decode(learner: LinearLearner, batch: Batch) -> Sequence[Any]:
        return learner.model.predict(batch)

    return decode


def written() -> Decoder:
    """Prompts continued by the n-gram model, token after token at random."""

    def decode(learner: LinearLearner, batch: Batch) -> list[list[int]]:
        model: Any = learner.model
        outputs: list[list[int]] = model.write(batch, learner.draw)
        return outputs

    return decode
