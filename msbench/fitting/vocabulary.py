"""How a task turns texts into tokens, as a file that new texts can be read with.

A task keeps arrays, and what it learned to read them by stays inside it. A tokenizer is beside the
prepared arrays on the disk, so the task is prepared in a folder where nothing else is; words can be
had from `Task.spell`.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from msbench.cache import cache_folder
from msbench.data.cache import TEXT
from msbench.data.task import UNKNOWN, Task

PREPARED = "prepared"
"""The folder of prepared arrays in the cache."""

TOKENIZER = f"{TEXT}tokenizer.npy"
"""What a tokenizer is called among the arrays that it made."""


def task_and_tokenizer(make: Callable[[], Task]) -> tuple[Task, str]:
    """A task, and the tokenizer that was learned for it, as JSON of the tokenizers library; "" if
    there was none."""
    with _prepared_apart() as folder:
        task = make()
        learned = [each for path in _in_order(folder) for each in _tokenizers(path)]
    return task, learned[-1] if learned else ""


def words_of_task(task: Task) -> tuple[list[str], int]:
    """(the words that tokens stand for, slots for rare words before them), of a task of words."""
    if task.spell is None:
        return [], 0
    ids: Sequence[Any] = [[number] for number in range(task.vocabulary)]
    words = task.spell(ids, [[]] * len(ids))
    first = next((number for number, word in enumerate(words) if word), len(words))
    return words[first:], first - UNKNOWN - 1


@contextmanager
def _prepared_apart() -> Iterator[Path]:
    """A cache with the same archives, and nothing prepared."""
    before, own = os.environ.get("MSBENCH_CACHE"), cache_folder()
    with tempfile.TemporaryDirectory(prefix="msbench-") as made:
        folder = Path(made)
        for each in own.iterdir() if own.is_dir() else ():
            if each.name != PREPARED:
                (folder / each.name).symlink_to(each.absolute())
        os.environ["MSBENCH_CACHE"] = made
        try:
            yield folder / PREPARED
        finally:
            os.environ.pop("MSBENCH_CACHE")
            os.environ.update({} if before is None else {"MSBENCH_CACHE": before})


def _in_order(folder: Path) -> list[Path]:
    """What was prepared, the last one last: a task that is made of others is."""
    return sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime_ns)


def _tokenizers(path: Path) -> Iterator[str]:
    with ZipFile(path) as arrays:
        if TOKENIZER in arrays.namelist():
            text = np.lib.format.read_array(BytesIO(arrays.read(TOKENIZER)), allow_pickle=False)
            yield json.loads(text.tobytes())
