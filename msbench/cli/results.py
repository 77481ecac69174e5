"""Reading records for a command."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msbench.cli.output import say_skipped

if TYPE_CHECKING:
    from msbench.compare.rows import Comparison
    from msbench.records.record import Record


@contextmanager
def stream_records(results: str, problems: list[str]) -> Iterator["Iterator[Record]"]:
    """The records of a folder, a file or a suite's name, as they are read.

    A sentence for every line that was skipped is added to `problems`, and printed at the end.
    """
    from msbench.records.store import find_results, stream

    try:
        yield stream(find_results(results), problems)
    finally:
        say_skipped(problems)


def compare_results(results: str, **options: Any) -> "tuple[Comparison, list[str]]":
    """The comparison, and a sentence for every line of the records that was skipped.

    options: those of `comparison_options`.
    """
    from msbench.compare.comparison import compare

    problems: list[str] = []
    with stream_records(results, problems) as records:
        return compare(records, **options), problems
