"""What records say, in Python: the answer, tables as data frames, a page, pictures, advice."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msbench.api.advice import Advice
from msbench.api.calling import as_a_program
from msbench.api.reading import Remarks, licences
from msbench.api.sources import Kept, Source
from msbench.api.trials import trial_rows
from msbench.claims.recommend import budget as parse_budget
from msbench.claims.recommend import recommend
from msbench.compare.rows import Comparison, Row
from msbench.fitting.fit import fit
from msbench.fitting.model import Fitted
from msbench.fitting.recipe import find_recipe
from msbench.plugins.loading import load_plugins
from msbench.report.answer import answer
from msbench.report.findings import contests
from msbench.report.format import varies
from msbench.report.fragment import fragment
from msbench.report.frames import frame
from msbench.report.legend import legend
from msbench.report.page import report
from msbench.report.plots import PLOTS, picture
from msbench.report.plots.svg import Picture
from msbench.report.tables import tables
from msbench.spec import COMPARED, Unit

if TYPE_CHECKING:
    import pandas as pd

GO_ON = (
    "The numbers:   results.verdicts, results.accuracy, results.training, ...",
    'All on a page: results.report("report.html")',
    "For a budget:  results.recommend()",
)
"""How to go on from the answer."""

VERDICT = ("metric", "mean", "difference", "difference_low", "difference_high", "verdict")
"""What a verdict says, besides what it is of and how many seeds there are."""

CURVE = ("passes", "steps", "seconds", "validation_loss", "lowest", "highest")
"""Columns of a curve that have a value for each of its points."""


def results(*names: str | PathLike[str], **asked: Any) -> "Results":
    """Results that are kept: a folder or file of records, or the name of a suite; of several,
    trials stand together.

    asked: as in `Results.compare`. Raises MsbenchError as `msbench compare` does, when something is
    first read.
    """
    return Results(Kept([fspath(name) for name in names]), asked)


class Results:
    """What records say, and how sure that is: exactly what the command line says of them.

    `str()` is the answer, as `msbench compare` prints it; a notebook shows it with the tables below
    it. Every table is a pandas data frame with the columns of docs/compare.md, unrounded, NaN for
    "not known"; what is printed below tables is in `attrs["notes"]`. Tables without rows are empty.
    """

    def __init__(self, source: Source, asked: Mapping[str, Any]):
        self._source, self._asked = source, asked
        self._remarks = Remarks()

    def compare(self, **asked: Any) -> "Results":
        """The same results, asked otherwise.

        by, baseline, metric, target, margin: as in `msbench compare`. tasks, models, optimizers:
        these alone. seeds: of these alone, and then nothing decides.
        """
        return Results(self._source, {**self._asked, **asked})

    def recommend(self, budget: str = "", *, task: str = "", metric: str = "") -> Advice:
        """What to use where training may cost so much: `"500passes"`, `"200steps"`, `"60s"` or
        `"1e12flops"`; without a budget, as much as the longest trial took."""
        unit, amount = parse_budget(budget or whole_budget(self.comparison))
        records, question = self._source.records(Remarks()), self._source.question
        return Advice(recommend(records, unit, amount, task=task, metric=metric, question=question))

    def fit(
        self,
        folder: str | PathLike[str],
        *,
        task: str = "",
        model: str = "",
        optimizer: str = "",
        decoder: str = "",
        keep_test: bool = False,
        plugins: Sequence[str] = (),
    ) -> Fitted:
        """Train what is recommended on all data, and keep it in a new folder, as `msbench fit`
        does. plugins: files of plugins."""
        registry = load_plugins(dict.fromkeys(plugins))
        recipe = find_recipe(
            self._source.records(Remarks()),
            self._source.question,
            registry,
            task=task,
            model=model,
            optimizer=optimizer,
            decoder=decoder,
        )
        with as_a_program():
            return fit(recipe, registry, Path(folder), keep_test=keep_test)

    def report(self, path: str | PathLike[str] = "report.html") -> Path:
        """Write the page that `msbench report` writes."""
        page = report(
            self.comparison,
            title=self._source.name,
            problems=self._remarks.problems,
            unsealed=self._remarks.unsealed,
            licences=licences(self.comparison, load_plugins()),
        )
        Path(path).write_text(page, encoding="utf-8")
        return Path(path)

    def plot(self, kind: str = "verdicts", *, along: Unit = "passes") -> Picture:
        """A picture, which a notebook shows: those of `msbench plot --kind`."""
        return picture(self.comparison, PLOTS[kind], (), along)

    @cached_property
    def comparison(self) -> Comparison:
        """All of it as plain rows, as `msbench compare --format json` prints them."""
        return self._source.comparison(self._remarks, self._asked)

    @property
    def problems(self) -> Sequence[str]:
        """A sentence for every line of the records that could not be read."""
        return [*self._remarks.problems] if self.comparison else []

    @property
    def verdicts(self) -> "pd.DataFrame":
        """What the answer says: per task and strategy its difference to the baseline, with a 95 %
        interval, the verdict, and how many seeds would decide it. `decides`: whether it answers the
        question that was declared."""
        rows: list[Row] = [row for group in contests(self.comparison) for row in group]
        by = self.comparison.by
        axes = ("task", *(axis for axis in COMPARED if axis == by or varies(rows, axis)))
        columns = (*axes, *VERDICT, "n", "n_ok", "seeds_needed", "margin", "decides")
        return self._frame([{name: row[name] for name in columns} for row in rows])

    @property
    def accuracy(self) -> "pd.DataFrame":
        """Per task, strategy, decoder and metric: scores, differences, verdicts, costs."""
        return self._frame(self.comparison.accuracy)

    @property
    def yardsticks(self) -> "pd.DataFrame":
        """What yardsticks scored."""
        return self._frame(self.comparison.yardsticks)

    @property
    def against(self) -> "pd.DataFrame":
        """Every strategy against every yardstick."""
        return self._frame(self.comparison.against)

    @property
    def training(self) -> "pd.DataFrame":
        """What training took."""
        return self._frame(self.comparison.training)

    @property
    def targets(self) -> "pd.DataFrame":
        """What it took to reach a validation loss."""
        return self._frame(self.comparison.targets)

    @property
    def decoding(self) -> "pd.DataFrame":
        """What predicting took and gave."""
        return self._frame(self.comparison.decoding)

    @property
    def throughput(self) -> "pd.DataFrame":
        """Speeds measured alone, and their ratios to the baseline's."""
        return self._frame(self.comparison.throughput)

    @property
    def tuning(self) -> "pd.DataFrame":
        """How searches ended."""
        return self._frame(self.comparison.tuning)

    @property
    def ranks(self) -> "pd.DataFrame":
        """Average ranks over tasks."""
        return self._frame(self.comparison.ranks)

    @property
    def profiles(self) -> "pd.DataFrame":
        """Shares of problems that were solved within a multiple of the baseline's cost."""
        return self._frame(self.comparison.profiles)

    @property
    def curves(self) -> "pd.DataFrame":
        """A row for every point of every learning curve: the median over seeds, the lowest and the
        highest validation loss."""
        rows: list[Row] = [
            {**row, **{name: row[name][point] for name in CURVE}}  # type: ignore[literal-required]
            for row in self.comparison.curves
            for point in range(len(row["passes"]))
        ]
        return self._frame(rows)

    @property
    def failures(self) -> "pd.DataFrame":
        """What did not end ok, and why."""
        return self._frame(self.comparison.failures)

    @property
    def trials(self) -> "pd.DataFrame":
        """A row for every trained trial and decoder: what it is of, how it ended, what it cost, and
        every metric in a column of its own."""
        return self._frame(trial_rows(self._source.records(Remarks())))

    def __str__(self) -> str:
        return "\n".join(answer(self.comparison, GO_ON))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        found = self.comparison
        shown = [(table.title, table.cells) for table in tables(found)]
        return fragment(answer(found, GO_ON), shown, legend(found))

    def _frame(self, rows: Sequence[Row]) -> "pd.DataFrame":
        return frame(rows, self.comparison.notes)


def whole_budget(comparison: Comparison) -> str:
    """As many passes as the longest trial took."""
    passes = [row["passes"] for row in comparison.accuracy if row["passes"] > 0]
    return f"{max(passes, default=100):.0f}passes"
