"""Names, files and packages -> findings, by a process of its own that forks one for each part."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msbench.checks.findings import Finding
from msbench.errors import MsbenchError

LIMIT = 60.0
"""Seconds that one check may take."""


def findings_of(
    targets: Sequence[str],
    *,
    reference: str = "",
    limit: float = LIMIT,
    only: Sequence[str] = (),
    plugins: Sequence[str] = (),
) -> Iterator[Finding]:
    """Findings as they are made; MsbenchError if there is no such part, file or package.

    targets, reference, plugins: see `msbench.testing.check`. limit: seconds for one check. only:
    names of checks, if not all are wanted.
    """
    request = {
        "targets": [*targets],
        "plugins": [*plugins],
        "reference": reference,
        "limit": limit,
        "only": [*only],
    }
    for message in _answers(request):
        if "finding" in message:
            yield Finding(**message["finding"])


def names_of(targets: Sequence[str], *, plugins: Sequence[str] = ()) -> list[str]:
    """The parts that the targets name, as targets themselves."""
    request = {"targets": [*targets], "plugins": [*plugins], "only_names": True}
    names: list[str] = []
    for message in _answers(request):
        if "finding" in message and message["finding"]["verdict"] == "wrong":
            raise MsbenchError(message["finding"]["why"])
        if "part" in message:
            names.append(message["part"])
    return names


def _answers(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the server says; MsbenchError if a target is wrong, or the server is lost."""
    for each in (*request["targets"], *request["plugins"]):
        file = each.partition("::")[0]
        if file.endswith(".py") and not Path(file).is_file():
            raise MsbenchError(f"there is no file {file!r}")
    with _server(request) as lines:
        for line in lines:
            message = json.loads(line)
            if "error" in message:
                raise MsbenchError(message["error"])
            yield message


@contextmanager
def _server(request: dict[str, Any]) -> Iterator[Iterator[str]]:
    """A fresh interpreter that answers; it ends with the block."""
    path = os.pathsep.join(each or os.getcwd() for each in sys.path)  # noqa: PTH109
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "msbench.checks.server"],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(request))
        process.stdin.close()
        yield iter(process.stdout)
        if process.wait():
            raise MsbenchError(f"what runs the checks ended with exit code {process.returncode}")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
