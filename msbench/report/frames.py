"""Rows as a pandas data frame, for notebooks and whatever `msbench compare` does not print."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msbench.compare.rows import Row

if TYPE_CHECKING:
    import pandas as pd


def frame(rows: Sequence[Row], notes: Sequence[str] = ()) -> "pd.DataFrame":
    """The rows with all their columns, unrounded; NaN is "not known". notes: `attrs["notes"]`."""
    import pandas as pd  # late: half a second that no command needs

    made = pd.DataFrame(list(rows))
    made.attrs["notes"] = list(notes)
    return made
