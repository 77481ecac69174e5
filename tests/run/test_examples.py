"""Sources and references of outputs, from tasks of all kinds; data of other trials are refused."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from msbench.errors import RecordsError
from msbench.plugins.registry import Registry
from msbench.records.record import record
from msbench.run.examples import examples_of
from msbench.spec import Choice, Trial

ROWS = [f"the cat {n} sat on mat {n}" for n in range(12)]

KINDS: dict[str, tuple[str, Sequence[str], Any, Any]] = {
    "classify": ("csv", [f"{r},{'even' if n % 2 else 'odd'}" for n, r in enumerate(ROWS)], 0, 1),
    "seq2seq": ("csv", [f"{r},{r.upper()}" for r in ROWS], 0, 1),
    "tag": ("csv", [f"{r},O B-animal B-number O O I-x O" for r in ROWS], 0, 1),
    "lm": ("txt", [f"{r}\n" for r in ROWS], None, None),
}
"""By kind a form of file and its rows."""


@pytest.mark.parametrize("kind", KINDS)
def test_examples_of_every_kind(
    kind: str, trials: list[Trial], registry: Registry, tmp_path: Path
) -> None:
    suffix, rows, *_ = KINDS[kind]
    head = {
        "csv": f"text,{'label' if kind == 'classify' else 'tags' if kind == 'tag' else 'target'}"
    }
    paths = {name: tmp_path / f"{name}.{suffix}" for name in ("train", "validation", "test")}
    for name, part in zip(paths, (rows[:8], rows[8:10], rows[10:]), strict=True):
        paths[name].write_text("\n".join([*([head[suffix]] if suffix in head else []), *part]))
    given = {name: str(path) for name, path in paths.items()}
    options = {"kind": kind, "vocabulary": 300, "max_length": 32, "prompt": 4, **given}
    part = registry.resolve("task", Choice("files", options))
    task = registry.build("task", part)()
    trial = replace(trials[0], task=part, data=task.fingerprint())
    found = examples_of(record(trial, "ok"), registry, None)
    texts = ROWS[10:]
    if kind == "tag":
        assert found.sources == [text.split() for text in texts]
        assert found.references == [["O", "B-animal", "B-number", "O", "O", "I-x", "O"]] * 2
    elif kind == "lm":
        whole = [f"{a}{b}" for a, b in zip(found.sources, found.references, strict=True)]
        assert whole == texts
        assert all(found.sources)
    else:
        assert found.sources == texts
        wanted = ["odd", "even"] if kind == "classify" else [text.upper() for text in texts]
        assert found.references == wanted
    paths["test"].write_text(paths["test"].read_text().replace("cat 10", "dog 10"))
    with pytest.raises(RecordsError, match=r"its data are .* now, and those that trial"):
        examples_of(record(trial, "ok"), registry, None)
