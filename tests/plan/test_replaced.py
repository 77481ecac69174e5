"""What a resume says of records that other versions made."""

from collections.abc import Sequence
from dataclasses import replace

from msbench.plan.versions import changed_libraries, changed_parts, replaced
from msbench.records.record import record
from msbench.spec import Phase, Trial


def test_work_is_done_again_in_other_versions(trials: Sequence[Trial]) -> None:
    one = trials[0]
    older = replace(one, optimizer=replace(one.optimizer, version="0.1.0"))
    decoders = tuple(replace(part, version="9") for part in reversed(one.decoders))
    made = record(older, "ok", machine={"versions": {"torch": "1.0", "numpy": "2"}})
    pairs = replaced(trials, [made])
    assert [trial.key for _, trial in pairs] == [one.key]
    assert changed_parts(pairs) == [f"optimizer {one.optimizer.name}"]
    assert changed_libraries(pairs, {"torch": "2.0", "numpy": "2"}) == ["torch 1.0, now 2.0"]
    assert replaced(trials, [record(replace(one, decoders=decoders), "ok")])


def test_parts_inside_of_others_and_of_phases_are_named(trials: Sequence[Trial]) -> None:
    base = replace(trials[0].optimizer, name="inner", version="1", label="")
    outer = replace(trials[0].optimizer, options={"base": base})
    phase = Phase(3, loss=replace(trials[0].loss, version="1"))
    older = replace(trials[0], optimizer=outer, phases=(phase, Phase()))
    now = replace(
        older,
        optimizer=replace(outer, options={"base": replace(base, version="2")}),
        phases=(replace(phase, loss=replace(phase.loss, version="2")), Phase()),
    )
    pairs = replaced([now], [record(older, "ok")])
    assert changed_parts(pairs) == [f"loss {phase.loss.name}", "optimizer inner"]


def test_other_work_and_present_versions_are_not_meant(trials: Sequence[Trial]) -> None:
    one = trials[0]
    others = [one, replace(one, seed=99), replace(one, data="other")]
    assert replaced(trials, [record(each, "ok") for each in others]) == []
