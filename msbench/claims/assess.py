"""Records -> four claims about multi-step strategies, each against its single-step base.

That they raise accuracy, improve generalization, reduce overfitting and lower compute. Needs
neither torch nor the plugins: what those declare is passed in as plain data.
"""

from collections.abc import Iterable, Sequence

from msbench.claims.effects import effects
from msbench.claims.evidence import gather
from msbench.claims.judge import judged
from msbench.claims.pairs import Declared, Pair, find_pairs
from msbench.claims.results import Claims
from msbench.claims.summary import open_questions, summary
from msbench.compare.columns import Columns
from msbench.compare.labels import Labels
from msbench.errors import MsbenchError, did_you_mean
from msbench.records.record import Record
from msbench.spec import Question


def claims(
    records: Iterable[Record] | Columns,
    declared: Declared,
    *,
    strategy: str = "",
    metric: str = "",
    question: Question | None = None,
) -> Claims:
    """Each claim about each multi-step strategy, on every task and at every equal budget.

    declared: what plugins say of a strategy, `{("optimizer", "momentum"): ("memory", "sgd")}`: how
    it is multi-step, and its base. strategy: show it alone, which changes no verdict. question:
    what was declared. metric: instead of the one that decides. Differences are paired by seed; a
    family is the tests of one claim on one task. Raises MsbenchError where there are no trials, or
    no such metric or strategy.
    """
    evidence = gather(records, metric, question)
    pairs, remarks = find_pairs(evidence, declared)
    shown = _of(pairs, strategy, evidence.labels) if strategy else pairs
    names = {(pair.strategy.kind, pair.strategy.label) for pair in shown}
    rows = judged(
        evidence, [effect for pair in pairs for effect in effects(evidence, pair, declared)]
    )
    rows = [row for row in rows if (row["kind"], row["strategy"]) in names]
    return Claims(
        rows=rows,
        summary=summary(rows),
        conditions=summary([row for row in rows if row["condition"]], "condition"),
        notes=[*open_questions(rows, evidence), *remarks, *evidence.notes],
    )


def _of(pairs: Sequence[Pair], strategy: str, labels: Labels) -> list[Pair]:
    """The pairs of a strategy; a bare name also means all that options tell apart."""
    chosen = [pair for pair in pairs if labels.means(strategy, pair.strategy.label)]
    if not chosen:
        known = {pair.strategy.label for pair in pairs}
        raise MsbenchError(
            f"no multi-step strategy {strategy!r} beside its base in these results"
            f"{did_you_mean(strategy, known)}"
        )
    return chosen
