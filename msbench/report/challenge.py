"""How a newcomer did against others: its rank, its verdicts, and whom it resembles."""

from collections.abc import Collection, Sequence

from msbench.compare.relatives import Relative
from msbench.compare.rows import AccuracyRow, Comparison
from msbench.report.format import Cells, difference_of, mean_of, verdict_of


def standing(comparison: Comparison, names: Collection[str]) -> Cells:
    """A row per newcomer and task, by what decides there; no rank among what nobody tuned."""
    contests: dict[tuple[str, str], list[AccuracyRow]] = {}
    for row in comparison.accuracy:  # best first
        if row["decides"]:
            contests.setdefault((row["task"], row["model"]), []).append(row)
    return [
        {
            "task": row["task"],
            "optimizer": row["optimizer"],
            **({} if comparison.untuned else {"rank": f"{place} of {len(rows)}"}),
            "metric": row["metric"],
            "mean": mean_of(row),
            f"vs {comparison.baseline}": difference_of(row),
            "verdict": verdict_of(row),
            "ok": f"{row['n_ok']}/{row['n']}",
        }
        for rows in contests.values()
        for place, row in enumerate(rows, start=1)
        if row["optimizer"] in names
    ]


def over_tasks(comparison: Comparison, names: Collection[str]) -> list[str]:
    """Its rank over all tasks, where strategies are ranked."""
    ranks = comparison.ranks
    return [
        f"{row['strategy']}: average rank {row['average_rank']:.1f} over {row['tasks']} tasks, "
        f"{place} of {len(ranks)}"
        for place, row in enumerate(ranks, start=1)
        if row["strategy"] in names
    ]


def kinship(name: str, found: Sequence[Relative]) -> list[str]:
    """That it is another optimizer, or nearly one; nothing if it is like none."""
    same = [each for each in found if each.same == each.trials]
    if same:
        names = " and ".join(each.name for each in same)
        return [
            f"{name} is {names}: with the same options, all validation losses of "
            f"{_trials(same[0].trials)} are the same."
        ]
    return [
        f"{name} is nearly {each.name}: with the same options, no validation loss differs by more "
        f"than {each.apart:.2g} of it in half of {_trials(each.trials)}, but they are not the "
        f"same. If it is meant to be {each.name}, it is not: look for an error."
        for each in found[:1]
    ]


def _trials(count: int) -> str:
    return f"{count} trial{'s' * (count != 1)}"
