"""Reads a suite, results, weights and a cache and makes all outputs, under Python's audit hooks.

Run as a program: `audited.py KNOWN UNKNOWN`, two folders of the same files. What happens with the
known ones may happen with the unknown ones; every other event of those below is printed, before an
empty line. Behind it are those of tricks that do such things on purpose.
"""

import contextlib
import os
import pickle
import socket
import sys
from pathlib import Path
from typing import Any

from msbench.claims.assess import claims
from msbench.claims.recommend import recommend
from msbench.compare.comparison import compare
from msbench.data.cache import cached
from msbench.errors import MsbenchError
from msbench.plan.suite import load_suite
from msbench.records.store import read
from msbench.report.page import report
from msbench.report.render import render
from msbench.run.weights import check_weights
from msbench.spec import FORMATS

FORBIDDEN = (
    *("exec", "import", "pickle.", "marshal.", "shelve.", "ctypes.", "code."),
    *(
        "subprocess.",
        "os.system",
        "os.exec",
        "os.spawn",
        "os.posix_spawn",
        "os.fork",
        "os.startfile",
    ),
    *("socket.", "urllib.", "http.", "ftplib.", "smtplib.", "webbrowser."),
)
"""Parsing text as a syntax tree ("compile") is not among them: numpy reads the shape of an array
so, and nothing runs before "exec"."""

TRICKS = (
    lambda: exec("1 + 1"),
    lambda: __import__("this_is_no_module"),
    lambda: pickle.loads(pickle.dumps(Path())),
    lambda: os.system("true"),
    lambda: socket.socket().connect(("127.0.0.1", 9)),
)

seen: set[tuple[str, Any]] = set()
strange: list[str] = []
strict = False


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what happens; of code, which one."""
    if not event.startswith(FORBIDDEN):
        return
    first = arguments[0] if arguments else None
    try:
        entry = event, hash(first) and first
    except TypeError:
        entry = event, repr(first)
    if not strict:
        seen.add(entry)
    elif entry not in seen:
        strange.append(f"{event} {arguments!r:.200}")


def use_all(folder: Path) -> None:
    """All that is read, and all that is made of it; wrong data is refused, by our own errors."""
    os.environ["MSBENCH_CACHE"] = str(folder)
    with contextlib.suppress(MsbenchError):
        load_suite(str(folder / "suite.toml"))
    records = read(folder).records
    comparison = compare(records)
    for style in FORMATS:
        render(comparison, style)
    claims(records, {("optimizer", "sam"): ("passes", "adamw")})
    recommend(records, "passes", 200)
    (folder / "page.html").write_text(report(comparison))
    for weights in folder.glob("*.safetensors"):
        with contextlib.suppress(MsbenchError):
            check_weights(weights)
    cached("key", lambda: {"ids": [1]})


sys.addaudithook(watch)
use_all(Path(sys.argv[1]))
strict = True
use_all(Path(sys.argv[2]))
strange.append("")
for trick in TRICKS:
    with contextlib.suppress(Exception):
        trick()
strict = False
print("\n".join(strange))
