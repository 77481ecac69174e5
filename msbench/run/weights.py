"""Weights that trials left behind: how they are kept whole, and found again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msbench.errors import RecordsError
from msbench.paths import inside
from msbench.run.learner import Learner
from msbench.version import __version__

FOLDER, SUFFIX = "weights", ".safetensors"
"""Weights of RESULTS/trials.jsonl are RESULTS/weights/KEY.safetensors."""


def weights_file(folder: Path, key: str) -> Path:
    """Where a trial's weights are in the folder of weights, if they were kept."""
    return inside(folder, f"{key}{SUFFIX}")


def save_weights(learner: Learner, folder: Path, key: str) -> None:
    """Write the weights that are evaluated.

    They get their name when they are whole and on the disk, so that what a dead process leaves is
    never read. Raises OSError, or what the learner raises.
    """
    learner.mode(training=False)
    with made_whole(weights_file(folder, key)) as half:
        learner.save(half, {"trial": key, "msbench": __version__})


@contextmanager
def made_whole(file: Path) -> Iterator[Path]:
    """Where to write a file of tensors, which is then moved: nobody ever reads half of it."""
    half = inside(file.parent, f"{file.stem}.{os.getpid()}.half")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield half
        half.chmod(file.parent.stat().st_mode & 0o666)  # safetensors lets nobody else read
        with half.open("rb") as written:
            os.fsync(written.fileno())
        half.replace(file)
    except BaseException:
        with suppress(OSError):
            half.unlink(missing_ok=True)
        raise


def check_weights(file: Path) -> None:
    """RecordsError unless the file is whole and of the trial that it is named after."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as opened:
            trial = (opened.metadata() or {}).get("trial")
    except (SafetensorError, OSError) as error:
        raise RecordsError(f"{file}: these are no whole weights: {error}") from error
    if trial != file.stem:
        raise RecordsError(f"{file}: these are the weights of trial {trial}, not of {file.stem}")


def find_weights(prefix: str, out: Path) -> Path:
    """The weights under `out` of the one trial whose key begins so; RecordsError otherwise."""
    every = sorted(out.glob(f"*/{FOLDER}/*{SUFFIX}"))
    found = [path for path in every if path.stem.startswith(prefix)]
    if len(found) > 1:
        told = ", ".join(str(path) for path in found[:3])
        raise RecordsError(f"{len(found)} trials with kept weights begin with {prefix!r}: {told}")
    if not found:
        raise RecordsError(f"no trial with kept weights under {out} begins with {prefix!r}")
    return found[0]
