"""What a suite file may say, and what is said when it is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from msbench.errors import SuiteError
from msbench.plan.suite import load_suite, shipped_suites
from msbench.plan.trials import plan
from msbench.plugins.loading import load_plugins
from msbench.plugins.registry import Registry
from msbench.spec import Choice, Part

Write = Callable[..., Path]


def no_data(part: Part) -> str:
    raise AssertionError("data was read although the suite is wrong")


def problems(path: Path | str, registry: Registry) -> list[str]:
    with pytest.raises(SuiteError) as caught:
        plan(load_suite(str(path)), registry, (), no_data)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("name", shipped_suites())
def test_shipped_suites_plan_and_state_their_budget(name: str, registry: Registry) -> None:
    suite = load_suite(name)
    assert plan(suite, registry, (), lambda part: "data")
    assert "passes" in suite.description


def test_nested_choice_and_seeds(write_suite: Write) -> None:
    suite = load_suite(str(write_suite()))
    assert suite.seeds == (0, 1)
    base = suite.optimizers[1].options["base"]
    assert isinstance(base, Choice)
    assert base.name == "adamw"
    assert base.options == {"lr": 3e-3}


def test_options_nest_two_levels_deep(write_suite: Write, registry: Registry) -> None:
    deep = """
[[optimizer]]
name = "lookahead"
base = { name = "sam", rho = 0.1, base = { name = "sgd", lr = 1 } }
"""
    trials = plan(load_suite(str(write_suite(bottom=deep))), registry, (), lambda part: "data")
    part = next(t.optimizer for t in trials if t.optimizer.name == "lookahead")
    sam = part.options["base"]
    assert part.options["k"] == 5
    assert sam.options["rho"] == 0.1
    assert sam.options["base"].options == {
        "lr": 1.0,
        "weight_decay": 0.0,
        "decay": "matrices",
    }


def test_task_overrides_training(write_suite: Write) -> None:
    path = write_suite(**{"examples = 200": "examples = 200\ntraining = { passes = 7 }"})
    training = load_suite(str(path)).training["numbers-fr"]
    assert (training.passes, training.batch_size) == (7, 8)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("quik", "unknown suite 'quik'; did you mean 'quick'?"),
        ("nowhere/x.toml", "nowhere/x.toml: no such suite file"),
    ],
)
def test_missing_suite(name: str, expected: str) -> None:
    with pytest.raises(SuiteError, match=expected.split("?")[0].replace(".", r"\.")):
        load_suite(name)


def test_not_toml(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[[task]\n")
    with pytest.raises(SuiteError, match=r"bad\.toml: not valid TOML: .*line 1"):
        load_suite(str(path))
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SuiteError, match="not valid TOML"):
        load_suite(str(path))


def test_all_shape_problems_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(
        "seeds = 0\noptimiser = 1\nthreads = 'two'\n[training]\npases = 3\n[[task]]\nname = 'x'\n"
    )
    with pytest.raises(SuiteError) as caught:
        load_suite(str(path))
    said = "\n".join(caught.value.problems)
    assert "seeds:" in said
    assert "optimiser: unknown key; did you mean 'optimizer'?" in said
    assert "threads: Input should be a valid integer, not 'two'" in said
    assert "training.pases: unknown key; did you mean 'passes'?" in said
    assert "model: missing" in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = " + "9" * 5000, "not valid TOML"),
        ("x = " + "[" * 5000, "not valid TOML"),
        ('limit = inf\n[[task]]\nname = "x"', "limit: Input should be a finite number"),
    ],
)
def test_absurd_files(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "absurd.toml"
    path.write_text(text)
    with pytest.raises(SuiteError, match=expected):
        load_suite(str(path))


def test_absurd_names() -> None:
    with pytest.raises(SuiteError, match="cannot be read: File name too long"):
        load_suite("a" * 300 + ".toml")


@pytest.mark.parametrize("extra", ["tasks = ['x']", "label = 7"])
def test_nested_choices_are_checked(write_suite: Write, extra: str) -> None:
    path = write_suite(**{'"adamw", lr = 3e-3 }': '"adamw", ' + extra + " }"})
    with pytest.raises(SuiteError, match=r"optimizer\[2\]\.base\."):
        load_suite(str(path))


def test_task_training_problems_name_the_task(write_suite: Write) -> None:
    path = write_suite(**{"examples = 200": "examples = 200\ntraining = { pases = 7 }"})
    with pytest.raises(SuiteError, match=r"task\[1\]\.training\.pases: unknown key"):
        load_suite(str(path))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('name = "sam"', 'name = "smam"', "unknown optimizer 'smam'; did you mean 'sam'?"),
        ("lr = 3e-3\n", "lrr = 3e-3\n", "optimizer 'adamw' has no option 'lrr'; did you mean 'lr'"),
        ("lr = 3e-3\n", 'lr = "big"\n', "option 'lr': Input should be a valid number, not 'big'"),
        ("lr = 3e-3\n", "lr = true\n", "option 'lr': Input should be a valid number, not True"),
        ("below = 200", "below = 2.5", "option 'below': Input should be a valid integer"),
        ('"adamw", lr = 3e-3 }', '"adamww" }', "base: unknown optimizer 'adamww'; did you mean"),
        ('base = { name = "adamw", lr = 3e-3 }', "rho = 0.1", "option 'base' is missing"),
        ('base = { name = "adamw", lr = 3e-3 }', 'base = "adamw"', "base must be a table with a"),
        ('name = "beam"', 'name = "argmax"', "no option 'width'"),
        ("width = 2", "width = 0", "option 'width': Input should be greater than or equal to 1"),
        (
            '"greedy"',
            '"sample"\ntop_p = 1.5',
            "option 'top_p': Input should be less than or equal to 1",
        ),
        (
            '"greedy"',
            '"sample"\ntemperature = 0.0',
            "option 'temperature': Input should be greater",
        ),
        (
            '"greedy"',
            '"greedy"\nmin_length = 5\nmax_length = 2',
            "min_length 5 is above max_length 2",
        ),
        ("lr = 3e-3\n", "lr = -1\n", "option 'lr': Input should be greater than 0, not -1"),
        ("lr = 3e-3\n", "lr = 2020-01-01\n", "option 'lr': Input should be a valid number"),
        ("heads = 2", "heads = 0", "option 'heads': Input should be greater than or equal to 1"),
        (
            '"encoder-decoder"',
            '"encoder"',
            "works on classify and tag tasks, and 'numbers-fr' is a seq2seq",
        ),
        ('baseline = "adamw"', 'baseline = "adam"', "no optimizer 'adam' in this suite; did you"),
        ('name = "greedy"', 'name = "greedy"\ntasks = ["numbers"]', "no task 'numbers' in this"),
    ],
)
def test_wrong_parts(
    write_suite: Write, registry: Registry, old: str, new: str, expected: str
) -> None:
    path = write_suite(**{old: new})
    said = problems(path, registry)
    assert any(expected in line for line in said), said
    assert all(line.startswith(str(path)) for line in said), said


def test_a_decoder_that_fits_no_task(write_suite: Write, registry: Registry) -> None:
    path = write_suite(bottom='\n[[decoder]]\nname = "argmax"\n')
    (said,) = problems(path, registry)
    assert "decoder[3]: decoder 'argmax' works on classify and tag tasks" in said


def test_a_device_that_is_not_there(write_suite: Write, registry: Registry) -> None:
    said = problems(write_suite(top='device = "cuda:77"'), registry)
    assert any("device: 'cuda:77' cannot be used: torch" in line for line in said)


def test_every_problem_is_said_at_once(write_suite: Write, registry: Registry) -> None:
    path = write_suite(**{'name = "sam"': 'name = "smam"', 'name = "greedy"': 'name = "gredy"'})
    assert len(problems(path, registry)) == 2


BROKEN = """
import msbench
import torch


