"""The contract has a version, and both of its newest hooks are used; old plugins keep working."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from msbench import PluginError, SuiteError, load_plugins, load_suite, run_job
from msbench.plan.trials import plan
from msbench.plugins import first_load
from msbench.plugins.hookspecs import VERSION
from msbench.run.driver import fingerprint_of
from msbench.run.observers import observed
from msbench.spec import Trial

OLD = Path(__file__).parent / "written_for_1.py"

SUITE = """
seeds = 1
[training]
passes = 8
batch_size = 10
validations = 1
[[task]]
name = "old-task"
[[model]]
name = "old-model"
[[loss]]
name = "old-loss"
[[optimizer]]
name = "old-optimizer"
[[optimizer]]
name = "old-wrapper"
base = { name = "old-optimizer", lr = 0.2 }
[[schedule]]
name = "old-schedule"
[[decoder]]
name = "old-decoder"
[[decoder]]
name = "greedy"
"""


def planned(path: Path, text: str) -> tuple[list[Trial], Any]:
    path.write_text(text)
    registry = load_plugins([str(OLD)])
    suite = load_suite(str(path))
    return plan(suite, registry, (), lambda *p: fingerprint_of(registry, *p, fetch=None)), registry


def test_a_plugin_of_the_first_version_keeps_working(tmp_path: Path) -> None:
    trials, _ = planned(tmp_path / "old.toml", SUITE)
    for trial in trials:
        record = run_job(trial, files=[str(OLD)])
        assert (record.status, record.reason) == ("ok", "")
        results = record.trial_results
        assert results["guards"]["found"] == []
        wrapped = trial.optimizer.name == "old-wrapper"
        assert results["training"]["passes"] / results["training"]["steps"] == 1 + wrapped
        assert len(results["decoding"]) == 2


def test_a_contract_to_come_is_refused(write_plugin: Callable[..., str]) -> None:
    text = OLD.read_text()
    for version in (1, VERSION):
        load_plugins([write_plugin(f"{text}\nMSBENCH_CONTRACT = {version}\n", f"v{version}.py")])
    newer = write_plugin(f"{text}\nMSBENCH_CONTRACT = {VERSION + 1}\n", "newer.py")
    with pytest.raises(PluginError, match=f"MSBENCH_CONTRACT is {VERSION + 1}, and this msbench"):
        load_plugins([newer])


def test_a_suite_measures_by_registered_metrics(tmp_path: Path) -> None:
    metrics = '[[metric]]\nname = "rouge"\n[[metric]]\nname = "exact-f1"\n'
    (trial, _), _ = planned(tmp_path / "old.toml", SUITE + metrics)
    (plain, _), _ = planned(tmp_path / "old.toml", SUITE)
    assert trial.key != plain.key
    assert Trial.of(json.loads(run_job(trial, files=[str(OLD)]).to_json())["job"]) == trial
    results = run_job(trial, files=[str(OLD)]).trial_results
    (first, second) = results["decoding"]
    for each in (first, second):
        assert {"exact", "f1", "rouge1", "rougeL"} <= set(each["metrics"])
        assert len(each["examples"]["rougeL"]) == 10
    facts = results["task"]["metrics"]["rougeL"]
    assert (facts["high"], facts["margin"]) == (1, 0.01)
    assert {"f1", "rouge1", "rougeL"} <= set(results["task"]["also"])
    wrong = SUITE.replace("old-task", "bbc-news").replace("old-model", "bag") + metrics
    wrong = wrong.replace('name = "old-decoder"', 'name = "argmax"')
    with pytest.raises(SuiteError, match="metric 'rouge' works on seq2seq and lm tasks"):
        planned(tmp_path / "wrong.toml", wrong)


def test_observers_are_told_all_events_and_stop_none(
    tmp_path: Path, call: Callable[..., Result], server: None
) -> None:
    suite = tmp_path / "old.toml"
    suite.write_text(SUITE.replace("validations = 1", "validations = 1\n[throughput]\nrounds = 0"))
    call("run", suite, "--plugin", OLD, "--observe", "json-lines", "--dry-run")
    assert not (tmp_path / "results").exists()
    call("run", suite, "--plugin", OLD, "--observe", 'json-lines: file = "e.ndjson"')
    lines = (tmp_path / "results/old/e.ndjson").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    names = [event["event"] for event in events]
    assert names[:2] == ["planned", "stage"]
    assert names[-1] == "done"
    assert names.count("started") == names.count("finished") == 2
    assert {e["status"] for e in events if e["event"] == "finished"} == {"ok"}

    told: list[Any] = []

    def fails(event: Any) -> None:
        raise RuntimeError("the tracker is away")

    events: Any = (number for number in (1, 2))
    watched = observed(events, {"tracker": fails, "list": told.append})
    with pytest.warns(UserWarning, match="observer 'tracker' failed, and is told no more: Runtime"):
        passed = list(watched)
    assert passed == told == [1, 2]


def test_files_are_first_loaded_apart_and_installed_plugins_left_out(
    write_plugin: Callable[..., str],
    call: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    tmp = f"{tmp_path}/"
    monkeypatch.setattr(first_load, "PATIENCE", 0.2)
    monkeypatch.setenv("MSBENCH_LOAD_LIMIT", "1")
    sleeps = write_plugin("import time\ntime.sleep(60)\n", "sleeps.py")
    failed = call("list", "--plugin", sleeps, check=2).output
    assert "sleeps.py: importing it for the first time, for up to 1 s" in failed
    assert "sleeps.py: importing it did not end within 1 s" in failed
    monkeypatch.setenv("MSBENCH_LOAD_LIMIT", "60")
    ends = write_plugin("import os\nprint('hello', flush=True)\nos._exit(3)\n", "ends.py")
    failed = call("list", "--plugin", ends, check=2).output
    assert "importing it ended the process with exit code 3; it last said: hello" in failed

    loud = write_plugin(OLD.read_text() + "\nimport os\nos.write(1, b'hello')\n", "loud.py")
    shown = call("list", "--plugin", loud)
    assert "plugin loud.py: importing it printed 'hello'" in shown.stderr.replace(tmp, "")
    assert "hello" not in capfd.readouterr().out + shown.stdout
    everything = json.loads(call("list", "--format", "json").output)
    own = json.loads(call("list", "--no-plugins", "--format", "json").output)
    assert {row["plugin"] for row in own} == {"msbench"}
    assert [row for row in everything if row["plugin"] == "msbench"] == own
    assert json.loads(call("list", "--format", "json").output) == everything
