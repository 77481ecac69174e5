"""A recommendation in Python: sentences, and the evidence as data frames."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msbench.claims.results import Recommendation
from msbench.report.advice import advice_first, advice_reasons, advice_tables
from msbench.report.fragment import fragment
from msbench.report.frames import frame
from msbench.report.render import rendered

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Advice:
    """What to use at a budget; `str()` is what `msbench recommend` prints."""

    found: Recommendation

    @property
    def evidence(self) -> "pd.DataFrame":
        """The strategies of every task, best first, with the columns of docs/claims.md."""
        return frame(self.found.rows, self.found.notes)

    def __str__(self) -> str:
        found = self.found
        shown, reasons = advice_tables(found), advice_reasons(found)
        return rendered(found, found.rows, shown, reasons, first=advice_first(found))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        found = self.found
        return fragment(advice_first(found), advice_tables(found), advice_reasons(found))
