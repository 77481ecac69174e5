"""What a driver costs as a suite grows: planning, recording, reading; its trials do nothing.

    python studies/scale.py [--sizes 200 400 800 1600 100000] > results/reference/scale.json

Everything is what `msbench run` does, but for the trials: a launcher in this file hands every job
the results of a trial of `quick`, with 200 scores of examples, and no process is started. Each size
runs in an interpreter of its own. Times are seconds of the processor, so that a busy machine counts
little; what waits for a disk is not in them.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import msbench
from msbench import Record
from msbench.compare.comparison import compare
from msbench.plan.suite import load_suite
from msbench.plan.trials import plan
from msbench.plugins.loading import load_plugins
from msbench.records.question import read_question
from msbench.records.record import part_data, record
from msbench.records.store import read
from msbench.run.driver import run_suite
from msbench.spec import Job, Trial

REFERENCE = Path(__file__).parent.parent / "results/reference/quick"

STRATEGIES = ("adamw", "sgd", "momentum", "adam")

SUITE = """
seeds = {seeds}
baseline = "adamw"
training = {{ passes = 300, batch_size = 16, validations = 8 }}
throughput = {{ rounds = 0 }}
launcher = {{ name = "at-once" }}
task = [{{ name = "numbers-fr" }}]
model = [{{ name = "encoder-decoder" }}]
optimizer = [{optimizers}]
decoder = [{{ name = "greedy" }}]
"""


@msbench.hookimpl
def register_launchers(register: msbench.Register) -> None:
    register("at-once", at_once, idea="Every job has the results of one trial, at once.")


def at_once() -> Any:
    """A launcher that runs nothing."""
    results = kept_results()

    def launch(jobs: Iterator[Job], run: Any, *, limit: float, preload: Any) -> Iterator[Any]:
        for number, job in enumerate(jobs):
            assert isinstance(job, Trial)
            yield job
            yield record(job, "ok", results=scored(results, job, number % 97), seconds=1.0)

    return launch


def kept_results() -> dict[str, Any]:
    """Of a trial of `quick` that translated numbers."""
    for line in (REFERENCE / "trials.jsonl").read_text().splitlines():
        kept = Record.from_json(line)
        if kept.is_trained and kept.status == "ok" and kept.trial["task"]["name"] == "numbers-fr":
            results = dict(kept.results)
            decoded = [d for d in results["decoding"] if d["decoder"]["name"] == "greedy"]
            few = {m: scores[:200] for m, scores in decoded[0]["examples"].items()}
            return {**results, "decoding": [{**decoded[0], "examples": few, "count": 200}]}
    raise LookupError(f"{REFERENCE} has no trial of numbers-fr")


def scored(results: dict[str, Any], trial: Trial, change: float) -> dict[str, Any]:
    """The results as this trial's, with other scores, so that strategies can be compared."""
    (decoded,) = results["decoding"]
    metrics = {name: max(0, value - change) for name, value in decoded["metrics"].items()}
    decoder = part_data(trial.decoders[0])
    return {**results, "decoding": [{**decoded, "metrics": metrics, "decoder": decoder}]}


@contextmanager
def timed(row: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds of the processor that something takes."""
    start = process_time()
    yield
    row[name] = round(process_time() - start, 4)


def memory() -> float:
    """The most that this process has had so far, in MB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def row_of(trials: int, folder: Path) -> dict[str, float]:
    """What so many trials cost, in a folder that is not there yet."""
    optimizers = ", ".join(f'{{ name = "{name}", lr = 1e-3 }}' for name in STRATEGIES)
    path = folder.with_suffix(".toml")
    path.write_text(SUITE.format(seeds=trials // len(STRATEGIES), optimizers=optimizers))
    registry, row = load_plugins([__file__]), {"trials": float(trials)}
    suite = load_suite(str(path))
    *_, done = run_suite(replace_seeds(suite, 1), registry, folder.with_name("first"))  # imports
    row["memory_before"] = memory()
    with timed(row, "plan"):
        planned = plan(suite, registry, (), lambda part: "data")
    assert len(planned) == trials
    del planned
    with timed(row, "run"):
        *_, done = run_suite(suite, registry, folder)
    assert isinstance(done, msbench.Done)
    assert (len(done.records), done.lost) == (trials, 0), read(folder, strict=False).problems[:1]
    row["bytes"] = float(sum(file.stat().st_size for file in folder.iterdir()))
    lines = (folder / "trials.jsonl").read_bytes().count(b"\n")
    assert lines == trials, "none is lost, none is there twice"
    with timed(row, "resume"):
        first = next(run_suite(suite, registry, folder))
    assert isinstance(first, msbench.Planned)
    assert not first.trials
    with timed(row, "compare"):
        compare(read(folder).records, question=read_question(folder))
    row["memory"] = memory()
    return row


def replace_seeds(suite: msbench.Suite, seeds: int) -> msbench.Suite:
    """The suite with fewer seeds."""
    return replace(suite, seeds=tuple(range(seeds)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 400, 800, 1600])
    parser.add_argument("--one", type=int, help="print the row of this size alone")
    asked = parser.parse_args()
    if asked.one:
        with tempfile.TemporaryDirectory() as place:
            print(json.dumps(row_of(asked.one, Path(place) / "scale")))
    else:
        command = [sys.executable, __file__, "--one"]
        rows = []
        for size in asked.sizes:
            told = subprocess.run([*command, str(size)], stdout=subprocess.PIPE, check=True).stdout
            rows.append(json.loads(told))
        print(json.dumps(rows, indent=1))
