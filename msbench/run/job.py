"""Job -> Record, whatever happens: what a worker does."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from msbench.plugins.loading import load_plugins
from msbench.plugins.parts import trial_parts
from msbench.plugins.registry import Registry
from msbench.records.record import Record, record
from msbench.records.schema import Status, TrialResults
from msbench.records.validation import check_examples
from msbench.run.checkpoint import Checkpoints
from msbench.run.device import machine
from msbench.run.failure import reason_of, status_of
from msbench.run.memory import describe_peak, limited_memory
from msbench.run.outputs import Heard, listening
from msbench.run.ranks import in_ranks, is_main, ranks_of
from msbench.run.throughput import run_measurement
from msbench.run.torchrun import has_members, with_members
from msbench.run.trial import redecode_trial, run_trial
from msbench.run.weights import save_weights
from msbench.spec import Job, Measurement, Trial

Outcome = tuple[Status, str, Mapping[str, Any]]
"""Status, reason and results."""


def run_job(
    job: Job,
    files: Sequence[str] = (),
    weights: Path | None = None,
    memory: int = 0,
    checkpoints: Checkpoints | None = None,
    keep_outputs: bool = False,
) -> Record:
    """Do one job and say how it ended. Only the death of the process gets out of here.

    files: plugin files to load besides what is installed. weights: the folder that a trial leaves
    its weights in; without it, it leaves none. memory: bytes that it may take; 0 = any number.
    checkpoints: where a trial keeps what it goes on from, should its process die. keep_outputs:
    whether the record brings along what the decoders wrote, which `records.store` takes out of it.
    """

    if ranks_of(job) > 1:
        run = partial(run_job, job, files, weights, memory, checkpoints, keep_outputs)
        return with_members(job, run, files, memory) if has_members() else in_ranks(job, run)

    def work(registry: Registry) -> Outcome:
        if not isinstance(job, Trial):
            assert isinstance(job, Measurement)
            return "ok", "", run_measurement(job, registry)
        kept = checkpoints and not job.yardstick and checkpoints.of(job.key)
        heard = Heard()
        watched = listening(registry, heard) if keep_outputs and not job.is_search else registry
        learner, results = run_trial(job, watched, kept or None)
        lost = heard.pack(job, results)
        if reason := results["training"]["diverged"]:
            return "diverged", reason, results
        if reason := results["training"].get("pruned", ""):
            return "pruned", reason, results
        if weights is not None and is_main() and not (job.is_search or job.yardstick):
            try:
                save_weights(learner, weights, job.key)
            except Exception as error:  # a trial is worth more than its weights
                lost.append(f"its weights were not kept: {error}")
        return "ok", "; ".join(lost), results

    return recorded(job, files, work, memory)


def redecode_job(job: Job, weights: Mapping[str, Path], files: Sequence[str] = ()) -> Record:
    """Measure the decoders of a trial on weights that are trained already: those at its key.

    `decoding` and what was written are all that the record has for results.
    """

    def work(registry: Registry) -> Outcome:
        assert isinstance(job, Trial)
        heard = Heard()
        decoding = redecode_trial(job, listening(registry, heard), weights[job.key])
        results: TrialResults = {"decoding": decoding}
        return "ok", "; ".join(heard.pack(job, results)), results

    return recorded(job, files, work)


def _plugins(job: Job) -> set[str]:
    """The names of the plugins that the job's parts come from."""
    trials = job.strategies if isinstance(job, Measurement) else [job]
    return {p.plugin for t in trials if isinstance(t, Trial) for _, p in trial_parts(t)}


def recorded(
    job: Job, files: Sequence[str], work: Callable[[Registry], Outcome], memory: int = 0
) -> Record:
    """The record of a job that `work` does with the job's own plugins, whatever it throws."""
    start = perf_counter()
    try:
        with limited_memory(memory):
            # Only the job's own plugins: others are nothing that its results may depend on.
            status, reason, results = work(load_plugins(files, only=_plugins(job)))
    except Exception as error:  # whatever a plugin throws costs this trial only
        status, reason, results = status_of(error), reason_of(error), {}
        if memory and status == "oom":
            reason += f"; {describe_peak(memory)}"
    seconds = perf_counter() - start
    made = record(job, status, reason, results=results, seconds=seconds, machine=machine())
    try:
        again = Record.from_json(made.to_json())
        if again.is_trial:
            check_examples(again.trial_results)
    except (TypeError, ValueError) as error:  # what a plugin gave cannot be read back
        return record(job, "failed", f"its results are no record: {error}", machine=machine())
    return made
