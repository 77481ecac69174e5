"""Docstrings of Python libraries: the summary line from the text below it (PEP 257)."""

import ast
import re
import warnings
from collections.abc import Iterator

import msbench
from msbench import linked, passages, plain, rouge, take
from msbench.builtin.tasks.grouping import split_by
from msbench.builtin.tasks.sources import DOCUMENTED

_SECTION = re.compile(r"^[ \t]*([A-Z][\w /]*)\n[ \t]*[-=~]{3,}[ \t]*$", re.MULTILINE)
_PROSE = ("Explanation", "Notes")
_LISTS = re.compile(
    r"^\s*(Args|Arguments|Returns|Examples?|Raises|:\w+|@\w+|\.\. \w+|>>>)", re.MULTILINE
)


def docstrings(
    max_source: int = 48, max_target: int = 18, vocabulary: int = 2000, train_size: int = 0
) -> msbench.Task:
    """Summary lines (4 to 25 words) from at least 30 words of prose.

    Prose is the text before the first section and in sections called Explanation or Notes; lists of
    parameters, examples and the like are cut. Docstrings that share a summary, or ten consecutive
    words, are in one split. max_source, max_target: words that are read. vocabulary: words with a
    token of their own, and slots for the others (`msbench.summarization`). train_size: training
    docstrings, each size contained in the next; 0 = all.
    """

    def make() -> dict[str, object]:
        unique = dict(pair for source in DOCUMENTED for pair in _pairs(source))
        # Docstrings of similar functions often differ in a word or two.
        groups = linked([{plain(s), *passages(b)} for b, s in unique.items()])
        return {"body": list(unique), "summary": list(unique.values()), "group": groups}

    arrays = msbench.cached(["docstrings", 3, *(source.sha256 for source in DOCUMENTED)], make)
    pairs = list(zip(arrays["body"], arrays["summary"], strict=True))
    return msbench.summarization(
        take(split_by(arrays["group"].tolist(), pairs), train_size),
        score=rouge,
        metric="rougeL",
        max_source=max_source,
        max_target=max_target,
        vocabulary=vocabulary,
    )


def _pairs(source: msbench.Source) -> Iterator[tuple[str, str]]:
    with msbench.open_source(source) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".py") and "/test" not in name:
                with warnings.catch_warnings(action="ignore"):  # about invalid escapes
                    tree = ast.parse(archive.read(name))
                for node in ast.walk(tree):
                    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                        yield from _pair(ast.get_docstring(node) or "")


def _pair(docstring: str) -> Iterator[tuple[str, str]]:
    summary, _, body = docstring.partition("\n\n")
    first, *sections = _SECTION.split(body)
    kept = [
        text for title, text in zip(sections[::2], sections[1::2], strict=True) if title in _PROSE
    ]
    prose = " ".join(" ".join(_LISTS.split(text)[0] for text in (first, *kept)).split())
    summary = " ".join(summary.split())
    if 4 <= len(summary.split()) <= 25 and len(prose.split()) >= 30:
        yield prose, summary
