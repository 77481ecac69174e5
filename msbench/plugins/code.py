"""The code behind a part: what its results depend on besides its options and its data.

Of msbench the modules count that a part's own module imports, directly or not; of a plugin its
whole package. What both import from elsewhere counts by the version of its distribution. Nothing
is executed to find this out, and what was found out about a file is remembered.
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
from msbench.plugins.libraries import is_standard, library_version, package_files

COUNTED = ("msbench.builtin.", "msbench.data.", "msbench.run.")
"""The modules of msbench that make numbers; plans, records and tables have no part in them."""

NEUTRAL = {"click", "filelock", "platformdirs", "pydantic", "rich", "safetensors", "tqdm"}
"""Libraries that no number depends on."""

DIGITS = 10
"""Hexadecimal digits of a digest."""

FACTS = f"code-{sys.version_info.major}.{sys.version_info.minor}"
"""Syntax trees are those of a Python version."""


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
    todo = sorted({_counted(name) for name in modules} - {""})
    packages = {name for name in todo if not name.startswith("msbench.")}
    seen, digests, imported = set[str](), dict[str, str](), set(others)
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        for label, path in _files(name).items():
            source = read_source(path)
            digests[label] = source.digest
            todo += [each for each in map(_counted, source.imports) if each.startswith("msbench.")]
            imported |= {each.partition(".")[0] for each in source.imports}
    libraries = _versions(imported - packages - {"msbench"})
    if _found:
        remember(FACTS, _found)
        _found.clear()
    import json  # late: msbench --help loads this file

    content = json.dumps([FACTS, digests, libraries], sort_keys=True).encode()
    return Code(hashlib.sha256(content).hexdigest()[:DIGITS], libraries, digests)


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
    except (SyntaxError, ValueError):
        return [sha256]
    imports = sorted(set(_imports(tree)))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [each for each in body if not _is_text(each)]  # type: ignore[attr-defined]
    return [hashlib.sha256(ast.dump(tree).encode()).hexdigest(), *imports]


def _is_text(statement: ast.stmt) -> bool:
    """Whether it is a docstring, or any text that nobody uses."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _imports(node: ast.AST) -> Iterator[str]:
    """Names that are imported anywhere but for type checking; `msbench.x` counts as one."""
    if isinstance(node, ast.Import):
        yield from (each.name for each in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        yield from (f"{node.module}.{each.name}" for each in node.names)
    elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "msbench":
        yield f"msbench.{node.attr}"
    skipped = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    for each in node.orelse if skipped else ast.iter_child_nodes(node):  # type: ignore[attr-defined]
        yield from _imports(each)


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


def _versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of distributions; of what comes from none, the digest of its files."""
    versions = {}
    for name in sorted(packages):
        if is_standard(name) or name in NEUTRAL:
            continue
        found = library_version(name)
        if not found and (files := package_files(name)):
            texts = [f"{label} {read_source(path).digest}" for label, path in sorted(files.items())]
            found = "sha256:" + hashlib.sha256("\n".join(texts).encode()).hexdigest()[:DIGITS]
        if found:
            versions[name] = found
    return versions
