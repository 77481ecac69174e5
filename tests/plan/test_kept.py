"""What a run says that it will not leave behind."""

from dataclasses import replace

from msbench.plan.kept import kept_notes
from msbench.plugins.registry import Registry
from msbench.spec import Suite, Trial


def test_weights_are_missed_where_text_is_written(
    tiny: Suite, trials: list[Trial], registry: Registry
) -> None:
    (note,) = kept_notes(tiny, trials, registry)
    assert "msbench decode" in note
    assert kept_notes(replace(tiny, keep_weights=True), trials, registry) == []
    assert kept_notes(tiny, [], registry) == []
    part = replace(trials[0].task, name="files", options={"kind": "classify"})
    assert kept_notes(tiny, [replace(trials[0], task=part)], registry) == []
