"""What a suite file may say, and what is said when it is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from msbench.errors import SuiteError
from msbench.plan.shipped import shipped_suites
from msbench.plan.suite import load_suite
from msbench.plan.trials import plan
from msbench.plugins.loading import load_plugins
from msbench.plugins.registry import Registry
from msbench.spec import Choice, Trial

Write = Callable[..., Path]
Planned = Callable[..., list[Trial]]
Problems = Callable[..., list[str]]


@pytest.mark.parametrize("name", shipped_suites())
def test_shipped_suites_plan_and_state_their_budget(name: str, registry: Registry) -> None:
    suite = load_suite(name)
    assert plan(suite, registry, (), lambda part: "data")
    assert "passes" in suite.description


PACKAGES = Path(__file__).parents[2] / "plugins"
OF_PLUGINS = [path for path in PACKAGES.glob("*/*.toml") if path.name != "pyproject.toml"]


@pytest.mark.parametrize("name", [*shipped_suites(), *map(str, OF_PLUGINS)])
def test_shipped_suites_tell_the_passes_to_a_target(name: str) -> None:
    suite = load_suite(name)
    assert min(training.validations for training in suite.training.values()) >= 8


def test_nested_choice_and_seeds(write_suite: Write) -> None:
    suite = load_suite(str(write_suite()))
    assert suite.seeds == (0, 1)
    base = suite.optimizers[1].options["base"]
    assert isinstance(base, Choice)
    assert base.name == "adamw"
    assert base.options == {"lr": 3e-3}


def test_options_nest_two_levels_deep(planned: Planned) -> None:
    deep = """
[[optimizer]]
name = "lookahead"
base = { name = "sam", rho = 0.1, base = { name = "sgd", lr = 1 } }
"""
    part = next(t.optimizer for t in planned(bottom=deep) if t.optimizer.name == "lookahead")
    sam = part.options["base"]
    assert part.options["k"] == 5
    assert sam.options["rho"] == 0.1
    assert sam.options["base"].options == {"lr": 1.0, "weight_decay": 0.0, "decay": "matrices"}


def test_task_overrides_training(write_suite: Write) -> None:
    path = write_suite(**{"examples = 200": "examples = 200\ntraining = { passes = 7 }"})
    training = load_suite(str(path)).training["numbers-fr"]
    assert (training.passes, training.batch_size) == (7, 8)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("quik", r"unknown suite 'quik'; did you mean 'quick'\?"),
        ("nowhere/x.toml", r"nowhere/x\.toml: no such suite file"),
        ("a" * 300 + ".toml", "cannot be read: File name too long"),
    ],
)
def test_missing_suite(name: str, expected: str) -> None:
    with pytest.raises(SuiteError, match=expected):
        load_suite(name)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[[task]\n", r"bad\.toml: not valid TOML: .*line 1"),
        (b"\xff\xfe\x00", "not valid TOML"),
        (b"x = " + b"9" * 5000, "not valid TOML"),
        (b"x = " + b"[" * 5000, "not valid TOML"),
        (b"limit = inf", "limit: Input should be a finite number, not inf"),
    ],
)
def test_not_toml_and_absurd_files(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(SuiteError, match=expected):
        load_suite(str(path))


def test_all_shape_problems_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("""
seeds = 0
optimiser = 1
threads = 'two'
decoder = [3]
training = { pases = 3 }
tuning = { point = 3 }
launcher = { name = "processes", tasks = ["x"] }
phase = [{ passes = 0, optimizer = { lr = 3 } }]
task = [{ name = 'x', training = { clip = -1 } }]
""")
    with pytest.raises(SuiteError) as caught:
        load_suite(str(path))
    expected = """
