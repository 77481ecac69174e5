"""Names, files and packages -> findings, by a process of its own that forks one for each part."""

from collections.abc import Iterator, Sequence

from msbench.checks.findings import Finding

LIMIT = 60.0
"""Seconds that one check may take."""


def findings_of(
    targets: Sequence[str],
    *,
    reference: str = "",
    limit: float = LIMIT,
    plugins: Sequence[str] = (),
) -> Iterator[Finding]:
    """Findings as they are made; MsbenchError if there is no such part, file or package."""
    raise NotImplementedError


def names_of(targets: Sequence[str], *, plugins: Sequence[str] = ()) -> list[str]:
    """The parts that the targets name, as targets themselves."""
    raise NotImplementedError
