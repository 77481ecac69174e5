"""Seeds that are added until there is a verdict: which of a suite's trials the records ask for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from msbench.plan.question import question_of
from msbench.records.record import Record
from msbench.spec import FIRST_LOOK, Suite, Trial


def asked_for(suite: Suite, trials: Sequence[Trial], done: Mapping[str, Record]) -> list[Trial]:
    """The trials that the records of now ask for: at first a few seeds of each strategy, and once
    these are there, more of those without a verdict. The answer depends on nothing but records.

    trials: with all the seeds that there may be. done: records by key.
    """
    first = [trial for trial in trials if trial.is_search or trial.seed < FIRST_LOOK]
    finals = [trial for trial in trials if not trial.is_search]
    if not finals or any(trial.key not in done for trial in first):
        return first
    from msbench.compare.wanted import seeds_wanted  # late: most plans need no tables

    known = [done[trial.key] for trial in finals if trial.key in done]
    strategy = {trial.key: replace(trial, seed=0).key for trial in finals}
    seeds: dict[str, int] = {}
    for key, wanted in seeds_wanted(known, question_of(suite, finals)).items():
        seeds[strategy[key]] = max(wanted, seeds.get(strategy[key], 0))
    return [t for t in trials if t.is_search or t.seed < seeds.get(strategy[t.key], FIRST_LOOK)]