model: missing; a suite needs it
optimizer: missing; a suite needs it
decoder[1]: should be a table, not 3
phase[1].optimizer.name: missing; a suite needs it
phase[1].passes: Input should be greater than or equal to 1, not 0
training.pases: unknown key; did you mean 'passes'?
task[1].training.clip: Input should be greater than or equal to 0, not -1
launcher.tasks: only an entry of [[model]], [[loss]], [[optimizer]], [[schedule]] or [[decoder]] \
can be restricted to some tasks
tuning.point: unknown key; did you mean 'points'?
seeds: Input should be a valid list, not 0
threads: Input should be a valid integer, not 'two'
optimiser: unknown key; did you mean 'optimizer'?
"""
    lines = expected.strip().split("\n")
    assert sorted(caught.value.problems) == sorted(f"{path}: {line}" for line in lines)


BASE = 'base = { name = "adamw", lr = 3e-3 }'
LR = "lr = 3e-3\n"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("top", "name = 'x'", "name: unknown key; there is: baseline, checkpoint, decoder"),
        ("seeds = 2", "seeds = []", "seeds: is empty; a suite needs one"),
        ("seeds = 2", "seeds = [1, -1]", "seeds[2]: Input should be greater than or equal to 0"),
        ("[[model]]", "[model]", "model: Input should be a valid list, not {'name': 'encoder-"),
        ("below = 200", "training = { pases = 7 }", "task[1].training.pases: unknown key; did you"),
        ("3e-3 }", "3, tasks = ['x'] }", "optimizer[2].base.tasks: only an entry of [[model]]"),
        ("3e-3 }", "3, label = 7 }", "optimizer[2].base.label: Input should be a valid string"),
        ('"sam"', '"smam"', "unknown optimizer 'smam'; did you mean 'sam'?"),
        (LR, "lrr = 3e-3\n", "optimizer 'adamw' has no option 'lrr'; did you mean 'lr'"),
        (LR, 'lr = "big"\n', "option 'lr': Input should be a valid number, not 'big'"),
        (LR, "lr = true\n", "option 'lr': Input should be a valid number, not True"),
        (LR, "lr = -1\n", "option 'lr': Input should be greater than 0, not -1"),
        (LR, "lr = 2020-01-01\n", "option 'lr': Input should be a valid number"),
        ("below = 200", "below = 2.5", "option 'below': Input should be a valid integer"),
        (BASE, 'base = { name = "adamww" }', "base: unknown optimizer 'adamww'; did you mean"),
        (BASE, "rho = 0.1", "option 'base' is missing"),
        (BASE, 'base = "adamw"', "base must be a table with a"),
        ('"beam"', '"argmax"', "no option 'width'"),
        ("width = 2", "width = 0", "option 'width': Input should be greater than or equal to 1"),
        ("heads = 2", "heads = 0", "option 'heads': Input should be greater than or equal to 1"),
        ('"greedy"', '"sample"\ntop_p = 1.5', "'top_p': Input should be less than or equal to 1"),
        ('"greedy"', '"sample"\ntemperature = 0.0', "'temperature': Input should be greater"),
        ('"greedy"', '"greedy"\nmin_length = 5\nmax_length = 2', "5 is above max_length 2"),
        ('"greedy"', '"greedy"\ntasks = ["numbers"]', "no task 'numbers' in this suite; did you"),
        (
            '"encoder-decoder"',
            '"encoder"',
            "works on classify and tag tasks, and 'numbers-fr' is a",
        ),
        ('baseline = "adamw"', 'baseline = "adam"', "no optimizer 'adam' in this suite; did you"),
        ("bottom", '\n[[decoder]]\nname = "argmax"', "decoder[3]: decoder 'argmax' works on class"),
        (
            "bottom",
            f'\n[[optimizer]]\nname = "sgd"\n{BASE}',
            "optimizer 'sgd' has no option 'base'",
        ),
        ("bottom", "\n[target]\nnumbers-fx = 1.0", "target.numbers-fx: no such task; did you mean"),
        (
            "bottom",
            '\n[target]\nnumbers-fr = "low"',
            "target.numbers-fr: Input should be a valid nu",
        ),
        ("top", 'device = "cuda:77"', "device: 'cuda:77' cannot be used: torch"),
    ],
)
def test_wrong_suites(problems: Problems, old: str, new: str, expected: str) -> None:
    lines = problems(**{old: new})
    assert any(expected in line for line in lines), lines


def test_every_problem_is_said_at_once(problems: Problems) -> None:
    wrong = {'name = "sam"': 'name = "smam"', 'name = "greedy"': 'name = "gredy"'}
    assert len(problems(**wrong)) == 2


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
    name: str, expected: str, problems: Problems, tmp_path: Path
) -> None:
    file = tmp_path / "broken.py"
    file.write_text(BROKEN)
    bottom = f'\n[[optimizer]]\nname = "{name}"\n'
    (line,) = problems(load_plugins([str(file)]), bottom=bottom)
    assert line.startswith(f"optimizer[3]: optimizer '{name}': ")
    assert expected in line


def test_targets_belong_to_tasks_and_change_no_trial(write_suite: Write, planned: Planned) -> None:
    bottom = "\n[target]\nnumbers-fr = 0.5\n"
    assert load_suite(str(write_suite(bottom=bottom))).targets == {"numbers-fr": 0.5}
    assert planned(bottom=bottom) == planned()
