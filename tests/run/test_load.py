"""What the machine says of its load and energy."""

import math
import os
from pathlib import Path

import pytest

from msbench.run.energy import Energy
from msbench.run.load import Load, Usage


def load(all: float, own: float, stolen: float = 0.0, cores: int = 2) -> Load:
    """Over ten seconds."""
    usages = iter([Usage(0, 0, 0, 0), *[Usage(10, all, own, stolen)] * 2])
    return Load(1, lambda: next(usages), cores)


def test_what_others_use_is_told_if_it_is_much() -> None:
    assert load(all=10, own=10).told() == ""
    assert load(all=14, own=10).told() == ""
    assert load(all=18, own=10).told() == "other programs used 0.8 of its 2 cores"
    assert load(all=18, own=10, cores=16).told() == ""
    assert load(all=12, own=10, cores=1).told() == "other programs used 0.2 of its 1 cores"
    assert load(all=10, own=10, stolen=1).told() == "its host withheld 5% of the time"


def test_our_own_work_is_not_that_of_others() -> None:
    before = Usage.now()
    while os.times().user - before.own < 0.02:
        math.fsum(range(1_000))
    after = Usage.now()
    assert after.own > before.own
    assert after.all >= before.all
    assert after.clock > before.clock


def test_energy_is_what_the_counters_of_all_packages_gained(tmp_path: Path) -> None:
    files = []
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        (tmp_path / name).mkdir()
        files.append(tmp_path / name / "energy_uj")
        files[-1].write_text("1000000")
    energy = Energy(powercap=tmp_path)
    for file in files:
        file.write_text("3500000")
    assert energy.joules() == pytest.approx(5.0), "the part of a package is not counted again"
    assert energy.joules() == 0
    files[0].write_text("17")
    assert math.isnan(energy.joules()), "it came round to zero"


def test_energy_that_nobody_tells_is_not_known(tmp_path: Path) -> None:
    assert math.isnan(Energy(powercap=tmp_path).joules())
    (tmp_path / "intel-rapl:0").mkdir()
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("broken")
    assert math.isnan(Energy(powercap=tmp_path).joules())
