"""Plugins that break, lie about their names, or change the process that imports them."""

import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from msbench.cli import inputs
from msbench.cli.app import main
from msbench.errors import PluginWarning
from msbench.plugins.first_load import LIMIT_VARIABLE
from msbench.plugins.loading import load_plugins
from msbench.plugins.state import STANDARD
from msbench.run.job import run_job
from msbench.spec import Trial

REGISTERS = """
import msbench

@msbench.hookimpl
def register_schedules(register):
    register("{name}", schedule)

def schedule():
    return lambda spent: 1.0
"""

BROKEN = {
    "loops": ("while True: pass", "did not end within"),
    "forks and sleeps": (
        "import os, time\nif os.fork() == 0: time.sleep(600)\ntime.sleep(600)",
        "did not end within",
    ),
    "import error": ("import no_such_module", "No module named 'no_such_module'"),
    "syntax error": ("def f(:", "SyntaxError"),
    "raises": ("raise RuntimeError('not today')", "RuntimeError: not today"),
    "SystemExit": ("raise SystemExit(3)", "SystemExit: 3"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", "ended the process"),
    "os._exit(0)": ("import os; os._exit(0)", "ended the process with exit code 0"),
    "os._exit(7)": ("import os; os._exit(7)", "ended the process with exit code 7"),
    "SIGKILL": ("import os; os.kill(os.getpid(), 9)", "ended the process with exit code -9"),
    "SIGSEGV": ("import os; os.kill(os.getpid(), 11)", "ended the process with exit code -11"),
    "sleeps": ("import time; time.sleep(600)", "did not end within"),
    "no hooks": ("x = 1", "registers nothing"),
    "a name of ours": (REGISTERS.format(name="cosine"), "two plugins claim schedule 'cosine'"),
    "a name of another's": (REGISTERS.format(name="twin"), "two plugins claim schedule 'twin'"),
    "a bad setting": (
        REGISTERS.format(name="set").replace("schedule)", "schedule, settings={'x': 5})"),
        "setting 'x' is a pair of functions",
    ),
    "a setting of ours": (
        REGISTERS.format(name="set").replace(
            "schedule)", "schedule, settings={'sys.path': (list, list)})"
        ),
        "setting 'sys.path' has the name of one that msbench keeps itself",
    ),
    "the same name": (REGISTERS.format(name="twin"), "two plugins claim schedule 'twin'"),
}
"""What is wrong -> the code of the plugin, and what the reason says."""

CHANGES = {
    "torch's default dtype": "import torch; torch.set_default_dtype(torch.float64)",
    "torch's default device": "import torch; torch.set_default_device('meta')",
    "torch's threads": "import torch; torch.set_num_threads(2)",
    "whether torch keeps gradients": "import torch; torch.set_grad_enabled(False)",
    "torch's anomaly detection": "import torch; torch.autograd.set_detect_anomaly(True)",
    "torch's deterministic": "import torch; torch.use_deterministic_algorithms(True)",
    "torch's precision": "import torch; torch.set_float32_matmul_precision('medium')",
    "torch's treatment of denormal": "import torch; torch.set_flush_denormal(True)",
    "torch's use of oneDNN": "import torch; torch.backends.mkldnn.set_flags(False)",
    "torch's autocast (cpu)": "import torch; torch.set_autocast_enabled('cpu', True)",
    "torch's kernels of attention (flash)": "import torch\n"
    "torch.backends.cuda.enable_flash_sdp(False)",
    "torch's hooks of all modules": "import torch\n"
    "torch.nn.modules.module.register_module_forward_hook(lambda *_: None)",
    "torch's use of cuDNN": "import torch; torch.backends.cudnn.benchmark = True",
    "environment variables (OMP_NUM_THREADS)": "import os; os.environ['OMP_NUM_THREADS'] = '9'",
    "environment variables (HOME)": "import os; del os.environ['HOME']",
    "the working folder": "import os; os.chdir('/')",
    "sys.path": "import sys; sys.path.insert(0, '/nowhere')",
    "standard streams": "import sys, io; sys.stderr = io.StringIO()",
    "signal handlers": "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "faulthandler": "import faulthandler\n"
    "faulthandler.disable() if faulthandler.is_enabled() else faulthandler.enable()",
    "the locale": "import locale\n"
    "locale.setlocale(locale.LC_ALL, 'C' if locale.setlocale(locale.LC_ALL) != 'C' else 'C.UTF-8')",
    "decimal arithmetic": "import decimal; decimal.getcontext().prec = 5",
    "the recursion limit": "import sys; sys.setrecursionlimit(5000)",
    "garbage collection": "import gc; gc.disable()",
    "logging": "import logging; logging.getLogger().setLevel(1)",
    "numpy's error handling": "import numpy; numpy.seterr(all='raise')",
    "": "import random, numpy, torch, warnings\n"
    "random.seed(1); numpy.random.seed(1); torch.manual_seed(1); warnings.simplefilter('error')",
}
"""What a warning names -> the code that changes it. Seeds and filters are put back in silence:
honest libraries change them, too."""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Installs a distribution of one module with an entry point of msbench."""
    monkeypatch.setenv("MSBENCH_CACHE", str(tmp_path / "cache"))
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    modules = []

    def install(name: str, code: str) -> None:
        module = name.replace("-", "_")
        modules.append(module)
        (site / f"{module}.py").write_text(code)
        about = site / f"{module}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[msbench]\n{name} = {module}\n")

    inputs._allowed.cache_clear()
    yield install
    inputs._allowed.cache_clear()
    for module in modules:
        sys.modules.pop(module, None)


def losses(trial: Trial) -> Any:
    """What must not depend on what is installed."""
    made = run_job(trial)
    assert made.status == "ok", made.reason
    curve = [point["validation_loss"] for point in made.results["training"]["curve"]]
    return curve, [each["metrics"] for each in made.results["decoding"]]


@pytest.mark.attack("R12", "installed plugins that break, hang, end the process or claim a name")
def test_broken_plugins_are_named_and_others_work(
    attack: Any,
    install: Callable[..., None],
    trials: list[Trial],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, "10")
    tried = dict([*BROKEN.items()][attack.times(2, 0) :])  # each of the first waits for the limit
    for number, (code, _) in enumerate(tried.values()):
        install(f"msbench-broken-{number}", code)
    helper = "import subprocess, sys\nsubprocess.Popen(['sleep', '600'])\n"
    install("msbench-good", helper + REGISTERS.format(name="good"))
    before = losses(trials[0])
    registry = load_plugins()
    for number, (what, (_, reason)) in enumerate(tried.items()):
        with attack.case(what):
            assert reason in registry.broken.pop(f"msbench-broken-{number}")
    with attack.case("others unaffected"):
        assert not registry.broken
        assert registry.find("schedule", "good").plugin == "msbench-good"
        assert registry.find("schedule", "cosine").plugin == "msbench"
        assert losses(trials[0]) == before
    with attack.case("named, with how to leave it out; remembered, so that listing does not wait"):
        listed = CliRunner().invoke(main, ["list", "schedules"])
        assert listed.exit_code == 0, listed.output
        assert "good" in listed.stdout
        assert "pip uninstall msbench-broken-9, MSBENCH_PLUGINS" in listed.stderr


@pytest.mark.attack("R12", "plugins that change the state of the process when imported or called")
def test_what_plugins_change_is_put_back(
    attack: Any,
    install: Callable[..., None],
    write_plugin: Callable[..., str],
    trials: list[Trial],
) -> None:
    before = losses(trials[0])
    settings = {**STANDARD, **next(iter(load_plugins().entries.values())).shared}

    def state() -> dict[str, Any]:
        return {name: read() for name, (read, _) in settings.items()}

    for number, (named, code) in enumerate(CHANGES.items()):
        text = REGISTERS.format(name=f"changer-{number}")
        body = code.replace("\n", "\n    ")
        called = text.replace("schedule():\n", f"schedule():\n    {body}\n")
        for when, plugin in (("imported", code + "\n" + text), ("called", called)):
            with attack.case(f"{named}, {when}"):
                file = write_plugin(plugin, f"changer{number}{when}.py")
                start = state()
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    filters = list(warnings.filters)
                    registry = load_plugins([file])
                    if when == "called":
                        choice = registry.find("schedule", f"changer-{number}")
                        part = replace(
                            trials[0].schedule, name=choice.name, options={}, plugin=choice.plugin
                        )
                        registry.build("schedule", part)()
                    assert warnings.filters == filters
                assert state() == start
                said = [str(w.message) for w in caught if w.category is PluginWarning]
                assert [named in each and f"changer{number}" in each for each in said] == [True] * (
                    named != ""
                )
    every = "\n".join(code for name, code in CHANGES.items() if name != "standard streams")
    install("msbench-changer", every + REGISTERS.format(name="changer"))
    with attack.case("an installed plugin that nobody uses changes no loss"):
        with pytest.warns(PluginWarning, match="msbench-changer.*torch's default dtype"):
            assert not load_plugins().broken
        assert losses(trials[0]) == before
    install("msbench-printer", "print('hello')" + REGISTERS.format(name="printer"))
    with attack.case("what a plugin prints is named, and not in the output"):
        listed = CliRunner().invoke(main, ["list", "--format", "json"])
        assert listed.stdout.startswith("[")
        assert "plugin msbench-printer: importing it printed 'hello'" in listed.stderr
