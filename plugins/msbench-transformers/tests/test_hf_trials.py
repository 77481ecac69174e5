"""The plugin as its users have it: suites with checkpoints, trained by msbench's own loop."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("peft", reason="peft is not installed")

from tiny_transformers import sentences

from msbench import Record, Registry, load_plugins, load_suite, run_job
from msbench.plan.trials import plan
from msbench.run.driver import fingerprint_of

HERE = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def registry() -> Registry:
    found = load_plugins()
    if ("model", "hf-encoder") not in found.entries:
        pytest.skip("msbench-transformers is not installed: pip install -e it")
    return found


def records(registry: Registry, path: Path, suite: str) -> list[Record]:
    """What the trials of a suite leave."""
    path.write_text("seeds = 1\n" + suite)
    trials = plan(
        load_suite(str(path)),
        registry,
        (),
        lambda *parts: fingerprint_of(registry, *parts, fetch=None),
    )
    return [run_job(trial) for trial in trials]


def test_an_encoder_is_fine_tuned(
    registry: Registry, checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    rows = "\n".join(f'"{text}",{"cat" in text}' for text in sentences(80))
    (tmp_path / "data.csv").write_text(f"text,label\n{rows}\n")
    (record,) = records(
        registry,
        tmp_path / "small.toml",
        f"""
training = {{ passes = 4, batch_size = 8, validations = 1 }}
task = [{{ name = "files", train = "{tmp_path}/data.csv", kind = "classify" }}]
model = [{{ name = "hf-encoder", checkpoint = "{checkpoint("bert")}" }}]
decoder = [{{ name = "argmax" }}]
[[optimizer]]
name = "lora"
rank = 2
base = {{ name = "layer-wise", base = {{ name = "adamw" }} }}
""",
    )
    assert record.status == "ok", record.reason
    assert 0 < record.results["parameters"] < 5_000
    assert record.results["peak_memory"] > 0


def test_an_encoder_decoder_is_fine_tuned(
    registry: Registry, checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    rows = "\n".join(f"{text},{text[:9]}" for text in sentences(80))
    (tmp_path / "data.csv").write_text(f"text,target\n{rows}\n")
    (record,) = records(
        registry,
        tmp_path / "small.toml",
        f"""
training = {{ passes = 8, batch_size = 8, validations = 2, precision = "bfloat16" }}
task = [{{ name = "files", train = "{tmp_path}/data.csv", kind = "seq2seq", max_target = 8 }}]
model = [{{ name = "hf-encoder-decoder", checkpoint = "{checkpoint("bart")}" }}]
optimizer = [{{ name = "adamw", lr = 1e-2 }}]
decoder = [{{ name = "greedy" }}, {{ name = "hf-generate" }}]
""",
    )
    assert record.status == "ok", record.reason
    curve = record.results["training"]["curve"]
    first, last = (point["validation_loss"] for point in curve[-2:])
    assert last < first
    ours, theirs = record.results["decoding"]
    assert ours["metrics"] == theirs["metrics"]
    assert ours["positions"] > 0 < theirs["positions"]


@pytest.mark.parametrize("name", ["finetune", "finetune-seq2seq"])
def test_the_suites_are_sound(name: str, registry: Registry) -> None:
    suite = load_suite(str(HERE / f"{name}.toml"))
    assert plan(suite, registry, (), lambda *_: "not read")
