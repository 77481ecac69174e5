"""Under which conditions a claim was tested: sizes that vary, several tasks in one, rewards."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from msbench.claims.results import Subject


def conditions(subjects: Sequence[Subject]) -> list[str]:
    """What sets each subject apart from the others, such as "640 examples"; often nothing."""
    sizes: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for subject in subjects:
        for key, size in _sizes(subject):
            sizes[key].add(size)
    return [
        ", ".join(
            [
                *(f"{size:,} {key[0]}" for key, size in _sizes(subject) if len(sizes[key]) > 1),
                *(["several tasks in one"] if subject["multitask"] else []),
                *(["rewards of drawn outputs"] if subject["reinforcement"] else []),
            ]
        )
        for subject in subjects
    ]


def _sizes(subject: Subject) -> Iterator[tuple[tuple[str, ...], int]]:
    """(of what, and among whom it may vary; how much): the sizes of data and model, if known."""
    if subject["train_examples"] is not None and not subject["multitask"]:
        yield ("examples", subject["task_name"]), subject["train_examples"]
    if subject["parameters"] is not None:
        yield ("weights", subject["task"], subject["base"]), subject["parameters"]
