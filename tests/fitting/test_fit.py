"""`msbench fit` and `predict`, from records to predictions, for every kind of task."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

TEXT = "the cat sat on a mat and then it went to see some other small grey dogs again"
WORDS = TEXT.split()
ROWS = [[WORDS[(n * step + n) % len(WORDS)] for step in range(3 + n % 4)] for n in range(60)]

SUITE = """
seeds = 1
limit = 300
training = { passes = 8, batch_size = 8, validations = 2 }
throughput = { rounds = 0 }
decoder = [{ name = "DECODER" }]

[[task]]
name = "files"
kind = "KIND"
train = "train.jsonl"
MORE

[[model]]
name = "MODEL"
width = 16
layers = 1
heads = 2

[[optimizer]]
name = "adamw"
lr = 3e-3
"""


def classes(words: list[str]) -> dict[str, object]:
    return {"text": " ".join(words), "label": "cat" if "cat" in words else "none"}


def pairs(words: list[str]) -> dict[str, object]:
    return {"text": " ".join(words), "second": " ".join(words[::-1]), "label": f"n{len(words) % 2}"}


def tags(words: list[str]) -> dict[str, object]:
    return {"text": " ".join(words), "tags": " ".join("A" if len(w) == 3 else "B" for w in words)}


def spans(words: list[str]) -> dict[str, object]:
    """The third word and, if it is there, the fourth answer the question."""
    tags = ["O", "O", "B-answer", "I-answer", *"O" * len(words)]
    return {"text": " ".join(words), "tags": " ".join(tags[: len(words)])}


def outputs(words: list[str]) -> dict[str, object]:
    return {"text": " ".join(words), "target": " ".join(words).upper()}


def texts(words: list[str]) -> dict[str, object]:
    return {"text": " ".join([*words, *words[::-1]])}


KINDS = {
    "classify": (classes, "encoder", ""),
    "pairs": (pairs, "encoder", 'second = "second"'),
    "tag": (tags, "encoder", 'metric = "tag_accuracy"'),
    "spans": (spans, "encoder", 'metric = "exact"'),
    "seq2seq": (outputs, "encoder-decoder", 'metric = "exact"'),
    "lm": (texts, "causal-lm", ""),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_every_kind_is_fitted_and_predicts(
    kind: str, tmp_path: Path, call: Callable[..., Result], server: None
) -> None:
    row, model, more = KINDS[kind]
    write(tmp_path / "train.jsonl", [row(words) for words in ROWS])
    own = SUITE.replace("KIND", {"pairs": "classify", "spans": "tag"}.get(kind, kind))
    own = own.replace("MODEL", model).replace("MORE", more)
    own = own.replace("DECODER", "argmax" if model == "encoder" else "greedy")
    (tmp_path / "own.toml").write_text(own)
    call("run", "own.toml", "--out", ".")
    call("fit", "own", "--optimizer", "adamw", "-o", "model")
    new = [{k: v for k, v in row(words[::-1]).items() if k in ("text", "second")} for words in ROWS]
    write(tmp_path / "new.jsonl", new[:7])
    told = call("predict", "model", "new.jsonl", "-o", "told.jsonl")
    made = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]
    assert [{k: each[k] for k in new[0]} for each in made] == new[:7], told.output
    said = [each["prediction"] for each in made]
    labels = {str(row(words).get("label")) for words in ROWS}
    if kind in ("classify", "pairs"):
        assert set(said) <= labels
    elif kind in ("tag", "spans"):
        assert [len(each.split()) for each in said] == [len(words) for words in ROWS[:7]]
        tags = {"A", "B"} if kind == "tag" else {"O", "B-answer", "I-answer"}
        assert {tag for each in said for tag in each.split()} <= tags
    else:
        assert all(isinstance(each, str) for each in said)


DEADLY = """
import os, signal
from pathlib import Path
import msbench

@msbench.hookimpl
def register_schedules(register):
    register("deadly", deadly)

def deadly(death: str):
    def factor(spent):
        if spent > 0.6 and Path(death).exists():
            Path(death).unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return 1.0 - spent
    return factor
"""


def test_a_fit_that_is_killed_goes_on_with_the_same_bits(
    tmp_path: Path, call: Callable[..., Result], write_plugin: Callable[[str], str], server: None
) -> None:
    plugin, death = write_plugin(DEADLY), tmp_path / "death"
    write(tmp_path / "train.jsonl", [classes(words) for words in ROWS])
    own = SUITE.replace("KIND", "classify").replace("MODEL", "encoder").replace("MORE", "")
    own = own.replace("DECODER", "argmax")
    own += f'\n[[schedule]]\nname = "deadly"\ndeath = "{death}"\n'
    (tmp_path / "own.toml").write_text(own)
    call("run", "own.toml", "--out", ".", "--plugin", plugin)
    fit = ("fit", "own", "--optimizer", "adamw", "--plugin", plugin, "-o")
    call(*fit, "undisturbed")
    death.touch()
    call(*fit, "resumed", "--checkpoint", "1e-9", check=2)
    kept = tmp_path / "resumed.checkpoint.safetensors"
    assert (kept.exists(), death.exists()) == (True, False)
    call(*fit, "other", "--keep-test")  # has no use for it
    call(*fit, "resumed", "--checkpoint", "1e-9")
    weights = [tmp_path / name / "weights.safetensors" for name in ("undisturbed", "resumed")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert not kept.exists()


def write(file: Path, rows: list[dict[str, object]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
