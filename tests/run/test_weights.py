"""Weights that trials leave, and what is decoded from them again."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from msbench import BEGIN, PAD, Batch, MsbenchError, Split, Task
from msbench.builtin.learner import TorchLearner
from msbench.builtin.losses.pointwise import cross_entropy
from msbench.builtin.models.causal import CausalLM
from msbench.builtin.models.encoder_decoder import EncoderDecoder
from msbench.builtin.models.lstm import LSTM
from msbench.builtin.optimizers.local_sgd import local_sgd
from msbench.builtin.optimizers.torch_optim import adamw
from msbench.builtin.optimizers.wrappers import EMA
from msbench.compare.comparison import compare
from msbench.errors import RecordsError, SuiteError
from msbench.plan.suite import choice_of, load_suite
from msbench.plan.trials import Fingerprint, plan
from msbench.plugins.loading import load_plugins
from msbench.plugins.registry import Registry
from msbench.records.record import Record, record
from msbench.records.store import read
from msbench.run.job import redecode_job, run_job
from msbench.run.redecode import chosen, completed, redecoding
from msbench.run.weights import check_weights, find_weights, save_weights, weights_file
from msbench.spec import Choice, Suite, Trial

pytestmark = pytest.mark.usefixtures("server")

Write = Callable[..., Path]


def make_task(kind: Any) -> Task:
    """Random sequences, or random labels."""
    draw = np.random.default_rng(0)
    tokens = draw.integers(4, 11, (16, 5))
    target = draw.integers(0, 3, 16) if kind == "classify" else tokens
    begun = np.hstack([np.full((16, 1), BEGIN), tokens[:, :-1]])
    source = np.full((16, 1), PAD) if kind == "lm" else tokens
    split = Split(source, target, ["x"] * 16, None if kind == "classify" else begun)
    return Task(kind, split, split, split, None, "bleu", 11, 3)  # type: ignore[arg-type]


MODELS = {
    "seq2seq": partial(EncoderDecoder, width=8, layers=1, heads=2, copy=True),
    "lm": partial(CausalLM, width=8, layers=1, heads=2),
    "classify": partial(LSTM, width=8),
}
OPTIMIZERS = {
    "plain": partial(adamw, lr=0.05),
    "averaging": partial(EMA, base=partial(adamw, lr=0.05), decay=0.9),
    "workers": partial(local_sgd, base=partial(adamw, lr=0.05), workers=2, every=3),
}


def learner(kind: str, optimizer: str, seed: int) -> TorchLearner:
    return TorchLearner(
        make_task(kind),
        model=MODELS[kind],
        loss=cross_entropy,
        optimizer=OPTIMIZERS[optimizer],
        seed=seed,
    )


def logits(of: TorchLearner, batch: Batch) -> list[Any]:
    of.mode(training=False)
    found: list[Any] = list(of.predict(batch, lambda model, placed: model(placed)))
    return found


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_saved_weights_are_those_that_are_evaluated(
    tmp_path: Path, kind: str, optimizer: str
) -> None:
    trained, file = learner(kind, optimizer, 0), tmp_path / "x.safetensors"
    batch = trained.task.train.batch(np.arange(16))
    trained.mode(training=True)
    for _ in range(4):
        trained.train_step(batch)
    here = {name: p.clone() for name, p in trained.model.named_parameters()}
    expected = logits(trained, batch)
    trained.save(file, {"trial": "x"})
    saved = load_file(file)
    same = [torch.equal(saved[name], here[name]) for name in saved if name in here]
    assert all(same) == (optimizer == "plain"), "an average is not what is trained"
    again = learner(kind, optimizer, 1)
    assert logits(again, batch) != expected
    again.load(file)
    assert logits(again, batch) == expected
    assert logits(again, batch) == expected, "nothing may come back from before"


def test_shared_weights_are_written_once(tmp_path: Path) -> None:
    made = learner("seq2seq", "plain", 0)
    made.save(tmp_path / "x.safetensors", {})
    saved = load_file(tmp_path / "x.safetensors")
    assert made.model.source.tokens.weight is made.model.target.tokens.weight
    assert sum(each.numel() for each in saved.values()) == made.parameters()


def test_views_of_one_block_are_saved_apart(tmp_path: Path) -> None:
    """As cuDNN lays out an LSTM's weights, and some optimizers those of any model."""
    made, file = learner("classify", "plain", 0), tmp_path / "x.safetensors"
    batch = made.task.train.batch(np.arange(16))
    block = torch.cat([p.detach().flatten() for p in made.model.parameters()])
    first = 0
    for p in made.model.parameters():
        p.data = block[first : first + p.numel()].view_as(p)
        first += p.numel()
    made.save(file, {})
    again = learner("classify", "plain", 1)
    again.load(file)
    assert logits(again, batch) == logits(made, batch)


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:-10], lambda data: b"not at all", lambda data: b""]
)
def test_spoiled_files_are_one_sentence(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "x.safetensors"
    made = learner("lm", "plain", 0)
    made.save(file, {"trial": "x"})
    check_weights(file)
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(MsbenchError, match="no whole weights"):
        made.load(file)
    with pytest.raises(RecordsError, match="no whole weights"):
        check_weights(file)


def test_weights_of_another_model_or_trial_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    learner("lm", "plain", 0).save(file, {"trial": "y"})
    with pytest.raises(RecordsError, match=r"weights of trial y, not of x"):
        check_weights(file)
    with pytest.raises(MsbenchError, match=r"weights of another model: .* such as"):
        learner("classify", "plain", 0).load(file)
    wide = TorchLearner(
        make_task("lm"),
        model=partial(CausalLM, width=16, layers=1, heads=2),
        loss=cross_entropy,
        optimizer=OPTIMIZERS["plain"],
        seed=0,
    )
    with pytest.raises(MsbenchError, match=r"weights of another model: .* such as"):
        wide.load(file)


SAMPLE = (
    "import msbench\n\n@msbench.hookimpl\ndef register_decoders(register):\n"
    "    register('dice', 'msbench.builtin.generation:sample', fits=['seq2seq', 'lm'])\n"
)


@pytest.fixture
def dice(write_plugin: Callable[..., str]) -> str:
    """A plugin with a decoder that draws."""
    return write_plugin(SAMPLE, "dice.py")


@pytest.fixture
def trained(
    tmp_path: Path, tiny: Suite, dice: str, fingerprint: Fingerprint
) -> tuple[list[Record], Path, Registry]:
    """Trials with greedy and sampling, their weights, and what is installed."""
    registry = load_plugins([dice])
    ema = Choice("ema", {"base": Choice("adamw", {"lr": 3e-3})})
    suite = replace(
        tiny, optimizers=(ema,), decoders=(Choice("greedy"), Choice("dice")), baseline=""
    )
    trials = plan(suite, registry, (), fingerprint)
    weights = tmp_path / "results" / "tiny" / "weights"
    return [run_job(trial, [dice], weights) for trial in trials], weights, registry


def outcome(decoded: Any) -> Any:
    """All but the time it took."""
    return {k: v for k, v in json.loads(json.dumps(decoded)).items() if "seconds" not in k}


def test_decoding_again_gives_the_same_bits(
    trained: tuple[list[Record], Path, Registry], dice: str, fingerprint: Fingerprint
) -> None:
    records, weights, registry = trained
    assert all(record.status == "ok" for record in records)
    assert {path.stem for path in weights.iterdir()} == {record.key for record in records}
    for name in ("greedy", "dice"):
        choice = choice_of(name, "")
        again = redecoding(records, [choice], weights, registry, fingerprint)
        assert len(again.trials) == 2
        for key, trial in again.trials.items():
            original = again.originals[key]
            made = redecode_job(trial, again.weights, [dice])
            assert made.status == "ok", made.reason
            (old,) = [d for d in original.results["decoding"] if d["decoder"]["name"] == name]
            (new,) = made.results["decoding"]
            assert outcome(new) == outcome(old)
            assert new["examples"]["chrf"]
            whole = completed(made, original)
            assert whole.results["training"] == original.results["training"]
            assert whole.key != original.key
            assert chosen([original, whole]) == [original], "what was decoded again has no weights"


def test_the_same_decoders_again_are_the_same_trial(
    trained: tuple[list[Record], Path, Registry], dice: str, fingerprint: Fingerprint
) -> None:
    records, weights, registry = trained
    choices = [choice_of("dice", ""), choice_of("greedy", "")]
    again = redecoding(records[:1], choices, weights, registry, fingerprint)
    assert list(again.trials) == [records[0].key]
    made = redecode_job(again.trials[records[0].key], again.weights, [dice])
    whole = completed(made, records[0])
    assert chosen([whole]) == [whole], "it takes the old record's place, and has its weights"


def test_keeping_weights_is_no_part_of_a_trial(
    write_suite: Write, registry: Registry, trials: list[Trial]
) -> None:
    suite = load_suite(str(write_suite(top="keep_weights = true")))
    assert suite.keep_weights
    assert plan(suite, registry, (), lambda part: trials[0].data) == trials


def test_a_search_keeps_no_weights(
    write_suite: Write, registry: Registry, fingerprint: Fingerprint, tmp_path: Path
) -> None:
    free = {"lr = 3e-3\n": "", 'base = { name = "adamw", lr = 3e-3 }': 'base = { name = "adamw" }'}
    suite = load_suite(str(write_suite(bottom="[tuning]\nmethod = 'halton'\npoints = 2", **free)))
    trial = plan(suite, registry, (), fingerprint)[0]
    assert trial.is_search
    assert run_job(trial, weights=tmp_path / "weights").status == "ok"
    assert not (tmp_path / "weights").exists()


def test_weights_that_cannot_be_written_cost_no_trial(tmp_path: Path, trials: list[Trial]) -> None:
    (tmp_path / "taken").write_text("mine")
    made = run_job(trials[0], weights=tmp_path / "taken")
    assert made.status == "ok"
    assert made.reason.startswith("its weights were not kept: ")
    assert made.results["decoding"]
    full = run_job(trials[0], weights=Path("/dev/full"))
    assert (full.status, "not kept" in full.reason) == ("ok", True)


class Dies(TorchLearner):
    """As a disk that is full in the middle of a file."""

    def save(self, path: Path, about: Any) -> None:
        path.write_bytes(b"half of it")
        raise OSError("No space left on device")


def test_half_a_file_is_never_found(tmp_path: Path) -> None:
    made = Dies(make_task("lm"), model=MODELS["lm"], loss=cross_entropy, optimizer=adamw, seed=0)
    with pytest.raises(OSError, match="No space left on device"):
        save_weights(made, tmp_path, "abc")
    assert not list(tmp_path.iterdir())


def test_which_trials_are_chosen(trials: list[Trial]) -> None:
    records = [record(trial, "ok") for trial in trials]
    assert chosen(records) == records
    assert [r.job["seed"] for r in chosen(records, seeds=[1], optimizers=["sam"])] == [1]
    assert chosen(records, key=records[2].key) == [records[2]]
    for wrong, expected in (
        ({"seeds": [7]}, "no trial here has the seed 7; there is: 0, 1"),
        ({"tasks": ["numbers-fe"]}, "the task 'numbers-fe'; did you mean 'numbers-fr'?"),
        ({"key": records[2].key, "seeds": [1 - trials[2].seed]}, "all of that together"),
    ):
        with pytest.raises(RecordsError, match=re.escape(expected)):
            chosen(records, **wrong)  # type: ignore[arg-type]


def test_weights_are_found_by_the_beginning_of_a_key(tmp_path: Path) -> None:
    for suite, key in (("a", "abcd12"), ("a", "abff"), ("b", "abcd34")):
        (tmp_path / suite / "weights").mkdir(parents=True, exist_ok=True)
        weights_file(tmp_path / suite / "weights", key).touch()
    assert find_weights("abf", tmp_path) == tmp_path / "a" / "weights" / "abff.safetensors"
    with pytest.raises(RecordsError, match="2 trials with kept weights begin with 'abcd'"):
        find_weights("abcd", tmp_path)
    with pytest.raises(RecordsError, match=r"no trial with kept weights under .* begins with 'ac'"):
        find_weights("ac", tmp_path)


def test_what_cannot_be_decoded_again(
    trained: tuple[list[Record], Path, Registry],
    registry: Registry,
    fingerprint: Fingerprint,
    tmp_path: Path,
) -> None:
    records, weights, with_dice = trained

    def said(
        *decoders: str,
        of: list[Record] = records,
        at: Path = weights,
        known: Registry = with_dice,
        data: Fingerprint = fingerprint,
    ) -> str:
        choices = [choice_of(each, f"--decoder {each!r}") for each in decoders]
        with pytest.raises(MsbenchError) as caught:
            redecoding(of, choices, at, known, data)
        return str(caught.value)

    assert "--decoder 'beem': unknown decoder 'beem'; did you mean 'beam'?" in said("beem")
    assert "no option 'widht'; did you mean 'width'?" in said("beam: widht = 2")
    assert "'width': 2 is in the list twice" in said("beam: width = [2, 2]")
    assert "decoder 'argmax' works on classify and tag tasks, and 'numbers-fr'" in said("argmax")
    assert "no longer what trial" in said("greedy", data=lambda part: "other")
    assert "keep_weights = true" in said("greedy", at=tmp_path)
    bad = [replace(each, status="diverged", reason="loss is nan") for each in records]
    assert "diverged: loss is nan" in said("greedy", of=bad)
    job = {**records[0].job, "optimizer": {**records[0].job["optimizer"], "name": "mine"}}
    lost = [replace(records[0], job=job)]
    assert "needs optimizer 'mine' of plugin msbench" in said("greedy", of=lost)
    job = {**records[0].job, "model": {**records[0].job["model"], "version": "0"}}
    assert "is now version" in said("greedy", of=[replace(records[0], job=job)])
    weights_file(weights, records[0].key).write_bytes(b"no")
    assert "no whole weights" in said("greedy")


@pytest.mark.parametrize(
    ("text", "options", "label"),
    [
        ("greedy", {}, ""),
        ("beam: width = [4, 8], length_penalty = 0", {"width": [4, 8], "length_penalty": 0}, ""),
        ('beam:width=8,label="wide"', {"width": 8}, "wide"),
        (
            'mine: base = { name = "beam", width = 2 }',
            {"base": Choice("beam", {"width": 2}, where="here.base")},
            "",
        ),
    ],
)
def test_decoders_of_a_command_line(text: str, options: Any, label: str) -> None:
    choice = choice_of(text, "here")
    assert (choice.name, choice.options, choice.label) == (text.partition(":")[0], options, label)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("beam: width", "not NAME or NAME: option = value"),
        ("", "name: String should have at least 1 character"),
        ('beam: name = "greedy"', "the name stands before the colon"),
        ("beam: label = 7", "label: Input should be a valid string, not 7"),
        ('beam: tasks = ["x"]', "tasks: "),
        ("beam: width = 2 }\nother = { x = 1", "the name stands before the colon"),
    ],
)
def test_wrong_decoders_of_a_command_line(text: str, expected: str) -> None:
    with pytest.raises(SuiteError, match=f"here: {expected}"):
        choice_of(text, "here")


