"""Examples that a model may know by heart, because they are in the training split too."""

from collections.abc import Iterator

from msbench.data.task import Split, Task


def also_in_train(task: Task) -> dict[str, int]:
    """How many texts of the validation and of the test split are in the training split, as the
    model reads them: token by token, whatever is predicted from them."""
    known = set(_texts(task.train))
    return {
        name: sum(text in known for text in _texts(task.splits[name]))
        for name in ("validation", "test")
    }


def _texts(split: Split) -> Iterator[bytes]:
    """The token ids of every text; of a language model's all, not its prompt alone."""
    array = split.input if split.prompted or split.source is None else split.source
    lengths = split.lengths[-1] if split.prompted else split.lengths[0]
    if array is not None:
        for row, length in zip(array, lengths, strict=True):
            yield row[:length].tobytes()
