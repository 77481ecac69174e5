"""Records -> four claims about multi-step strategies, each against its single-step base.

That they raise accuracy, improve generalization, reduce overfitting and lower compute. Needs
neither torch nor the plugins: what those declare is handed in as plain data.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from msbench.claims.effects import (
    Effect,
    accuracy,
    compute,
    decoded_accuracy,
    decoding_cost,
    decoding_costs,
    generalization,
    main_cells,
    overfitting,
    test_metric,
)
from msbench.claims.judge import judged, summary, unjudged, with_conditions
from msbench.claims.pairs import Declared, Pair, decoder_pairs, optimizer_pairs
from msbench.claims.results import Claims, Row
from msbench.compare.columns import Ledger, checked, collect, newest_winners
from msbench.compare.curves import Curves
from msbench.compare.labels import Labels, machine_names
from msbench.compare.verdicts import scored
from msbench.errors import MsbenchError, did_you_mean
from msbench.records.record import Record
from msbench.spec import AXES

SAMPLING = ("self-critical", "minimum-risk")
"""Losses that learn from outputs drawn from the model, as in reinforcement learning."""


def claims(
    records: Iterable[Record], declared: Declared, *, strategy: str = "", metric: str = ""
) -> Claims:
    """Each claim about each multi-step strategy, on every task and at every equal budget.

    declared: what plugins say of a strategy, `{("optimizer", "momentum"): ("memory", "sgd")}`: how
    it is multi-step, and its base. strategy: judge it alone. metric: instead of each task's own.
    Differences are paired by seed, and Holm's family is all tests of what is judged. Raises
    MsbenchError where there are no trials, or no such metric or strategy.
    """
    ledger = checked(collect(records, metric), metric)
    labels = Labels([*ledger.groups, *ledger.searches])
    ledger, left = newest_winners(ledger, labels)
    machines, differing = machine_names(ledger.machines)
    scores = scored(ledger, labels, metric)
    trained, untrained = optimizer_pairs(ledger, labels, declared)
    decoded, undecoded = decoder_pairs(ledger, scores, declared)
    if strategy:
        known = [pair.name for pair in (*trained, *decoded)]
        trained, decoded = ([p for p in ps if _is(p, strategy)] for ps in (trained, decoded))
        if not trained and not decoded:
            what = f"no multi-step strategy {strategy!r} beside its base in these results"
            raise MsbenchError(what + did_you_mean(strategy, known))
    curves, mains = Curves(ledger), main_cells(scores)
    tests: list[Effect] = []
    for pair in trained:
        about = _about(ledger, pair)
        tests += [
            replace(test, row={**about, **test.row})
            for made in (
                accuracy(
                    ledger,
                    curves,
                    test_metric(ledger, scores, mains, declared, pair),
                    pair,
                    machines,
                ),
                generalization(ledger, curves, pair, machines),
                overfitting(ledger, curves, pair, machines),
                compute(ledger, curves, pair, machines),
            )
            for test in _distinct(made)
        ]
    costs = decoding_costs(ledger) if decoded else {}
    for pair in decoded:
        about = _about(ledger, pair)
        made = [
            *decoded_accuracy(scores, mains, pair),
            *decoding_cost(ledger, costs, pair, machines),
        ]
        tests += [replace(test, row={**about, **test.row}) for test in made]
    rows = with_conditions(judged(tests))
    return Claims(
        rows=rows,
        summary=summary(rows),
        conditions=summary([row for row in rows if row["condition"]], "condition"),
        notes=[*unjudged(rows, ledger), *untrained, *undecoded, *left, *differing],
    )


def _is(pair: Pair, strategy: str) -> bool:
    """Whether a pair is of a strategy; a bare name also means all that options tell apart."""
    return strategy in (pair.name, pair.name.partition(" (")[0])


# ── what a test is about ────────────────────────────────────────────────────────────────────


def _about(ledger: Ledger, pair: Pair) -> Row:
    """The columns that say who is compared, and under which conditions."""
    both = (pair.mine >= 0) & (pair.theirs >= 0)
    group = int(ledger.trials["group"][pair.mine.max()])
    job, task = ledger.groups[group].job, ledger.tasks[group]
    weights = ledger.trials["parameters"][pair.mine[pair.mine >= 0]]
    losses = [job["loss"], *(p["loss"] for p in job.get("phases") or () if p.get("loss"))]
    return {
        **{axis: pair.cell[axis] for axis in AXES},
        "decoder": pair.cell.get("decoder", ""),
        "kind": pair.kind,
        "strategy": pair.name,
        "base": pair.base,
        "steps": pair.steps,
        "seeds": int(both.sum()),
        "train_examples": task["sizes"].get("train") if task else None,
        "parameters": None if np.isnan(weights).all() else int(np.nanmax(weights)),
        "task_name": job["task"]["name"],
        "multitask": len(job["task"]["options"].get("of") or ()) > 1,
        "reinforcement": any(loss["name"] in SAMPLING for loss in losses),
    }


def _distinct(tests: Iterable[Effect]) -> list[Effect]:
    """Without a test that another unit has as well: equal passes may be equal steps, too."""
    kept: list[Effect] = []
    for test in tests:
        for number, other in enumerate(kept):
            same = np.allclose(test.differences, other.differences, rtol=1e-6, equal_nan=True)
            what = [(t.row["claim"], t.row["quantity"], t.row["machine"]) for t in (test, other)]
            if same and what[0] == what[1]:
                units = [*other.row["units"], *test.row["units"]]
                kept[number] = replace(other, row={**other.row, "units": units})
                break
        else:
            kept.append(test)
    return kept
