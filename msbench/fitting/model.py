"""A folder of a fitted model -> what it predicts for new texts."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from msbench.data.batches import evaluation_batches
from msbench.data.tokenizer import Tokenizer
from msbench.data.withheld import blind
from msbench.errors import MsbenchError, PluginWarning
from msbench.fitting.folder import WEIGHTS, Bundle, as_installed, read_bundle
from msbench.fitting.reader import Reader, Texts
from msbench.plugins.loading import load_plugins
from msbench.plugins.options import supplied
from msbench.plugins.registry import Registry
from msbench.plugins.state import kept_state
from msbench.run.phases import EVALUATION_BATCH
from msbench.run.trial import build_decoders, make_learner
from msbench.spec import Trial


def fitted(folder: str | PathLike[str], *, plugins: Sequence[str] = ()) -> "Fitted":
    """The model that `msbench fit` has left in a folder.

    plugins: files of plugins. RecordsError if there is none; MsbenchError if a part that it needs
    is not installed.
    """
    path = Path(folder)
    bundle, registry = read_bundle(path), load_plugins(dict.fromkeys(plugins))
    trial = as_installed(bundle.trial, registry)
    return Fitted(path, trial, _reader(bundle, trial, registry), registry)


class Fitted:
    """A trained model with the decoder that predicts."""

    def __init__(self, folder: Path, trial: Trial, reader: Reader, registry: Registry):
        self.folder, self._trial, self._reader, self._registry = folder, trial, reader, registry

    @property
    def kind(self) -> str:
        """`classify`, `tag`, `seq2seq` or `lm`."""
        return self._reader.facts.kind

    @property
    def pairs(self) -> bool:
        """Whether it reads pairs of texts."""
        return self._reader.facts.segments > 1

    @property
    def options(self) -> dict[str, Any]:
        """Of a task of one's own files, how these are written and what their columns are called."""
        return dict(self._trial.task.options) if self._trial.task.name == "files" else {}

    def predict(self, texts: Texts) -> list[Any]:
        """For each text its label (`classify`), its target text (`seq2seq`) or how it goes on
        (`lm`); for each list of words, or text of words and spaces, its tags (`tag`). Texts are
        pairs of texts where pairs are matched. The same texts give the same predictions.

        MsbenchError if the texts are of another form, or the weights of another model.
        """
        self._check(texts)
        if not texts:
            return []
        with self._state_kept():
            return self._predicted(texts)

    def _predicted(self, texts: Texts) -> list[Any]:
        task = self._reader.task(texts)
        learner = make_learner(self._trial, task, self._registry)
        learner.load(self.folder / WEIGHTS)
        decoder = build_decoders(self._trial.decoders, task, self._registry)[0]
        learner.mode(training=False)
        learner.reseed("decoding")
        found: dict[int, Any] = {}
        for batch in evaluation_batches(task.test, EVALUATION_BATCH):
            predicted = learner.predict(blind(batch), decoder.decode)
            found.update(zip(np.asarray(batch.rows).tolist(), predicted, strict=True))
        return self._reader.told([found[row] for row in range(len(texts))], task.test)

    @contextmanager
    def _state_kept(self) -> Iterator[None]:
        """Put back what learners set for a whole process, which is the caller's here: threads,
        generators of random numbers."""
        entry = self._registry.find("learner", self._trial.learner.name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PluginWarning)
            with kept_state(entry.plugin, "predicting", entry.shared):
                yield

    def _check(self, texts: Texts) -> None:
        pairs = [not isinstance(text, str) and len(text) == 2 for text in texts]
        if isinstance(texts, str):
            raise MsbenchError("predict takes a list of texts, not one text")
        if self.pairs and not all(pairs):
            raise MsbenchError("this model reads pairs of texts: (first, second) for each")
        if self.kind != "tag" and not self.pairs and not all(isinstance(t, str) for t in texts):
            raise MsbenchError("this model reads texts, one for each prediction")

    def __repr__(self) -> str:
        parts = (self._trial.model, self._trial.optimizer, *self._trial.decoders)
        names = ", ".join(part.label or part.name for part in parts)
        return f"<Fitted {self.kind} model of {self.folder}: {names}>"


def _reader(bundle: Bundle, trial: Trial, registry: Registry) -> Reader:
    """What reads texts: with the tokenizer that was learned, or the one that the model brings."""
    entry = registry.find("model", trial.model.name)
    brought: Tokenizer | None = None
    if entry.tokenizer and not bundle.tokenizer:
        brought = supplied(entry.load(entry.tokenizer), **trial.model.options)
    return Reader.of(bundle.facts, bundle.tokenizer, brought)
