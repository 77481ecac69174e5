"""Packages of plugins/ whose requirements are missing are left out of the tests, and named."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

PROJECT = """
[project]
name = "msbench-{name}"
dependencies = ["msbench", "{needs}"]
"""


def add_package(plugins: Path, name: str, needs: str, test: str) -> None:
    folder = plugins / f"msbench-{name}"
    (folder / "tests").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT.format(name=name, needs=needs))
    (folder / "tests" / f"test_{name}.py").write_text(test)


def test_what_is_not_installed_is_left_out_and_named(tmp_path: Path) -> None:
    plugins = tmp_path / "plugins"
    add_package(plugins, "absent", "no-such-framework>=2", "import no_such_framework")
    add_package(plugins, "old", "pytest<1", "import no_such_framework")
    add_package(plugins, "schedulefree", "pytest>=8", "def test_it(): pass")  # it is installed
    shutil.copy(ROOT / "plugins/conftest.py", plugins)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "plugins"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
    lines = [line for line in done.stdout.splitlines() if "is not tested" in line]
    ending = "; `make test-plugins` installs all plugins together and tests them"
    assert lines == [
        f"plugins/msbench-absent is not tested: no-such-framework>=2 is not installed{ending}",
        f"plugins/msbench-old is not tested: pytest<1 is not installed{ending}",
    ]


def test_every_folder_is_installed_to_be_tested() -> None:
    command = ["make", "--dry-run", "--always-make", "test-plugins"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    (line,) = [
        line
        for line in done.stdout.splitlines()
        if "--editable plugins" in line and "dev" not in line
    ]
    folders = {path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml")}
    assert {word for word in line.split() if word.startswith("plugins/")} == {
        f"plugins/{name}" for name in folders
    }
