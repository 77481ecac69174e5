"""Cases -> a file of pytest-benchmark's JSON, by running the suite in this process."""

import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from msbench.errors import MsbenchError
from msbench.microbench.cases import Case
from msbench.plugins.registry import Registry

SUITE = Path(__file__).with_name("parts.py")

PLAIN = (
    "-q",
    "--noconftest",
    "--capture=no",
    "-p",
    "no:cacheprovider",
    f"--rootdir={SUITE.parent}",
)
"""So that nothing which the user's own tests are set up with has a say."""


class Session:
    """A plugin of pytest that gives the suite its cases, and listens to what becomes of them."""

    def __init__(
        self,
        cases: Sequence[Case],
        registry: Registry,
        device: str = "cpu",
        progress: Callable[[str], Any] = lambda name: None,
    ):
        self._given: dict[str, list[Any]] = {"registry": [registry], "device": [device]}
        self._cases, self._device, self._progress = cases, device, progress
        self.skipped: dict[str, str] = {}
        """By case, why it cannot be run alone."""
        self.failed: dict[str, str] = {}
        """By case, the error."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Every case is a test."""
        for name, values in self._given.items():
            metafunc.parametrize(name, values, ids=[pytest.HIDDEN_PARAM])
        metafunc.parametrize("case", self._cases, ids=str)

    def pytest_benchmark_update_machine_info(self, config: Any, machine_info: Any) -> None:
        """Figures of another device are not compared with these."""
        machine_info["msbench"] = {"device": self._device}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember why a case has no figure."""
        name = report.nodeid.partition("[")[2].removesuffix("]")
        if report.when == "setup":
            self._progress(name)
        if report.skipped and isinstance(report.longrepr, tuple):
            self.skipped[name] = str(report.longrepr[2]).removeprefix("Skipped: ")
        elif report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            said = crash.message if crash else report.longreprtext
            self.failed[name] = next(iter(said.splitlines()), "")


def run_session(session: Session, file: Path, seconds: float) -> None:
    """Time every case for about so long and write the file, if there is anything to write;
    MsbenchError if pytest itself fails."""
    file.parent.mkdir(parents=True, exist_ok=True)
    words = [
        *("-c", os.devnull, *PLAIN, "-p", "pytest_benchmark.plugin", str(SUITE)),
        *(
            f"--benchmark-json={file}",
            f"--benchmark-max-time={seconds}",
            "--benchmark-min-rounds=5",
        ),
    ]
    said = io.StringIO()
    with _undisturbed(), redirect_stdout(said), redirect_stderr(said):
        code = pytest.main(words, plugins=[session])
    if file.is_file() and not file.stat().st_size:  # nothing could be timed
        file.unlink()
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise MsbenchError(f"pytest ended with code {code}: {said.getvalue().strip()}")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Without the plugins of pytest that happen to be installed, and without the user's options."""
    kept = {name: os.environ.pop(name, None) for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")}
    kept["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        yield
    finally:
        for name, value in kept.items():
            os.environ.pop(name, None)
            os.environ.update({name: value} if value is not None else {})
