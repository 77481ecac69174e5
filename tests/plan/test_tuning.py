"""Equal tuning: spaces, points, winners; search trials that read no test split; two stages."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from handmade import results

from msbench.cli.app import main
from msbench.compare.comparison import compare
from msbench.errors import MsbenchError, SuiteError
from msbench.plan.space import options_at_edge, rate_of, sample_points, search_space
from msbench.plan.suite import load_suite
from msbench.plan.trials import Fingerprint, expected, measurements, plan
from msbench.plan.tuning import SEEDS, tuning_notes
from msbench.plugins.loading import load_plugins
from msbench.plugins.registry import Registry
from msbench.records.record import Record, Status, record
from msbench.records.store import read
from msbench.report.render import render
from msbench.run.job import run_job
from msbench.run.replication import sample_of
from msbench.spec import Choice, Suite, Trial, Tuning

pytestmark = pytest.mark.usefixtures("server")

Write = Callable[..., Path]
Problems = Callable[..., list[str]]

TUNED = {"[throughput]": "[tuning]\nmethod = 'halton'\npoints = 3\n[throughput]"}
FREE = {"lr = 3e-3\n": "\n", ", lr = 3e-3": ""}
"""No optimizer has its rate set."""


def no_data(part: Any) -> str:
    return "data"


@pytest.fixture
def suite(write_suite: Write) -> Suite:
    return load_suite(str(write_suite(**TUNED, **FREE)))


@pytest.fixture
def search(suite: Suite, registry: Registry) -> list[Trial]:
    return plan(suite, registry, (), no_data)


def finished(trial: Trial, *losses: float, status: Status = "ok") -> Record:
    curve = [{"validation_loss": loss} for loss in losses]
    return record(trial, status, results={"training": {"passes": 12, "curve": curve}})


def point_of(trial: Trial) -> int:
    assert trial.tuned is not None
    return trial.tuned.point


def test_trials_of_a_search_are_replicated_where_there_are_no_others(search: list[Trial]) -> None:
    sample = sample_of(search, 2, "adamw")
    assert [trial.optimizer.name for trial in sample] == ["adamw", "adamw"]
    assert len({trial.key for trial in sample}) == 2


def test_points_are_the_same_everywhere_and_nested() -> None:
    space = {
        "lr": (1e-4, 1e-1, "log"),
        "k": (2, 5, "int"),
        "beta": (0.5, 0.9),
        "n": (1, 2, "choice"),
    }
    many = sample_points(space, 64)
    assert many[:8] == sample_points(space, 8)
    assert all(1e-4 <= p["lr"] <= 1e-1 and 0.5 <= p["beta"] <= 0.9 for p in many)
    assert {p["k"] for p in many} == {2, 3, 4, 5}
    assert {p["n"] for p in many} == {1, 2}
    # Even on the logarithmic scale: about a third of the points in each decade.
    decades = [math.floor(math.log10(p["lr"])) for p in many]
    assert all(18 <= decades.count(decade) <= 25 for decade in (-4, -3, -2))


def test_a_space_is_the_plugins_with_the_bases_and_without_what_is_set(registry: Registry) -> None:
    base = Choice("adamw")
    assert {"rho", "base.lr"} <= set(search_space(registry, Choice("sam", {"base": base})))
    assert "rho" not in search_space(registry, Choice("sam", {"base": base, "rho": 0.1}))
    fixed = Choice("adamw", {"lr": 0.1})
    assert "base.lr" not in search_space(registry, Choice("sam", {"base": fixed}))


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ('{ seed = [0, 9, "int"] }', "the best of several seeds is luck"),
        ('{ lrr = [1e-4, 1e-1, "log"] }', "lrr: no such option; did you mean 'lr'?"),
        ("{ lr = [1e-1, 1e-4] }", "a low end below its high end"),
        ('{ lr = [0, 1, "log"] }', "starts above 0"),
        ('{ lr = [1, "log"] }', "should be [low, high"),
        ('{ lr = [0.1, 1, "bent"] }', "should be [low, high"),
        ('{ "base.lr" = [0.1, 1] }', "'adamw' has no base in this suite"),
        ("{ lr = [-2.0, -1.0] }", "option 'lr'"),
        ('{ lr = ["choice"] }', "a choice of nothing"),
        ("{ lr = 7 }", "space.lr"),
        ('{ lr = [nan, 1.0, "log"] }', "space.lr[1]: Input should be a finite number"),
        (f"{{ lr = [1, 1{'0' * 400}] }}", "space.lr[2]: Input should fit in 64 bits"),
        ("{ lr = [2, 1] }", "a low end below its high end"),
        ('{ decay = ["matrices", "all", "choice"] }', "has 2 points, and [tuning] wants 3"),
    ],
)
def test_bad_spaces_are_refused(space: str, expected: str, problems: Problems) -> None:
    lines = problems(**TUNED, **{**FREE, "lr = 3e-3\n": f"space = {space}\n"})
    assert any(line.startswith("optimizer[1]") and expected in line for line in lines), lines


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"[throughput]": "[tuning]\noptions = ['lr']\n[throughput]"},
            "'adamw' has nothing to tune",
        ),
        (
            {"[throughput]": "[tuning]\npoints = 3\n[throughput]"},
            "tuning.points: is for method = 'halton', and this is 'bracket'",
        ),
        (
            {**TUNED, "points = 3": "points = 3\ntrials = 20"},
            "tuning.trials: is for method = 'bracket', and this is 'halton'",
        ),
        (
            {**TUNED, "seeds = 2": "seeds = 2\ntuned_by = 'me'"},
            "tuned_by: says who chose the options, and [tuning] chooses them here",
        ),
        ({"lr = 3e-3\n": "space = { lr = [0.1, 1.0] }\n"}, "needs a [tuning] table"),
        (
            {**TUNED, **FREE, "lr = 3e-3\n": "lr = 3e-3\nspace = { lr = [0.1, 1.0] }\n"},
            "lr: is set as well",
        ),
        (
            {**TUNED, "points = 3": "points = 3\nprune = true"},
            "tuning.prune: is for method = 'bracket', and this is 'halton'",
        ),
        (
            {"[throughput]": "[tuning]\nprune = true\nselect = 'metric'\n[throughput]"},
            "tuning.prune: looks at losses, and select = 'metric' does not",
        ),
        ({**TUNED, "seeds = 2": "seeds = [10000]"}, "winners run with fresh ones"),
    ],
)
def test_searches_that_make_no_sense_are_refused(
    changes: dict[str, str], expected: str, problems: Problems
) -> None:
    assert any(expected in line for line in problems(**changes))


def test_every_optimizer_gets_the_same_points_and_passes(suite: Suite, search: list[Trial]) -> None:
    assert all(trial.is_search for trial in search)
    names = [trial.optimizer.name for trial in search]
    assert names.count("adamw") == names.count("sam") == 3
    assert {trial.training for trial in search} == {suite.training["numbers-fr"]}
    assert {trial.seed for trial in search} == {SEEDS}
    assert not set(suite.seeds) & {trial.seed for trial in search}


def test_the_winner_is_the_best_mean_and_runs_with_fresh_seeds(
    suite: Suite, registry: Registry
) -> None:
    suite = replace(suite, tuning=replace(suite.tuning, seeds=3))
    trials = plan(suite, registry, (), no_data)
    adamw = [trial for trial in trials if trial.optimizer.name == "adamw"]
    assert len(adamw) == 9
    losses = {0: [9.0, 1.0, 9.0], 1: [2.0, 2.0, 2.0], 2: [1.0, math.inf, math.inf]}
    records = [finished(t, losses[point_of(t)][t.seed - SEEDS]) for t in adamw]
    assert not any(
        t.optimizer.name == "adamw"
        for t in plan(suite, registry, records[:-1], no_data)
        if not t.is_search
    )
    finals = [t for t in plan(suite, registry, records, no_data) if not t.is_search]
    assert [t.seed for t in finals] == list(suite.seeds)
    for trial in finals:
        assert trial.tuned is not None
        assert (trial.tuned.stage, trial.tuned.point, trial.tuned.points) == ("final", 1, 3)
        assert trial.optimizer.options["lr"] == trial.tuned.options["lr"]
        assert trial.decoders
    done = [*records, *(record(trial, "ok") for trial in finals)]
    assert not any(t.optimizer.name == "adamw" for t in plan(suite, registry, done, no_data))


def test_points_that_fail_lose_and_if_all_do_there_is_no_winner(
    suite: Suite, registry: Registry, search: list[Trial]
) -> None:
    records = {t.key: finished(t, 0.0, status="diverged") for t in search}
    assert expected(suite, registry, records.values(), no_data) == search
    records[search[2].key] = finished(search[2], 7.0)
    _, _, *finals = expected(suite, registry, records.values(), no_data)[4:]
    assert {point_of(trial) for trial in finals} == {2}
    assert {trial.optimizer.name for trial in finals} == {search[2].optimizer.name}


def test_a_winner_at_the_edge_is_marked() -> None:
    space = {"lr": (1e-4, 1e-1, "log")}
    points = sample_points(space, 8)
    first, *_, middle, _, _, _, last = sorted(range(8), key=lambda number: points[number]["lr"])
    edges = [options_at_edge(space, points, number) for number in (first, middle, last)]
    assert edges == [("lr",), (), ("lr",)]


def test_identity_is_of_the_stage_not_of_the_point(search: list[Trial]) -> None:
    trial = search[0]
    assert trial.tuned is not None
    again = replace(trial, tuned=replace(trial.tuned, points=99, edge=("lr",)))
    assert again.key == trial.key
    assert replace(trial, tuned=replace(trial.tuned, stage="final")).key != trial.key
    assert replace(trial, tuned=None).key != trial.key
    assert Trial.of(json.loads(json.dumps(asdict(trial)))) == trial


def test_search_and_final_in_one_run(
    write_suite: Write, tmp_path: Path, registry: Registry, fingerprint: Fingerprint
) -> None:
    path = write_suite(**TUNED, **FREE)
    call = ["run", str(path), "--out", str(tmp_path / "out")]
    first = CliRunner().invoke(main, call)
    assert first.exit_code == 0, first.output
    tables = CliRunner().invoke(main, ["compare", str(tmp_path / "out/tiny"), "--table", "tuning"])
    assert "TUNING, ON VALIDATION" in tables.output
    assert "tuning: 6 of 6 done" in first.stderr
    assert "trials: 4 of 4 done" in first.stderr
    records = read(tmp_path / "out/tiny").records
    searches = [r for r in records if r.is_search]
    finals = [r for r in records if r.is_trial and not r.is_search]
    assert (len(searches), len(finals)) == (6, 4)
    assert all(not r.results["decoding"] for r in searches)  # the test split was not read
    for r in finals:
        losses = {
            s.job["tuned"]["point"]: s.results["training"]["curve"][-1]["validation_loss"]
            for s in searches
            if s.job["optimizer"]["name"] == r.job["optimizer"]["name"]
        }
        assert r.job["tuned"]["point"] == min(losses, key=lambda point: losses[point])
    again = CliRunner().invoke(main, call)
    assert again.exit_code == 0
    assert "all 10 trials are done already" in again.stderr
    assert again.stdout == first.stdout
    suite = load_suite(str(path))
    (measurement,) = measurements(suite, expected(suite, registry, records, fingerprint))
    assert {t.tuned.stage for t in measurement.strategies if t.tuned} == {"final"}
    compared = compare(records)
    assert {row["optimizer"] for row in compared.accuracy} == {"adamw", "sam"}
    assert [row["points"] for row in compared.tuning] == [3, 3]
    assert "at the edge" in render(compared, "markdown")


FRAGILE = """
import msbench, torch

