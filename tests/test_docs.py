"""Documents are tests: what they show must run."""

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msbench.plan.suite import load_suite
from msbench.plan.trials import Fingerprint, plan
from msbench.plugins import hookspecs
from msbench.plugins.loading import load_plugins
from msbench.plugins.registry import Registry
from msbench.run.job import run_job

ROOT = Path(__file__).parent.parent


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)


def test_the_readmes_plugin_runs(
    write_suite: Callable[..., Path], tmp_path: Path, fingerprint: Fingerprint
) -> None:
    (code,) = blocks("README.md", "python")
    file = tmp_path / "mine.py"
    file.write_text(code)
    suite = load_suite(str(write_suite(bottom='\n[[optimizer]]\nname = "rprop"\nlr = 0.002\n')))
    trials = plan(suite, load_plugins([str(file)]), (), fingerprint)
    result = run_job(next(t for t in trials if t.optimizer.name == "rprop"), [str(file)])
    assert result.status == "ok", result.reason
    assert result.job["optimizer"]["plugin"] == "mine.py"


def test_the_documented_suite_plans(tmp_path: Path, registry: Registry) -> None:
    code, tuning, by_strategy, phases = blocks("docs/suites.md", "toml")
    path = tmp_path / "documented.toml"
    path.write_text(code)
    assert len(plan(load_suite(str(path)), registry, (), lambda part: "data")) == 11
    free = code.replace("lr = 4e-3\n", "").replace(", lr = 8e-3", "")
    path.write_text(free + tuning)
    assert (
        len(plan(load_suite(str(path)), registry, (), lambda part: "data")) == 7
    )  # three rates of each, and the yardstick
    path.write_text(re.sub(r"\[\[optimizer\]\].*?(?=\[\[dec)", by_strategy, code, flags=re.DOTALL))
    budgets = {
        (trial.optimizer.label, trial.training.budget)
        for trial in plan(load_suite(str(path)), registry, (), lambda part: "data")
        if not trial.yardstick
    }
    assert budgets == {("", ("passes", 800)), ("sam-equal-steps", ("steps", 800))}
    path.write_text(code + phases)
    trial, *_ = plan(load_suite(str(path)), registry, (), lambda part: "data")
    assert [phase.passes for phase in trial.stages()] == [200, 600]


PARTS = """
[[model]]
name = "bag"

[[model]]
name = "encoder-decoder"

[[optimizer]]
name = "adamw"

[[decoder]]
name = "argmax"

[[decoder]]
name = "greedy"
"""


@pytest.mark.parametrize("name", ["README.md", "docs/tasks.md"])
def test_the_documented_tasks_plan(name: str, tmp_path: Path, registry: Registry) -> None:
    for code in blocks(name, "toml"):
        kind = "seq2seq" if "mixture" in code else "classify"
        kept = [p for p in PARTS.split("\n\n") if fits_kind(p, kind, registry)]
        path = tmp_path / "documented.toml"
        path.write_text(code + "\n\n".join(kept))
        (trial, *_) = plan(load_suite(str(path)), registry, (), lambda part: "data")
        assert trial.model.name == ("bag" if kind == "classify" else "encoder-decoder")


def fits_kind(part: str, kind: str, registry: Registry) -> bool:
    (what,), (name,) = re.findall(r"\[\[(\w+)", part), re.findall(r'name = "(.*)"', part)
    entry = registry.entries[what, name]  # type: ignore[index]
    return not entry.fits or kind in entry.fits


def test_every_task_is_documented(registry: Registry) -> None:
    text = (ROOT / "docs/tasks.md").read_text()
    assert [e.name for e in registry.of("task") if f"`{e.name}`" not in text] == []


def test_every_hook_is_documented() -> None:
    text = (ROOT / "docs/plugins.md").read_text()
    hooks = [name for name in vars(hookspecs) if name.startswith("register_")]
    assert len(hooks) == 11
    for name in hooks:
        assert f"`{name}(register)`" in text
        assert f"**{name.removeprefix('register_').removesuffix('s').removesuffix('e')}" in text


def test_the_documented_launcher_runs() -> None:
    (_, code) = blocks("docs/plugins.md", "python")
    names: dict[str, Any] = {}
    exec(code, names)
    launched = names["in_turn"]()([1, 2], lambda job: -job, limit=1.0, preload=())
    assert list(launched) == [1, -1, 2, -2]


def test_links_lead_somewhere() -> None:
    """To a file and, where one is named, to a heading. `make site` checks its own, too."""
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")]
    anchors = {page: anchors_of(page) for page in pages}
    for page in pages:
        text = re.sub(r"<!-- \[\[\[cog.*?\]\]\] -->", "", page.read_text(), flags=re.DOTALL)
        for target in re.findall(r'\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"', text):
            file, _, anchor = "".join(target).partition("#")
            if file.startswith("https:"):
                continue
            there = (page.parent / file).resolve() if file else page
            assert there.exists(), f"{page}: {file}"
            assert not anchor or anchor in anchors[there], f"{page}: {file}#{anchor}"


def anchors_of(page: Path) -> set[str]:
    """What GitHub makes of its headings, and what is named by itself."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in headings}
    return slugs | set(re.findall(r'id="([^"]+)"', text))


NAMED = re.compile(r"`([\w/]+\.(?:py|html))(?:: ([\w., ]+))?`")
"""`file.py: name, Class.name` in docs/architecture.md."""


def test_the_architecture_names_what_exists() -> None:
    references = NAMED.findall((ROOT / "docs/architecture.md").read_text())
    assert len(references) > 50
    for file, names in references:
        path = ROOT / "msbench" / file
        path = path if path.exists() else ROOT / file  # `msbench/__init__.py`
        missing = set(filter(None, names.split(", "))) - defined_in(path)
        assert not missing, f"{file}: {missing}"


def defined_in(path: Path) -> set[str]:
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
    return names


def test_a_change_touches_few_files() -> None:
    table = (ROOT / "docs/architecture.md").read_text().partition("## Where to change what")[2]
    changes = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| a")]
    assert len(changes) == 13
    for change, files in changes:
        named = {file for file, _ in NAMED.findall(files)}
        assert len(named) <= (5 if "part kind" in change else 3), change
