"""Shells complete commands, options and names, by what click has for it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from msbench.cli.app import main


def completed(shell: str, line: str) -> str:
    words = line.split(" ")
    environment = {
        "_MSBENCH_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": words[-1] if shell == "fish" else str(len(words) - 1),
    }
    return CliRunner().invoke(main, [], env=environment, prog_name="msbench").output


def test_what_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/mine").mkdir(parents=True)
    (tmp_path / "results/mine/trials.jsonl").touch()
    assert completed("bash", "msbench rec") == "plain,recommend\n"
    assert (
        completed("fish", "msbench rec")
        == "plain,recommend\tRecommend strategies for a training budget.\n"
    )
    assert "--until-verdict" in completed("zsh", "msbench run --until").splitlines()
    assert completed("bash", "msbench run qui") == "plain,quick\n"
    assert completed("bash", "msbench compare mi") == "plain,mine\n"
    assert completed("bash", "msbench compare else") == "file,else\n"


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_scripts(shell: str) -> None:
    """What `docs/python.md` and the like tell a shell to read."""
    done = CliRunner().invoke(
        main, [], env={"_MSBENCH_COMPLETE": f"{shell}_source"}, prog_name="msbench"
    )
    assert f"_MSBENCH_COMPLETE={shell}_complete" in done.output
