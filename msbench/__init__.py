"""msbench: which training and prediction strategy pays, measured honestly.

The names below are all that a plugin or a program needs. Most are imported when they are first
used, so that importing msbench itself is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from msbench.errors import DataError, MsbenchError, PluginError, SuiteError, printable
from msbench.paths import inside, read_file
from msbench.plugins.hookspecs import Register, hookimpl
from msbench.version import __version__

if TYPE_CHECKING:
    from msbench.api.benchmark import benchmark
    from msbench.api.results import Results, results
    from msbench.data.batches import evaluation_batches, training_batches
    from msbench.data.cache import cached
    from msbench.data.classify import classification
    from msbench.data.download import fetch, fetch_with_bar
    from msbench.data.lm import language_modelling
    from msbench.data.measures import Measure
    from msbench.data.metrics import METRICS, POINTS, Metric
    from msbench.data.overlap import also_in_train
    from msbench.data.scores import (
        TEXT_SCORES,
        bleu_chrf,
        exact_f1,
        label_scores,
        rouge,
        span_f1,
    )
    from msbench.data.seq2seq import summarization, translation
    from msbench.data.sources import Source, check, open_source
    from msbench.data.splits import (
        linked,
        mislabel,
        passages,
        plain,
        sentences,
        shuffled,
        split,
        take,
    )
    from msbench.data.tag import tagging
    from msbench.data.task import BEGIN, END, IGNORE, PAD, Batch, Scores, Split, Task, Texts
    from msbench.data.tokenizer import Tokenizer
    from msbench.data.words import bleu_tokenizer, tokens_of, words_of
    from msbench.fitting.model import Fitted, fitted
    from msbench.plan.suite import load_suite
    from msbench.plugins.loading import load_plugins
    from msbench.plugins.options import supplied
    from msbench.plugins.registry import Registry
    from msbench.records.record import Record
    from msbench.records.store import read
    from msbench.run.device import PeakMemory
    from msbench.run.driver import run_suite
    from msbench.run.events import Done, Event, Finished, Planned, Stage, Started, Waiting
    from msbench.run.job import run_job
    from msbench.run.learner import Decoder, Learner, Prepared, Schedule, Seen, Step
    from msbench.run.meter import Meter
    from msbench.run.seeds import derive, stream
    from msbench.spec import (
        Choice,
        Measurement,
        Part,
        Suite,
        TaskKind,
        Trial,
        job_from_json,
        job_to_json,
    )

_LATE = {
    "api.benchmark": "benchmark",
    "api.results": "Results results",
    "data.batches": "evaluation_batches training_batches",
    "data.cache": "cached",
    "data.classify": "classification",
    "data.download": "fetch fetch_with_bar",
    "data.lm": "language_modelling",
    "data.measures": "Measure",
    "data.metrics": "METRICS POINTS Metric",
    "data.overlap": "also_in_train",
    "data.scores": "TEXT_SCORES bleu_chrf exact_f1 label_scores rouge span_f1",
    "data.seq2seq": "summarization translation",
    "data.sources": "Source check open_source",
    "data.splits": "linked mislabel passages plain sentences shuffled split take",
    "data.tag": "tagging",
    "data.task": "BEGIN END IGNORE PAD Batch Scores Split Task Texts",
    "data.tokenizer": "Tokenizer",
    "data.words": "bleu_tokenizer tokens_of words_of",
    "fitting.model": "Fitted fitted",
    "plan.suite": "load_suite",
    "plugins.loading": "load_plugins",
    "plugins.options": "supplied",
    "plugins.registry": "Registry",
    "records.record": "Record",
    "records.store": "read",
    "run.device": "PeakMemory",
    "run.driver": "run_suite",
    "run.events": "Done Event Finished Planned Stage Started Waiting",
    "run.job": "run_job",
    "run.learner": "Decoder Learner Prepared Schedule Seen Step",
    "run.meter": "Meter",
    "run.seeds": "derive stream",
    "spec": "Choice Measurement Part Suite TaskKind Trial job_from_json job_to_json",
}
_HOME = {name: module for module, names in _LATE.items() for name in names.split()}

__all__ = [
    "BEGIN",
    "END",
    "IGNORE",
    "METRICS",
    "PAD",
    "POINTS",
    "TEXT_SCORES",
    "Batch",
    "Choice",
    "DataError",
    "Decoder",
    "Done",
    "Event",
    "Finished",
    "Fitted",
    "Learner",
    "Measure",
    "Measurement",
    "Meter",
    "Metric",
    "MsbenchError",
    "Part",
    "PeakMemory",
    "Planned",
    "PluginError",
    "Prepared",
    "Record",
    "Register",
    "Registry",
    "Results",
    "Schedule",
    "Scores",
    "Seen",
    "Source",
    "Split",
    "Stage",
    "Started",
    "Step",
    "Suite",
    "SuiteError",
    "Task",
    "TaskKind",
    "Texts",
    "Tokenizer",
    "Trial",
    "Waiting",
    "__version__",
    "also_in_train",
    "benchmark",
    "bleu_chrf",
    "bleu_tokenizer",
    "cached",
    "check",
    "classification",
    "derive",
    "evaluation_batches",
    "exact_f1",
    "fetch",
    "fetch_with_bar",
    "fitted",
    "hookimpl",
    "inside",
    "job_from_json",
    "job_to_json",
    "label_scores",
    "language_modelling",
    "linked",
    "load_plugins",
    "load_suite",
    "mislabel",
    "open_source",
    "passages",
    "plain",
    "printable",
    "read",
    "read_file",
    "results",
    "rouge",
    "run_job",
    "run_suite",
    "sentences",
    "shuffled",
    "span_f1",
    "split",
    "stream",
    "summarization",
    "supplied",
    "tagging",
    "take",
    "tokens_of",
    "training_batches",
    "translation",
    "words_of",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'msbench' has no attribute {name!r}")
    return getattr(import_module(f"msbench.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
