"""Levels of repeated tests: they spend what they should, for Student's t, and no more."""

import numpy as np
import pytest
from scipy.special import stdtr

from msbench.compare.judge import judge
from msbench.compare.spending import ALPHAS, level_at, levels, sequential_p
from msbench.compare.stats import ALPHA, paired_tests
from msbench.spec import FIRST_LOOK

MOST = 12


def first_rejections(alpha: float, samples: int) -> list[float]:
    """By simulation, the share of samples that some look up to the n-th rejects."""
    values = np.random.default_rng(0).standard_normal((samples, MOST))
    found, shares = np.zeros(samples, dtype=bool), []
    level = levels(alpha, MOST)
    for n in range(FIRST_LOOK, MOST + 1):
        mean, sd = values[:, :n].mean(axis=1), values[:, :n].std(axis=1, ddof=1)
        found |= 2 * stdtr(n - 1, -np.abs(mean) / sd * n**0.5) <= level[n]
        shares.append(float(found.mean()))
    return shares


@pytest.mark.parametrize("alpha", [0.5, 0.05, 0.005])
def test_a_simulation_spends_what_was_planned(alpha: float) -> None:
    samples = 200_000
    planned = [alpha * (n / MOST) ** 2 for n in range(FIRST_LOOK, MOST + 1)]
    error = [4 * (p * (1 - p) / samples) ** 0.5 for p in planned]
    for found, p, tolerance in zip(first_rejections(alpha, samples), planned, error, strict=True):
        assert found == pytest.approx(p, abs=tolerance)


def test_levels_grow_with_what_may_be_spent_and_with_seeds() -> None:
    table = np.array([levels(float(alpha), MOST)[FIRST_LOOK:] for alpha in ALPHAS[::4]])
    assert (np.diff(table, axis=0) > 0).all()
    assert (np.diff(levels(ALPHA, MOST)[FIRST_LOOK + 1 :]) > 0).all()
    assert levels(ALPHA, MOST)[-1] > ALPHA * (1 - (11 / 12) ** 2)  # more than Bonferroni's


def test_sequential_p_is_the_alpha_at_which_a_look_rejects() -> None:
    for alpha in (0.2, 0.05, 0.05 / 17, 1e-4):
        level = levels(alpha, MOST)
        n = np.arange(FIRST_LOOK, MOST + 1)
        assert sequential_p(level[n], n, MOST) == pytest.approx(alpha, rel=0.01)
        assert level_at(alpha, n, MOST) == pytest.approx(level[n], rel=0.01)
    assert sequential_p([0.0, 1e-12, 1.0], [5, 5, 5], MOST).tolist()[::2] == [0.0, 1.0]
    assert sequential_p(1e-9, 2, MOST) == 1.0  # before the first look
    assert np.isnan(sequential_p([np.nan, 0.01], [5, MOST + 1], MOST)).all()


def test_a_judge_of_added_seeds_remembers_every_look() -> None:
    rng = np.random.default_rng(1)
    values = np.vstack([rng.normal(5, 0.1, MOST), rng.normal(0, 1, (2, MOST))])
    values[0, 4:] += rng.normal(-5, 30, MOST - 4)  # what was shown early and is lost later
    found = [
        judge(values[:, :n], ["a"] * 3, np.nan, False, max_seeds=MOST) for n in range(3, MOST + 1)
    ]
    p = np.array([each.p_adjusted for each in found])
    assert (np.diff(p, axis=0) <= 0).all()
    assert found[0].verdicts[0] == "better"
    assert paired_tests(values[:1]).p[0] > ALPHA
    assert found[-1].family.tolist() == [3, 3, 3]


def test_what_cannot_be_tested_yet_counts_in_its_family() -> None:
    tied = np.zeros(MOST)
    shown = np.array([1.0, 1.01, 1.0])
    values = np.vstack([np.pad(shown, (0, MOST - 3), constant_values=np.nan), tied])
    assert judge(values, ["a", "a"], np.nan, False, max_seeds=MOST).family.tolist() == [2, 2]
    assert judge(values, ["a", "a"], np.nan, False).family.tolist() == [1, 1]


def test_other_tests_pay_for_every_look() -> None:
    values = np.full((1, MOST), np.nan)
    found = judge(values, ["a"], np.nan, False, p=[0.004], max_seeds=MOST)
    assert found.p_adjusted == pytest.approx(0.04)
