"""Many trials that do nothing are planned, recorded and read; and what that was seen to cost."""

import importlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_many_trials_are_each_recorded_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "studies"))
    row = importlib.import_module("scale").row_of(120, tmp_path / "scale")
    assert 5_000 < row["bytes"] / 120 < 15_000


def test_costs_of_a_trial_do_not_grow_with_their_number() -> None:
    first, *_, last = json.loads((ROOT / "results/reference/scale.json").read_text())
    assert last["trials"] >= 8 * first["trials"]
    for name in ("plan", "run", "resume", "bytes"):
        assert last[name] / last["trials"] < 1.3 * first[name] / first["trials"], name