@msbench.hookimpl
def register_optimizers(register):
    register("fragile", sgd, space={"lr": (1e-3, 1.0, "log")})

def sgd(model, lr=0.1):
    if lr > 0.1:
        raise ValueError("too fast")
    return torch.optim.SGD(model.parameters(), lr=lr)
"""


def test_lost_trials_of_a_search_are_counted_among_all(
    write_suite: Write, write_plugin: Callable[..., str], tmp_path: Path
) -> None:
    plugin = write_plugin(FRAGILE)
    text = write_suite(**TUNED, **FREE, **{"seeds = 2": "seeds = 1"}).read_text()
    sam, adamw = '[[optimizer]]\nname = "sam"\nbase = { name = "adamw" }\n', 'name = "adamw"\n\n'
    assert sam in text
    assert adamw in text
    path = tmp_path / "fragile.toml"
    text = text.replace(sam, "").replace(adamw, 'name = "fragile"\n\n')
    path.write_text(text.replace('baseline = "adamw"', "").replace("rounds = 2", "rounds = 0"))
    out = tmp_path / "out"
    done = CliRunner().invoke(main, ["run", str(path), "--out", str(out), "--plugin", plugin])
    lost = [each for each in read(out / "fragile").records if each.status != "ok"]
    assert lost
    assert all("too fast" in each.reason for each in lost)
    assert all(each.is_search for each in lost)
    n = len(lost)
    assert f"{n} of 4 did not end ok, {n} of them of a search (msbench run --retry)" in done.stderr
    assert done.exit_code == 3


def test_a_search_by_metric_decodes_validation(
    suite: Suite, registry: Registry, fingerprint: Fingerprint
) -> None:
    suite = replace(suite, tuning=replace(suite.tuning, select="metric"))
    trial = plan(suite, registry, (), fingerprint)[0]
    result = run_job(trial)
    assert result.status == "ok", result.reason
    decoding = result.results["decoding"]
    assert len(decoding) == 2
    assert {each["count"] for each in decoding} == {result.results["task"]["sizes"]["validation"]}
    assert result.objective("metric") == -max(d["metrics"]["bleu"] for d in decoding)


def test_searches_alone_are_no_comparison(search: list[Trial]) -> None:
    with pytest.raises(MsbenchError, match="only 6 of a search"):
        compare([finished(trial, 1.0) for trial in search])


def test_a_choice_in_itself_is_refused(suite: Suite, registry: Registry) -> None:
    options: dict[str, Any] = {}
    circular = Choice("sam", options, where="here")
    options["base"] = circular
    with pytest.raises(SuiteError, match="nested more than 8 deep: in itself"):
        plan(replace(suite, optimizers=(*suite.optimizers, circular)), registry, (), no_data)


def test_points_are_distinct_and_within_their_space() -> None:
    narrow = sample_points({"beta2": (0.99, 0.9999)}, 64)
    assert len({point["beta2"] for point in narrow}) == 64
    assert all(0.99 <= point["beta2"] <= 0.9999 for point in narrow)
    assert sorted(point["k"] for point in sample_points({"k": (2, 5, "int")}, 4)) == [2, 3, 4, 5]


def test_a_search_by_metric_takes_the_best_decoder_that_gives_it(search: list[Trial]) -> None:
    task = {"metric": "bleu", "metrics": {"bleu": {"lower_is_better": False}}}
    decoding = [{"metrics": each} for each in ({"other": 99.0}, {"bleu": 3.0}, {"bleu": 5.0})]
    searched = record(search[0], "ok", results={"task": task, "decoding": decoding})
    assert searched.objective("metric") == -5.0


def test_winners_of_an_earlier_search_are_left_out_and_told(
    suite: Suite, registry: Registry
) -> None:
    def winners(points: int, best: int, seeds: int) -> list[Record]:
        wider = replace(
            suite, tuning=replace(suite.tuning, points=points), seeds=tuple(range(seeds))
        )
        search = plan(wider, registry, (), no_data)
        records = [finished(t, float(point_of(t) != best)) for t in search]
        finals = plan(wider, registry, records, no_data)
        scores = results(finals[0].decoders[:1], [{"bleu": best}])
        return [record(trial, "ok", results=scores) for trial in finals]

    both = compare([*winners(3, 0, 5), *winners(8, 7, 3)])
    assert {(row["n"], row["mean"]) for row in both.accuracy if row["metric"] == "bleu"} == {
        (3, 7.0)
    }
    assert any("10 trials of winners of an earlier search are left out" in n for n in both.notes)


BRACKET = {"[throughput]": "[tuning]\ntrials = 11\n[throughput]"}


def searched(
    suite: Suite, registry: Registry, loss: Callable[[Trial], float]
) -> tuple[list[Record], list[Trial]]:
    """(records of whole searches in which trials have these losses, the winners' trials)."""
    records: dict[str, Record] = {}
    while search := [t for t in plan(suite, registry, records.values(), no_data) if t.is_search]:
        records |= {trial.key: finished(trial, loss(trial)) for trial in search}
    return [*records.values()], plan(suite, registry, records.values(), no_data)


def test_a_bracket_goes_on_from_its_records(write_suite: Write, registry: Registry) -> None:
    suite = load_suite(str(write_suite(**BRACKET, **FREE)))

    def loss(trial: Trial) -> float:
        inner = trial.optimizer.options.get("base", trial.optimizer)
        return 1 + abs(math.log10(inner.options["lr"] / 1e-2)) + 0.01 * (trial.seed - SEEDS)

    first = plan(suite, registry, (), no_data)
    assert len(first) == 6  # three rates of both optimizers
    records, finals = searched(suite, registry, loss)
    for name in ("adamw", "sam"):
        trials = [each for each in records if each.job["optimizer"]["name"] == name]
        assert len(trials) == 11
        assert sorted({each.job["seed"] for each in trials}) == [SEEDS, SEEDS + 1, SEEDS + 2]
    for trial in finals:
        assert trial.tuned is not None
        assert trial.tuned.stage == "final"
        assert not trial.tuned.edge
        assert rate_of(dict.fromkeys(trial.tuned.options, (1, 2, "log"))) in ("lr", "base.lr")
    assert len(finals) == 4
    # Whatever of the records is there first, the search ends the same.
    again = plan(suite, registry, records[::2], no_data)
    assert {trial.key for trial in again if trial.is_search} <= {each.key for each in records}


def test_a_pruned_search_wins_alike_and_costs_less(write_suite: Write, registry: Registry) -> None:
    whole = load_suite(str(write_suite(**BRACKET, **FREE)))
    whole = replace(whole, tuning=Tuning(trials=15))
    pruned = replace(whole, tuning=Tuning(trials=15, prune=True))

    def loss(trial: Trial) -> float:
        inner = trial.optimizer.options.get("base", trial.optimizer)
        late = 3.0 * (point_of(trial) > 5)  # what is tried last is bad
        return 1 + late + abs(math.log10(inner.options["lr"] / 1e-2)) + 0.01 * (trial.seed - SEEDS)

    def curve(trial: Trial) -> Record:
        """Ten times the loss, then the loss: unless it is above a limit."""
        values = [10 * loss(trial), 2 * loss(trial), loss(trial)]
        for number, (value, limit) in enumerate(zip(values, trial.prune_above, strict=False)):
            if limit is not None and value > limit:
                return finished(trial, *values[: number + 1], status="pruned")
        return finished(trial, *values)

    ends = {}
    for name, suite in (("whole", whole), ("pruned", pruned)):
        records: dict[str, Record] = {}
        while search := [
            t for t in plan(suite, registry, records.values(), no_data) if t.is_search
        ]:
            records |= {trial.key: curve(trial) for trial in search}
            assert not any(t.prune_above for t in search if t.seed > SEEDS), (
                "tried again: it counts"
            )
        finals = plan(suite, registry, records.values(), no_data)
        ends[name] = records, [trial.key for trial in finals]
        again = plan(suite, registry, [*records.values()][::2], no_data)
        assert {trial.key for trial in again if trial.is_search} <= records.keys(), "as resumed"
    (records, finals), (fewer, same) = ends["whole"], ends["pruned"]
    assert {record.status for record in records.values()} == {"ok"}
    assert any(record.status == "pruned" for record in fewer.values())
    assert sorted(finals) == sorted(same), "and their keys know nothing of pruning"


def test_a_schedule_is_searched_with_the_optimizer(write_suite: Write, registry: Registry) -> None:
    schedule = '\n[[schedule]]\nname = "linear"\n'
    wider = {**BRACKET, "trials = 11": "trials = 14"}
    suite = load_suite(str(write_suite(bottom=schedule, **wider, **FREE)))

    def loss(trial: Trial) -> float:
        inner = trial.optimizer.options.get("base", trial.optimizer)
        return 1 + abs(math.log(inner.options["lr"] / 3e-3)) - trial.schedule.options["warmup"]

    records, finals = searched(suite, registry, loss)
    assert {trial.schedule.options["warmup"] for trial in finals} == {0.1}
    scores = results(finals[0].decoders[:1], [{"bleu": 3.0}])
    compared = compare([*records, *(record(trial, "ok", results=scores) for trial in finals)])
    assert {row["schedule"] for row in compared.accuracy} == {"linear"}
    assert {row["optimizer"] for row in compared.tuning} == {"adamw", "sam"}
    assert [(row["trials"], row["passes"]) for row in compared.tuning] == [(14, 14 * 12)] * 2


def test_a_search_without_a_winner_says_so(write_suite: Write, registry: Registry) -> None:
    suite = load_suite(str(write_suite(**BRACKET, **FREE)))

    def loss(trial: Trial) -> float:
        return math.inf if trial.optimizer.name == "sam" else 1.0

    records, finals = searched(suite, registry, loss)
    assert {trial.optimizer.name for trial in finals} == {"adamw"}
    scores = results(finals[0].decoders[:1], [{"bleu": 3.0}])
    compared = compare([*records, *(record(trial, "ok", results=scores) for trial in finals)])
    (note,) = (note for note in compared.notes if "no winner" in note)
    assert note.startswith("numbers-fr, sam: no winner, since none of 11 trials")
    (row,) = (row for row in compared.tuning if row["optimizer"] == "sam")
    assert (row["point"], row["options"], row["ok"]) == (None, {}, 0)


GUARDED = """
from dataclasses import replace
import msbench
from msbench.builtin.tasks.numbers import numbers_fr
from msbench.data.task import Split

class Hidden(Split):
    def batches(self, *args, **kwargs):
        raise RuntimeError("the test split was read")

@msbench.hookimpl
def register_tasks(register):
    register("guarded", guarded, fits=("seq2seq",))

def guarded():
    task = numbers_fr(below=200, examples=200)
    shown = task.test
    hidden = Hidden(shown.source, shown.target, shown.references, shown.input)
    return replace(task, test=hidden)
"""


@pytest.mark.parametrize("select", ["loss", "metric"])
def test_a_search_never_reads_the_test_split(
    select: str, write_suite: Write, write_plugin: Callable[..., str]
) -> None:
    """The test split of this task raises when examples are taken from it."""
    plugin = write_plugin(GUARDED)
    registry = load_plugins([plugin])
    changes = {**BRACKET, **FREE, "trials = 11": f"trials = 11\nselect = '{select}'"}
    task = {'name = "numbers-fr"\nbelow = 200\nexamples = 200': 'name = "guarded"'}
    suite = load_suite(str(write_suite(**changes, **task)))

    def guarded_fingerprint(part: Any) -> str:
        found: str = registry.build("task", part)().fingerprint()
        return found

    trial = plan(suite, registry, (), guarded_fingerprint)[0]
    assert trial.is_search
    done = run_job(trial, [plugin])
    assert done.status == "ok", done.reason
    final = replace(trial, tuned=None, seed=0)
    read_it = run_job(final, [plugin])
    assert read_it.status == "failed"
    assert "the test split was read" in read_it.reason


def test_a_run_says_who_chose_the_options(write_suite: Write) -> None:
    def note(**changes: str) -> str:
        (told,) = tuning_notes(load_suite(str(write_suite(**changes))))
        return told

    assert note().startswith("untuned: ")
    assert note().endswith("; the suite sets the rates of adamw, sam")
    free = note(**{"lr = 3e-3\n": "\n"})
    assert free.endswith("the suite sets the rates of sam; on default rates run adamw")
    assert note(top='tuned_by = "my search"').startswith("options: chosen by my search;")
    assert note(**BRACKET, **FREE).startswith("tuning: 11 trials for each of 2 optimizers")


def test_a_bracket_and_its_winners_in_one_run(write_suite: Write, tmp_path: Path) -> None:
    changes = {"[throughput]": "[tuning]\ntrials = 10\noptions = ['lr']\n[throughput]"}
    path = write_suite(**changes, **FREE, **{"rounds = 2": "rounds = 0", "seeds = 2": "seeds = 1"})
    done = CliRunner().invoke(main, ["run", str(path), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "tuning: 10 trials for each of 2 optimizers" in done.stderr
    records = read(tmp_path / "out/tiny").records
    assert sum(each.is_search for each in records) == 20
    compared = compare(records)
    assert not compared.untuned
    assert [(row["trials"], row["passes"]) for row in compared.tuning] == [(10, 120), (10, 120)]
    for row in compared.tuning:
        best = min(row["searched"], key=lambda point: point["validation_loss"])
        assert row["point"] is not None
        assert row["validation_loss"] <= best["validation_loss"] + 0.5
