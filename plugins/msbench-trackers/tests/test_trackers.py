"""Records of a run, told to every tracker that is installed, and read back from its own store."""

import json
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msbench_trackers.run import Run, run_of
from msbench_trackers.tracking import WRITTEN, check_installed, tracking

from msbench import Done, Event, Finished, MsbenchError, Record, Stage, read

KEPT = Path(__file__).parents[3] / "tests/kept/quick"


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """A translation that ended ok, one that did not, and a throughput measurement."""
    kept = read(KEPT).records
    good, other = [r for r in kept if r.is_trial and r.trial["task"]["name"] == "numbers-fr"][:2]
    wild = replace(other, status="diverged", reason="loss nan", results={})
    return [good, wild, next(record for record in kept if not record.is_trial)]


@pytest.fixture(scope="module")
def events(records: list[Record]) -> list[Event]:
    """What a run tells of them."""
    return [Stage("trials", 3), *map(Finished, records), Done(records, 0)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of the results; trackers call the project by its name."""
    made = tmp_path / "tiny"
    made.mkdir()
    return made


def tell(observe: Callable[[Event], None], events: Sequence[Event]) -> None:
    for event in events:
        observe(event)


def curve(record: Record) -> list[tuple[int, float]]:
    points = record.trial_results["training"]["curve"]
    return [(p["steps"], p["validation_loss"]) for p in points if p["validation_loss"] is not None]


def bleu(record: Record) -> float:
    value = record.trial_results["decoding"][0]["metrics"]["bleu"]
    assert value is not None
    return value


def test_a_run_has_what_its_record_says(records: list[Record]) -> None:
    good, wild, measured = map(run_of, records)
    (job, results) = records[0].trial, records[0].trial_results
    assert good.name.startswith("numbers-fr encoder-decoder ")
    assert good.config["optimizer"] == (job["optimizer"]["label"] or job["optimizer"]["name"])
    assert good.config["optimizer.lr"] == job["optimizer"]["options"]["lr"]
    assert good.config["training.passes"] == job["training"]["passes"]
    assert "greedy" in str(good.config["decoders"])
    assert [(p.step, p.values["validation_loss"]) for p in good.points] == curve(records[0])
    assert all(good.started <= point.time <= good.finished for point in good.points)
    assert good.results["test/greedy/bleu"] == bleu(records[0])
    assert good.results["training/passes"] == results["training"]["passes"]
    assert (wild.status, wild.reason, wild.points) == ("diverged", "loss nan", ())
    rates = records[2].measurement_results["training"]
    assert rates[0]["per_second"] in measured.results.values()
    assert len({good.id, wild.id, measured.id}) == 3


def test_tensorboard(events: list[Event], folder: Path, records: list[Record]) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from msbench_trackers.tensorboard import tensorboard
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tell(tensorboard(folder), events)
    before = {path: path.stat().st_mtime for path in folder.rglob("events.*")}
    tell(tensorboard(folder), events[-1:])  # what is there is not written again
    assert {path: path.stat().st_mtime for path in folder.rglob("events.*")} == before

    def scalars(run: Run) -> dict[str, list[tuple[int, float]]]:
        read = EventAccumulator(str(folder / "tensorboard" / run.id))
        read.Reload()
        assert "_hparams_/session_start_info" in read.summary_metadata
        return {t: [(e.step, e.value) for e in read.Scalars(t)] for t in read.Tags()["scalars"]}

    good, wild, measured = (scalars(run_of(record)) for record in records)
    assert [step for step, _ in good["validation_loss"]] == [step for step, _ in curve(records[0])]
    losses = [loss for _, loss in good["validation_loss"]]
    assert losses == pytest.approx([loss for _, loss in curve(records[0])])
    assert good["test/greedy/bleu"] == [(curve(records[0])[-1][0], pytest.approx(bleu(records[0])))]
    assert list(wild) == ["seconds"]
    assert any(name.startswith("speed/1 ") for name in measured)
    (progress,) = (folder / "tensorboard").glob("progress-*")
    read = EventAccumulator(str(progress))
    read.Reload()
    assert [event.value for event in read.Scalars("done")] == [1, 2, 3]
    assert [event.value for event in read.Scalars("not_ok")][-1] == 1


def test_trackio(
    events: list[Event], folder: Path, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(folder / "store"))  # which it reads when it is imported
    for name in [name for name in sys.modules if name.partition(".")[0] == "trackio"]:
        monkeypatch.delitem(sys.modules, name)
    pytest.importorskip("trackio", reason="trackio is not installed")
    from msbench_trackers.trackio import trackio

    tell(trackio(folder), events)
    tell(trackio(folder), events[-1:])
    good, wild, _ = map(run_of, records)
    with closing(sqlite3.connect(folder / "store/tiny.db")) as store:
        rows = store.execute("SELECT run_name, step, metrics FROM metrics ORDER BY step").fetchall()
        told = dict(store.execute("SELECT run_name, config FROM configs").fetchall())
    found = [(step, json.loads(data)) for name, step, data in rows if name == good.name]
    losses = [(s, d["validation_loss"]) for s, d in found if "validation_loss" in d]
    assert losses == curve(records[0])
    assert found[-1][1]["test/greedy/bleu"] == bleu(records[0])
    assert json.loads(told[good.name])["optimizer.lr"] == good.config["optimizer.lr"]
    (last,) = (json.loads(data) for name, _, data in rows if name == wild.name)
    assert (last["status"], last["reason"]) == ("diverged", "loss nan")
    (steps,) = ([s for name, s, _ in rows if name == run] for run in told if "progress" in run)
    assert steps[:3] == [1, 2, 3]


@pytest.mark.large
def test_mlflow(events: list[Event], folder: Path, records: list[Record]) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    from mlflow import MlflowClient
    from msbench_trackers.mlflow import mlflow

    tell(mlflow(folder), events)
    tell(mlflow(folder), events[-1:])
    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("tiny")
    found = client.search_runs([experiment.experiment_id])
    runs = {run.data.tags["msbench.run"]: run for run in found}
    assert len(runs) == len(found) == 4
    good, wild, _ = (runs[run_of(record).id] for record in records)
    history = client.get_metric_history(good.info.run_id, "validation_loss")
    assert [(metric.step, metric.value) for metric in history] == curve(records[0])
    assert good.data.metrics["test/greedy/bleu"] == bleu(records[0])
    assert float(good.data.params["optimizer.lr"]) == run_of(records[0]).config["optimizer.lr"]
    assert (good.info.status, wild.info.status) == ("FINISHED", "FAILED")
    assert wild.data.tags["msbench.status"] == "diverged"


@pytest.mark.large
def test_wandb(events: list[Event], folder: Path, records: list[Record]) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    from msbench_trackers.wandb import wandb

    tell(wandb(folder), events)
    tell(wandb(folder), events[-1:])
    files = list(folder.glob("wandb/offline-run-*/*.wandb"))
    assert len(files) == 4
    (file,) = (file for file in files if run_of(records[0]).id in file.name)
    read = wandb_lines(file)
    losses = [row["validation_loss"] for row in read["history"] if "validation_loss" in row]
    assert losses == [value for _, value in curve(records[0])]
    assert read["config"]["optimizer.lr"] == run_of(records[0]).config["optimizer.lr"]
    assert read["summary"]["test/greedy/bleu"] == bleu(records[0])


def wandb_lines(file: Path) -> Mapping[str, Any]:
    """What an offline run has written: blocks of 32 KiB of pieces, each with a head of 7 bytes
    (checksum, length, place in its record), as in LevelDB's log; the file itself has one, too."""
    from wandb.proto.wandb_internal_pb2 import Record as Written

    data, at, whole = file.read_bytes(), 7, b""
    found: dict[str, Any] = {"history": [], "config": {}, "summary": {}}
    while at + 7 <= len(data):
        if (left := 2**15 - at % 2**15) < 7:
            at += left
            continue
        length, place = struct.unpack("<HB", data[at + 4 : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if place in (1, 4):  # whole, or the last piece
            _take(Written.FromString(whole), found)
            whole = b""
    return found


def _take(each: Any, found: dict[str, Any]) -> None:
    def told(items: Any) -> dict[str, Any]:
        return {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in items}

    kind = each.WhichOneof("record_type")
    if kind == "history":
        found["history"].append(told(each.history.item))
    elif kind == "summary":
        found["summary"] |= told(each.summary.update)
    elif kind == "run":
        found["config"] |= told(each.run.config.update)


class Broken:
    """A tracker that fails, or never answers."""

    target = "broken"

    def __init__(self, error: Exception | None = None):
        self._error = error

    def begin(self, run: Run) -> Any:
        if self._error:
            raise self._error
        while True:
            time.sleep(1)


def test_a_tracker_that_fails_or_hangs_is_told_so_in_one_sentence(
    events: list[Event], folder: Path
) -> None:
    failing = tracking(folder, lambda: Broken(OSError("the server\nis away")))
    with pytest.raises(MsbenchError, match=r"^OSError: the server .the same command writes what"):
        tell(failing, events)
    silent = tracking(folder, Broken, patience=0.1)
    with pytest.raises(MsbenchError, match=r"^it did not answer for 0.1 s"):
        tell(silent, events)
    assert not (folder / WRITTEN).exists()


def test_what_is_not_installed_is_named_and_nothing_is_imported_before_it_is_asked_for() -> None:
    with pytest.raises(
        MsbenchError, match=r"needs none_such.*pip install 'msbench-trackers\[wandb"
    ):
        check_installed("wandb", "none_such")
    listing = (
        "import sys, msbench; print(len(msbench.load_plugins().of('observer'))); import "
        "msbench_trackers.mlflow, msbench_trackers.wandb, msbench_trackers.trackio, "
        "msbench_trackers.tensorboard; "
        "print({'mlflow', 'wandb', 'trackio', 'tensorboard'} & set(sys.modules))"
    )
    run = [sys.executable, "-c", listing]
    said = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["5", "set()"]
