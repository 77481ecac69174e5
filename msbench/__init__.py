"""msbench: which training and prediction strategy pays, measured honestly.

The names below are all that a plugin or a program needs. Those that are heavy to import are
imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from msbench.errors import DataError, MsbenchError, PluginError, SuiteError
from msbench.hookspecs import Register, hookimpl
from msbench.sources import Source, check, fetch, open_source
from msbench.spec import Choice, Measurement, Part, Record, Suite, TaskKind, Trial

if TYPE_CHECKING:
    from msbench.dataframes import frames
    from msbench.device import PeakMemory
    from msbench.learner import Decoder, Learner, Meter, Schedule, Step
    from msbench.metrics import (
        POINTS,
        TEXT_SCORES,
        bleu_chrf,
        exact_f1,
        label_scores,
        rouge,
        span_f1,
    )
    from msbench.options import supplied
    from msbench.plugins import Registry, load_plugins
    from msbench.progress import fetch_with_bar
    from msbench.runner import run
    from msbench.splits import (
        linked,
        mislabel,
        passages,
        plain,
        sentences,
        shuffled,
        split,
        take,
    )
    from msbench.store import read
    from msbench.streams import derive, stream
    from msbench.suite import load_suite
    from msbench.task import (
        BEGIN,
        END,
        IGNORE,
        PAD,
        Batch,
        Scores,
        Split,
        Task,
        Texts,
        evaluation_batches,
        training_batches,
    )
    from msbench.text import (
        classification,
        language_modelling,
        summarization,
        tagging,
        translation,
    )
    from msbench.tokens import cached

__version__ = "0.1.0"

_LATE = {
    "device": "PeakMemory",
    "dataframes": "frames",
    "learner": "Decoder Learner Meter Schedule Step",
    "metrics": "POINTS TEXT_SCORES bleu_chrf exact_f1 label_scores rouge span_f1",
    "options": "supplied",
    "plugins": "Registry load_plugins",
    "progress": "fetch_with_bar",
    "runner": "run",
    "store": "read",
    "splits": "linked mislabel passages plain sentences shuffled split take",
    "streams": "derive stream",
    "suite": "load_suite",
    "task": (
        "BEGIN END IGNORE PAD Batch Scores Split Task Texts evaluation_batches training_batches"
    ),
    "text": "classification language_modelling summarization tagging translation",
    "tokens": "cached",
}
_HOME = {name: module for module, names in _LATE.items() for name in names.split()}

__all__ = [
    "BEGIN",
    "END",
    "IGNORE",
    "PAD",
    "POINTS",
    "TEXT_SCORES",
    "Batch",
    "Choice",
    "DataError",
    "Decoder",
    "Learner",
    "Measurement",
    "Meter",
    "MsbenchError",
    "Part",
    "PeakMemory",
    "PluginError",
    "Record",
    "Register",
    "Registry",
    "Schedule",
    "Scores",
    "Source",
    "Split",
    "Step",
    "Suite",
    "SuiteError",
    "Task",
    "TaskKind",
    "Texts",
    "Trial",
    "bleu_chrf",
    "cached",
    "check",
    "classification",
    "derive",
    "evaluation_batches",
    "exact_f1",
    "fetch",
    "fetch_with_bar",
    "frames",
    "hookimpl",
    "label_scores",
    "language_modelling",
    "linked",
    "load_plugins",
    "load_suite",
    "mislabel",
    "open_source",
    "passages",
    "plain",
    "read",
    "rouge",
    "run",
    "sentences",
    "shuffled",
    "span_f1",
    "split",
    "stream",
    "summarization",
    "supplied",
    "tagging",
    "take",
    "training_batches",
    "translation",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'msbench' has no attribute {name!r}")
    return getattr(import_module(f"msbench.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
