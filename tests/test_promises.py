"""What SECURITY.md promises: data never runs, nothing is sent, secrets are not recorded."""

import ast
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from hostile import HOSTILE, hostile_records
from lxml import html

import msbench
from msbench.errors import SuiteError
from msbench.plan.suite import load_suite
from msbench.plan.trials import plan
from msbench.plugins.registry import Registry

ROOT = Path(msbench.__file__).parent

FORBIDDEN_CALLS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("eval", "exec", "compile", "__import__", "execfile", "input"), ()),
    **dict.fromkeys(("os.system", "os.popen", "torch.load", "torch.hub.load"), ()),
    "np.load": ("compare/stored.py",),  # without pickle, of what a digest stands behind
    **dict.fromkeys(("np.save", "pandas.read_pickle", "joblib.load", "yaml.load"), ()),
    "exec_module": ("plugins/loading.py",),
    "import_module": (
        *("__init__.py", "plugins/registry.py", "report/plots/__init__.py"),
        "run/preloaded.py",  # modules of registered parts, by name from the driver
        *("checks/parts.py", "checks/server.py"),  # our own, and those that learners preload
        "checks/reference.py",  # what the author of a plugin names on the command line
    ),
    "subprocess.Popen": (
        "data/download.py",
        "plugins/first_load.py",  # msbench itself, to try an installed plugin
        *("checks/run.py", "checks/task.py"),  # msbench itself, to check one
    ),
    "print": (
        *("checks/server.py", "checks/task.py"),  # to the process that asked
        "run/checkpoint.py",  # to what is kept of a trial's errors
    ),
}
"""Calls that no file may make but those named."""

FORBIDDEN_MODULES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml"), ()),
    **dict.fromkeys(("code", "codeop", "dbm", "xmlrpc", "pty"), ()),
    "runpy": ("plugins/first_load.py",),  # a file that is named with --plugin
    **dict.fromkeys(("urllib", "http", "requests", "httpx", "ftplib", "smtplib", "webbrowser"), ()),
    "subprocess": (
        "data/download.py",
        "plugins/first_load.py",
        *("checks/run.py", "checks/task.py"),
        "run/gpus.py",  # nvidia-smi, and nothing that a suite says
    ),
}
"""Modules that no file may import but those named."""


def called(node: ast.AST) -> str:
    """The name that is called, as it is written; of a method on something else its last part."""
    if not isinstance(node, ast.Call):
        return ""
    text = ast.unparse(node.func)
    return text if text in FORBIDDEN_CALLS else text.rpartition(".")[2] if "_module" in text else ""


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    return [(node.module or "").partition(".")[0]] if isinstance(node, ast.ImportFrom) else []


def strange_code(source: str, file: str) -> Iterator[str]:
    """What a file does that it may not."""
    for node in ast.walk(ast.parse(source)):
        if (name := called(node)) in FORBIDDEN_CALLS and file not in FORBIDDEN_CALLS[name]:
            yield f"{file}:{node.lineno}: {name}"  # type: ignore[attr-defined]
        for module in imported(node):
            if module in FORBIDDEN_MODULES and file not in FORBIDDEN_MODULES[module]:
                yield f"{file}:{node.lineno}: {module}"  # type: ignore[attr-defined]


def test_the_source_runs_no_data() -> None:
    files = {str(p.relative_to(ROOT)): p.read_text() for p in ROOT.rglob("*.py")}
    assert len(files) > 100
    assert [each for file, text in files.items() for each in strange_code(text, file)] == []
    wrong = (
        "import pickle.x\nfrom yaml import y\neval(z)\ntorch.load(f)\nmodel.eval()\nre.compile(x)"
    )
    assert [each.split(": ")[1] for each in strange_code(wrong, "x.py")] == [
        *("pickle", "yaml", "eval", "torch.load")
    ]


class Trap:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch pwned",)


CODE = [
    "__import__('os').system('touch pwned')",
    "!!python/object/apply:os.system ['touch pwned']",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}{% include '/etc/passwd' %}",
    "$(touch pwned)`touch pwned`;touch pwned",
    "\\immediate\\write18{touch pwned}",
    "os:system",
    "<?php system('touch pwned') ?>",
]


def write_all(folder: Path, names: list[str], trap: bool) -> Path:
    """A suite, results, weights and a cache; all of them with code in them if they are a trap."""
    (folder / "prepared").mkdir(parents=True)
    text = json.dumps(names[0])
    kinds = ("task", "model", "optimizer", "decoder")
    (folder / "suite.toml").write_text(
        f"description = {text}\nbaseline = {text}\n"
        + "".join(f"[[{kind}]]\nname = {text}\n" for kind in kinds)
    )
    records = hostile_records(names)
    (folder / "trials.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records))
    array = io.BytesIO()
    np.save(array, np.array([Trap() if trap else 1], dtype=object if trap else int))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("ids.npy", array.getvalue())
    digest = sha256(buffer.getvalue()).digest()
    key = sha256(b'"key"').hexdigest()[:24]
    (folder / f"prepared/{key}.npz").write_bytes(buffer.getvalue() + digest)
    (folder / "w.safetensors").write_bytes(pickle.dumps(Trap()) if trap else b"no weights")
    return folder


def test_data_never_runs(tmp_path: Path) -> None:
    """Suites, results, weights and caches that are full of code do nothing that tame ones do not:
    no code is run, nothing imported, unpickled, started or connected to."""
    tame = [f"name {number}" for number in range(25)]
    known = write_all(tmp_path / "known", tame, trap=False)
    unknown = write_all(tmp_path / "unknown", [*CODE, *HOSTILE][:25], trap=True)
    command = [sys.executable, Path(__file__).parent / "audited.py", known, unknown]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("pwned"))
    strange, tricks = done.stdout.split("\n\n") if done.stdout[0] != "\n" else ("", done.stdout)
    assert strange == ""
    for event in ("exec", "import", "pickle.find_class", "os.system", "socket.connect"):
        assert f"\n{event} " in f"\n{tricks}", event


