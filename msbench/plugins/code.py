"""The code behind a part: what its results depend on besides its options and its data.

Of msbench the modules count that a part's own module imports, directly or not; of a plugin its
whole package, and the other packages of its distribution and loose files that it imports. What
they import from elsewhere counts by the version of its distribution. Nothing is executed to find
this out, and what was found out about a file is remembered.
"""

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msbench
from msbench.cache import recall, remember
from msbench.plugins.libraries import (
    distributions_of,
    is_standard,
    library_version,
    package_files,
)

COUNTED = ("msbench.builtin.", "msbench.data.", "msbench.run.")
"""The modules of msbench that make numbers; plans, records and tables have no part in them."""

NEUTRAL = {"click", "filelock", "platformdirs", "pydantic", "rich", "safetensors", "tqdm"}
"""Libraries that no number depends on."""

DIGITS = 10
"""Hexadecimal digits of a digest."""

PYTHON = f"code-{sys.version_info.major}.{sys.version_info.minor}"
"""Syntax trees are those of a Python version."""

FACTS = f"{PYTHON}-{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:DIGITS]}"
"""What is found out about a file depends on the code below, too."""


_found: dict[str, list[str]] = {}
"""What was found out about files, and is not on the disk yet."""


@dataclass(frozen=True)
class Code:
    """What some modules consist of."""

    digest: str
    libraries: Mapping[str, str]
    """Versions of what they import from elsewhere."""
    sources: Mapping[str, str]
    """Digests of the files that count, by names that are the same on every machine."""


@dataclass(frozen=True)
class Source:
    """One file."""

    digest: str
    """Of Python, without comments, docstrings and layout."""
    imports: tuple[str, ...] = ()
    """Full names of what it imports, from its own package only if they are written in full."""


def code_of(modules: Iterable[str], others: Iterable[str] = ()) -> Code:
    """The code behind these modules, of msbench or of plugins.

    others: packages that count like those that are imported, by their versions.
    """
    roots = {_counted(name) for name in modules}
    own = {each for name in roots for each in distributions_of(name) if not _is_ours(name)}
    digests, libraries = dict[str, str](), dict[str, str]()
    seen, waiting = {""}, roots | set(others)
    while unseen := waiting - seen:
        seen |= unseen
        waiting = set()
        for name in unseen:
            if (
                name in roots
                or _is_ours(name)
                or _is_loose(name)
                or own & {*distributions_of(name)}
            ):
                for label, path in _files(name).items():
                    source = read_source(path)
                    digests[label] = source.digest
                    waiting |= set(map(_counted, source.imports))
            elif version := _library(name):
                libraries[name] = version
    if _found:
        remember(FACTS, _found)
        _found.clear()
    import json  # late: msbench --help loads this file

    content = json.dumps([PYTHON, digests, libraries], sort_keys=True).encode()
    return Code(hashlib.sha256(content).hexdigest()[:DIGITS], libraries, digests)


def _is_ours(name: str) -> bool:
    return name.startswith("msbench.")


def _library(name: str) -> str:
    """The version of a library that numbers may depend on."""
    return "" if is_standard(name) or name in NEUTRAL else library_version(name)


def _is_loose(name: str) -> bool:
    """Whether a package that can be imported comes from no distribution, nor with Python."""
    return not is_standard(name) and not distributions_of(name) and bool(package_files(name))


def read_source(path: Path) -> Source:
    """What a file consists of; one that cannot be read has no content."""
    try:
        status = path.stat()
        return _read(path, status.st_mtime_ns, status.st_size)
    except OSError:
        return Source("")


@cache
def _read(path: Path, changed: int, size: int) -> Source:
    """The source of a file as it was when it had this size and was last changed."""
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    if path.suffix != ".py":
        return Source(sha256)
    known = recall(FACTS).get(sha256)
    if known is None:
        known = _found[sha256] = _parsed(content, sha256)
    digest, *imports = known
    return Source(digest, tuple(imports))


def _parsed(content: bytes, sha256: str) -> list[str]:
    """The digest of a Python file, and what it imports."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return [sha256]
    imports = sorted(set(_imports(tree)))
    try:
        digest = _digest(tree)
    except RecursionError:  # too deep to be written out
        digest = sha256
    return [digest, *imports]


def _digest(tree: ast.AST) -> str:
    """Of what is left without docstrings."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [each for each in body if not _is_text(each)]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_text(statement: ast.stmt) -> bool:
    """Whether it is a docstring, or any text that nobody uses."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _imports(tree: ast.AST) -> Iterator[str]:
    """Names that are imported anywhere but for type checking; `msbench.x` counts as one."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{each.name}" for each in node.names)
        elif isinstance(node, ast.Attribute) and _name(node.value) == "msbench":
            yield f"msbench.{node.attr}"
        skipped = isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING"
        waiting += node.orelse if skipped else ast.iter_child_nodes(node)  # type: ignore[attr-defined]


def _name(node: ast.expr) -> str:
    """Of a variable, or of an attribute of a module."""
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


@cache
def _counted(name: str) -> str:
    """The module of msbench, or the package of others, that a name is in; "" if none counts."""
    package, _, rest = name.partition(".")
    if package != "msbench":
        return package
    home = msbench._HOME.get(rest)
    steps = f"msbench.{home}".split(".") if home else name.split(".")
    while len(steps) > 1 and not _own_file(".".join(steps)):
        steps.pop()
    module = ".".join(steps)
    return module if f"{module}.".startswith(COUNTED) else ""


@cache
def _own_file(module: str) -> Path | None:
    """The file of a module of msbench."""
    base = Path(msbench.__file__).parent.joinpath(*module.split(".")[1:])
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


def _files(name: str) -> Mapping[str, Path]:
    """What counts of a module of msbench, or of a package of others."""
    if not name.startswith("msbench."):
        return package_files(name)
    path = _own_file(name)
    return {name: path} if path else {}
