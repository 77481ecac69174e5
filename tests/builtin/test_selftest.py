"""The selftest passes, and would tell if it did not."""

import math

import pytest
import torch
from click.testing import CliRunner

from msbench.builtin.commands import selftest
from msbench.builtin.commands.selftest import Check
from msbench.cli.app import main


def test_all_identities_hold() -> None:
    done = CliRunner().invoke(main, ["selftest"])
    assert done.exit_code == 0, done.output
    assert "FAILED" not in done.output
    assert done.output.count(" ok") >= 11


@pytest.mark.parametrize("differs", [False, True])
@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_no_number_neither_equals_nor_differs(wrong: float, differs: bool) -> None:
    for place in range(4):
        got = torch.ones(4)
        got[place] = wrong
        check = Check("x", [torch.ones(2)] * 2, list(got.split(2)), 1e-4, differs)
        assert not check.ok


def test_a_broken_identity_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = [torch.ones(2)], [torch.zeros(2)]
    broken = {"x": lambda: iter([Check("equal", one, two), Check("differ", one, one, 0.0, True)])}
    monkeypatch.setattr(selftest, "CHECKS", broken)
    done = CliRunner().invoke(main, ["selftest"])
    assert done.exit_code == 1
    assert done.stdout.count("FAILED") == 2
    assert "2 failed: equal; differ" in done.stderr