def test_a_suite_cannot_name_code(tmp_path: Path, registry: Registry) -> None:
    """Parts are names of what is registered: no module, file or attribute."""
    (tmp_path / "evil.py").write_text("raise SystemExit('run')")
    for name in ("os:system", "evil", "evil.py", "evil:x", str(tmp_path / "evil.py")):
        part = f"name = {json.dumps(name)}"
        path = tmp_path / "s.toml"
        kinds = ("task", "model", "optimizer", "decoder", "loss", "schedule")
        path.write_text(
            "\n".join(f"[[{kind}]]\n{part}" for kind in kinds) + f"\n[launcher]\n{part}"
        )
        with pytest.raises(SuiteError, match="unknown launcher") as caught:
            plan(load_suite(str(path)), registry, (), lambda part: "data")
        assert len(caught.value.problems) == 7


SPY = """
import os, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.bind"):
        address = arguments[1] if event in ("socket.connect", "socket.bind") else arguments
        if isinstance(address, tuple):  # of the local sockets between processes it is a path
            with open(os.environ["SPY_LOG"], "a") as log:
                log.write(f"{os.getpid()} {event} {address}\\n")

sys.addaudithook(watch)
"""

FAILS = """
import os
import msbench

@msbench.hookimpl
def register_optimizers(register):
    register("fails", fails)

def fails(model, lr=0.1):
    raise RuntimeError(f"no luck among {len(os.environ)} variables")
"""


def test_a_run_sends_nothing_and_records_no_secret(
    write_suite: Callable[..., Path],
    write_plugin: Callable[..., str],
    program: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In every process of a run whose data is there, of trials that fail, too."""
    log = tmp_path / "spy.log"
    (tmp_path / "spy").mkdir()
    (tmp_path / "spy/sitecustomize.py").write_text(SPY)
    monkeypatch.setenv("SPY_LOG", str(log))
    monkeypatch.setenv(
        "PYTHONPATH", f"{tmp_path / 'spy'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    )
    tokens = [f"hunter2-{number:02}-correct-horse" for number in range(20)]
    for number, token in enumerate(tokens):
        names = ("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "GITHUB_TOKEN", "PIP_INDEX_URL")
        name = names[number] if number < len(names) else f"SECRET_{number}"
        monkeypatch.setenv(name, token)
    sam = 'name = "sam"\nbase = { name = "adamw", lr = 3e-3 }'
    suite = write_suite(top="keep_weights = true", **{sam: 'name = "fails"'})
    words = ("run", suite, "--seeds", "1", "--workers", "1", "--plugin", write_plugin(FAILS))
    done = program(*words, check=3)
    program("report", "results/tiny", "-o", "results/page.html")
    assert not log.exists(), log.read_text()
    files = [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
    assert {"trials.jsonl", "page.html"} <= {path.name for path in files}
    written = b"".join(path.read_bytes() for path in files) + (done.stdout + done.stderr).encode()
    assert b"no luck among" in written
    assert [token for token in tokens if token.encode() in written] == []
    connect = "import socket; socket.socket().connect(('127.0.0.1', 9))"
    subprocess.run([sys.executable, "-c", connect], capture_output=True, check=False)
    assert "socket.connect" in log.read_text()


POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)


def test_a_page_may_load_and_run_nothing(tmp_path: Path, call: Callable[..., Result]) -> None:
    """Its policy is exactly this, before anything that it could hold for; it has no script."""
    records = hostile_records([*CODE, *HOSTILE][:25])
    path = tmp_path / "trials.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in records))
    call("report", path, "-o", "page.html")
    tree = html.fromstring((tmp_path / "page.html").read_text())
    policy = tree.xpath("//meta[@http-equiv = 'Content-Security-Policy']")
    assert [each.get("content") for each in policy] == [POLICY]
    head = [*tree.xpath("//head")[0]]
    assert head.index(policy[0]) == 1  # behind the encoding
    assert not tree.xpath("//script | //iframe | //object | //embed | //form | //base | //img")
    attributes = {name.lower() for each in tree.iter() for name, _ in each.items()}
    assert not [name for name in attributes if name.startswith("on")]
    assert {each for each in tree.xpath("//@href | //@src") if each[:1] != "#"} == {"data:,"}