def test_keep_and_decode_from_the_command_line(
    write_suite: Write, write_plugin: Callable[..., str], tmp_path: Path, call: Any
) -> None:
    folder = tmp_path / "results" / "tiny"
    lists = {'name = "beam"\nwidth = 2': 'name = "beam"\nlabel = "wide"\nwidth = [2, 3]'}
    call("run", write_suite(**lists), "--seeds", "1")
    assert not (folder / "weights").exists()

    more = call("run", write_suite(top="keep_weights = true", **lists))
    assert "2 of 4 trials are done already" in more.stderr, "what is kept changes no trial"
    assert "2 of 4 trials have no kept weights" in more.stderr
    decoding = call("compare", folder, "--table", "decoding").stdout
    assert "wide (width=2)" in decoding
    assert "wide (width=3)" in decoding
    lines = (folder / "trials.jsonl").read_text().splitlines()
    keys = [json.loads(line)["key"] for line in lines[2:]]
    kept = {path.name for path in (folder / "weights").iterdir()}
    assert kept == {f"{key}.safetensors" for key in keys}

    words = ("--decoder", "beam: width = [2, 4]", "--decoder", "greedy")
    done = call("decode", keys[0][:8], *words)
    for line, name in zip(
        done.stdout.splitlines()[2:], ("beam (width=2)", "beam (width=4)", "greedy"), strict=True
    ):
        assert f" 1 {name}" in " ".join(line.split())
    *before, made = read(folder / "trials.jsonl").records
    assert [each.key for each in before] == [json.loads(line)["key"] for line in lines]
    assert len(made.job["decoders"]) == 3
    rows = compare([*before, made]).accuracy
    rows = [row for row in rows if row["decoder"].startswith("beam")]
    assert {row["decoder"] for row in rows} == {"beam (width=2)", "beam (width=4)"}
    assert all((row["n"], row["passes"]) == (1, 12) for row in rows)

    plugin = write_plugin(
        "import msbench\n\n@msbench.hookimpl\ndef register_decoders(register):\n"
        "    register('fails', lambda: lambda model, batch: 1 / 0)\n"
    )
    words = ("--plugin", plugin, "--decoder", "fails", "--decoder", "greedy")
    fails = call("decode", "tiny", *words, check=3)
    assert "failed: ZeroDivisionError: division by zero (mine.py:5)" in fails.stderr
    assert "2 of 2 could not be decoded" in fails.stderr

    file = weights_file(folder / "weights", keys[0])
    file.write_bytes(file.read_bytes()[:-1])
    bad = call("decode", "tiny", "--decoder", "greedy", check=2)
    assert f"{file.name}: these are no whole weights" in bad.stderr
    assert len(read(folder / "trials.jsonl").records) == 5
