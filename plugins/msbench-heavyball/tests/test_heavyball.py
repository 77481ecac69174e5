"""The plugin's optimizers: complete, bit-identical to loops by hand, never compiled unasked."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("heavyball")
pytest.importorskip("msbench_heavyball")
sys.path.insert(0, str(Path(__file__).parents[1]))

import heavyball
import heavyball_checks as checks
from msbench_heavyball import REFUSED, factories
from msbench_heavyball.catalog import CLASSES

from msbench import MsbenchError
from msbench.builtin.learner import TorchLearner


def test_the_table_is_the_packages_list() -> None:
    assert {name for name, _ in CLASSES.values()} == checks.CLASSES.keys()
    assert CLASSES["soap"] == ("SOAP", 0.003)


def test_listing_imports_neither_torch_nor_the_package() -> None:
    code = (
        "import sys, msbench_heavyball as plugin; "
        "plugin.register_optimizers(lambda *a, **k: None); "
        "assert not {'torch', 'heavyball'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("name", ["ADOPT", "MuonAdamW", "SFAdamW", "SOAP"])
def test_the_same_bits_as_a_loop_by_hand(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "STEPS", 4)
    weights, _, _ = checks.by_msbench(name, evaluated=True)
    assert checks.all_equal(weights, checks.by_hand(name))
    assert heavyball.utils.compile_mode is None


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_work_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(MsbenchError, match=f"{name} does not work in msbench: it"):
        TorchLearner.check_optimizer(partial(factories.factory(name), **checks.options_of(name)))
