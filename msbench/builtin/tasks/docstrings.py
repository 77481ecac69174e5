"""Docstrings of Python libraries: the summary line from the text below it (PEP 257)."""

import ast
import re
from collections.abc import Iterator

import msbench
from msbench import rouge, split, take
from msbench.builtin.tasks.sources import NETWORKX, SYMPY

_SECTION = re.compile(r"^\s*[A-Z][\w ]*\n\s*[-=~]{3,}\s*$", re.MULTILINE)


def docstrings(
    max_source: int = 64, max_target: int = 24, vocabulary: int = 3000, train_size: int = 0
) -> msbench.Task:
    """Summary lines (4 to 25 words) from at least 30 words of prose; numpydoc sections are cut.

    max_source, max_target: tokens that are read. train_size: training docstrings, each size
    contained in the next; 0 = all.
    """

    def make() -> dict[str, object]:
        pairs = [pair for source in (NETWORKX, SYMPY) for pair in _pairs(source)]
        unique = dict(pairs)
        return {"body": list(unique), "summary": list(unique.values())}

    arrays = msbench.cached(["docstrings", 1, NETWORKX.sha256, SYMPY.sha256], make)
    pairs = list(zip(arrays["body"].tolist(), arrays["summary"].tolist(), strict=True))
    return msbench.translation(
        # Two functions with one summary are often one text in two places.
        take(split(pairs, group=lambda pair: pair[1]), train_size),
        score=rouge,
        metric="rougeL",
        max_source=max_source,
        max_target=max_target,
        vocabulary=vocabulary,
    )


def _pairs(source: msbench.Source) -> Iterator[tuple[str, str]]:
    with msbench.open_source(source) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".py") and "/tests/" not in name:
                for node in ast.walk(ast.parse(archive.read(name))):
                    if isinstance(node, ast.FunctionDef | ast.ClassDef):
                        yield from _pair(ast.get_docstring(node) or "")


def _pair(docstring: str) -> Iterator[tuple[str, str]]:
    summary, _, body = docstring.partition("\n\n")
    prose = " ".join(_SECTION.split(body)[0].split())
    summary = " ".join(summary.split())
    if 4 <= len(summary.split()) <= 25 and len(prose.split()) >= 30:
        yield prose, summary