@msbench.hookimpl
def register_optimizers(register):
    register("forgetful", forgetful)
    register("strict", strict)


def forgetful(model):
    return torch.optim.SGD([p for p in model.parameters() if p.ndim > 1], lr=0.1)


def strict(model, lr=-1.0):
    return torch.optim.SGD(model.parameters(), lr=lr)
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("forgetful", r"the optimizer forgets 4 of 7 weights, such as 'hidden.bias'"),
        ("strict", "Invalid learning rate: -1.0"),
    ],
)
def test_optimizers_that_cannot_work_are_refused(
    name: str, expected: str, write_suite: Write, tmp_path: Path
) -> None:
    file = tmp_path / "broken.py"
    file.write_text(BROKEN)
    path = write_suite(bottom=f'\n[[optimizer]]\nname = "{name}"\n')
    said = "\n".join(problems(path, load_plugins([str(file)])))
    assert f"optimizer[3]: optimizer '{name}': " in said
    assert expected in said


def test_an_optimizer_that_takes_no_base_is_told(write_suite: Write, registry: Registry) -> None:
    bottom = '\n[[optimizer]]\nname = "sgd"\nbase = { name = "adamw" }\n'
    said = "\n".join(problems(write_suite(bottom=bottom), registry))
    assert "optimizer[3]: optimizer 'sgd' has no option 'base'" in said


def test_targets_belong_to_tasks_and_change_no_trial(
    write_suite: Write, registry: Registry
) -> None:
    plain = plan(load_suite(str(write_suite())), registry, (), lambda part: "data")
    suite = load_suite(str(write_suite(bottom="\n[target]\nnumbers-fr = 0.5\n")))
    assert suite.targets == {"numbers-fr": 0.5}
    assert plan(suite, registry, (), lambda part: "data") == plain
    wrong = write_suite(bottom="\n[target]\nnumbers-fx = 0.5\n")
    (said,) = problems(wrong, registry)
    assert "target.numbers-fx: no such task; did you mean 'numbers-fr'?" in said
    (said,) = problems(write_suite(bottom='\n[target]\nnumbers-fr = "low"\n'), registry)
    assert "target.numbers-fr: Input should be a valid number, not 'low'" in said


