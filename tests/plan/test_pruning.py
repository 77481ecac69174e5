"""Limits of a search come from the curves before it."""

import math

from msbench.plan.pruning import limits

CURVES = [[9.0, 5.0, 3.0, 2.0], [9.0, 4.0, 2.0, 1.0], [9.0, 6.0, 4.0, 3.0], [9.0, 7.0, 5.0, 4.0]]


def test_a_limit_is_the_loss_of_the_last_that_is_kept() -> None:
    assert limits(CURVES) == (None, 7.0, 5.0), "none before half of the budget, none at the end"
    assert limits(CURVES, kept=2) == (None, 5.0, 3.0)
    assert limits(CURVES, watched=0.0) == (9.0, 7.0, 5.0)


def test_there_is_none_while_too_few_are_known() -> None:
    assert limits([]) == limits(CURVES[:3]) == ()
    assert limits([*CURVES[:3], [9.0, 8.0]]) == (None, 8.0, None), "one was stopped there"


def test_what_diverged_lies_behind() -> None:
    assert limits([*CURVES[:3], [9.0, math.inf]], kept=3) == (None, 6.0, 4.0)