BEAM = 'name = "beam"\nwidth = 2'


def decoders(path: Path, registry: Registry) -> list[Part]:
    (trial, *_) = plan(load_suite(str(path)), registry, (), lambda part: "data")
    return [part for part in trial.decoders if part.name == "beam"]


def test_a_ladder_is_the_product_of_its_lists(write_suite: Write, registry: Registry) -> None:
    ladder = 'name = "beam"\nlabel = "wide"\nwidth = [1, 2, 4]\nlength_penalty = [0.0, 1]'
    found = decoders(write_suite(**{BEAM: ladder}), registry)
    pairs = {(part.options["width"], part.options["length_penalty"]) for part in found}
    assert len(found) == 6
    assert pairs == {(w, p) for w in (1, 2, 4) for p in (0.0, 1.0)}
    assert {part.label for part in found} == {"wide"}


def test_a_rung_is_the_decoder_that_says_it_alone(write_suite: Write, registry: Registry) -> None:
    bottom = '\n[[decoder]]\nname = "beam"\nwidth = 4\n'
    ladder = decoders(write_suite(**{BEAM: BEAM.replace("2", "[4, 2]")}), registry)
    assert ladder == decoders(write_suite(bottom=bottom), registry)
    twice = write_suite(bottom=bottom, **{BEAM: BEAM.replace("2", "[2, 4]")})
    assert ladder == decoders(twice, registry), "one that two tables name is one"


LISTS = """
from collections.abc import Sequence
import msbench


@msbench.hookimpl
def register_decoders(register):
    register("lists", lists, fits=["seq2seq"])
    register("outer", outer, fits=["seq2seq"])


def lists(
    typed: tuple[float, ...] = (), several: Sequence[int] | None = None, defaulted=[1], free=None,
    one: int | str = 1,
):
    return lambda model, batch: [[] for _ in batch.rows]


def outer(decoder):
    return decoder()
"""


@pytest.fixture
def with_lists(tmp_path: Path) -> Registry:
    file = tmp_path / "lists.py"
    file.write_text(LISTS)
    return load_plugins([str(file)])


def test_a_list_stays_a_value_where_the_option_takes_lists(
    write_suite: Write, with_lists: Registry
) -> None:
    text = (
        '\n[[decoder]]\nname = "lists"\ntyped = [0.5, 1]\nseveral = [1, 2]\n'
        'defaulted = [3, 4]\nfree = [5, 6]\none = [7, "8"]\n'
    )
    suite = load_suite(str(write_suite(bottom=text)))
    (trial, *_) = plan(suite, with_lists, (), lambda part: "data")
    found = [dict(part.options) for part in trial.decoders if part.name == "lists"]
    whole = {"typed": (0.5, 1.0), "several": [1, 2], "defaulted": [3, 4], "free": [5, 6]}
    assert sorted(map(str, found)) == sorted(str({**whole, "one": one}) for one in (7, "8"))


@pytest.mark.parametrize(
    ("ladder", "expected"),
    [
        ("width = []", ["option 'width': an empty list leaves no decoder"]),
        ("width = [4, 2, 4]", ["option 'width': 4 is in the list twice"]),
        (
            'width = [1, "x", true]\nlength_penalty = [0, "y"]',
            [
                "option 'width': Input should be a valid integer, not 'x'",
                "option 'width': Input should be a valid integer, not True",
                "option 'length_penalty': Input should be a valid number, not 'y'",
            ],
        ),
        ("width = [2, 0]", ["option 'width': Input should be greater than or equal to 1, not 0"]),
        ("widht = [1, 2]", ["decoder 'beam' has no option 'widht'; did you mean 'width'?"]),
    ],
)
def test_wrong_ladders(
    write_suite: Write, registry: Registry, ladder: str, expected: list[str]
) -> None:
    said = problems(write_suite(**{BEAM: f'name = "beam"\n{ladder}'}), registry)
    assert len(said) == len(expected), said
    assert all("decoder[2]: " in line for line in said)
    assert all(any(each in line for line in said) for each in expected), said


def test_only_a_decoder_itself_has_ladders(write_suite: Write, with_lists: Registry) -> None:
    nested = '\n[[decoder]]\nname = "outer"\ndecoder = { name = "beam", width = [2, 4] }\n'
    path = write_suite(bottom=nested, **{"lr = 3e-3\n": "lr = [1e-3, 3e-3]\n"})
    said = problems(path, with_lists)
    hint = "; several values are for the options of a [[decoder]] itself and for [tuning]"
    assert len(said) == 2
    assert all(line.endswith(hint) for line in said), said
    assert "decoder: decoder 'beam': option 'width': Input should be a valid integer" in said[1]
