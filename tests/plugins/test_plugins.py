"""Finding plugins: files, entry points, and everything that can be wrong with one."""

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

from msbench.errors import MsbenchError, PluginError, SuiteError
from msbench.kinds import kind_of
from msbench.plan.suite import load_suite
from msbench.plan.trials import plan
from msbench.plugins import loading
from msbench.plugins.loading import load_plugins
from msbench.plugins.registry import Plugin, Registry
from msbench.run.driver import preload_modules
from msbench.spec import KINDS, Choice

GOOD = """
import msbench
import torch

@msbench.hookimpl
def register_optimizers(register):
    register("rprop", rprop, idea="Rprop", steps="memory")

def rprop(model, lr=1e-3, centered: bool = False):
    return torch.optim.Rprop(model.parameters(), lr=lr, centered=centered)
"""


@pytest.fixture
def write(write_plugin: Callable[..., str]) -> Callable[[str], str]:
    """Writes a plugin file whose name is no name of a module."""
    return lambda text: write_plugin(text, "a-plugin.py")


def test_file_plugin(write: Callable[[str], str]) -> None:
    registry = load_plugins([write(GOOD)])
    part = registry.resolve("optimizer", Choice("rprop", {"lr": 1}))
    assert part.options == {"lr": 1.0, "centered": False}
    assert part.plugin == "a-plugin.py"
    assert part.version.startswith("sha256:")
    assert registry.resolve("optimizer", Choice("adamw")).plugin == "msbench"


def test_the_version_of_a_file_is_its_content(write: Callable[[str], str]) -> None:
    first = load_plugins([write(GOOD)]).find("optimizer", "rprop").version
    second = load_plugins([write(GOOD + "\n# changed\n")]).find("optimizer", "rprop").version
    assert first != second


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import no_such_module", "No module named 'no_such_module'"),
        ("def f(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("x = 1", "registers nothing"),
        (
            GOOD.replace("register_optimizers", "register_optimisers").replace(
                "@msbench.hookimpl", ""
            ),
            "'register_optimisers' is not marked",
        ),
        (GOOD.replace('steps="memory"', 'fits="classify"'), "fits is a list, not 'classify'"),
        (
            GOOD.replace('steps="memory"', 'base=1, space=[], passes="x"'),
            "optimizer 'rprop': base is a text, not 1; space is a mapping of options, not []; "
            "passes is a number, not 'x'",
        ),
        (GOOD.replace("optimizers(", "optimizer("), "unknown hook 'register_optimizer'; did you"),
        (GOOD.replace("@msbench.hookimpl", ""), "'register_optimizers' is not marked"),
        (GOOD.replace("(register)", "(registry)", 1), "registry"),
        (GOOD.replace("idea=", "ideas="), "ideas"),
        (GOOD.replace(", rprop,", ', "rprop",'), 'a function or "module:attribute"'),
        (GOOD.replace('"rprop", rprop', '"adamw", rprop'), "two plugins claim optimizer"),
    ],
)
def test_bad_file(write: Callable[[str], str], text: str, expected: str) -> None:
    with pytest.raises(PluginError) as caught:
        load_plugins([write(text)])
    assert expected in str(caught.value)
    assert "a-plugin.py" in str(caught.value)


def test_missing_file() -> None:
    with pytest.raises(PluginError, match=r"nowhere\.py: cannot be read: No such file"):
        load_plugins(["nowhere.py"])


def test_a_clash_names_both(write: Callable[[str], str]) -> None:
    with pytest.raises(PluginError, match=r"'adamw': msbench .* and a-plugin\.py sha256"):
        load_plugins([write(GOOD.replace('"rprop", rprop', '"adamw", rprop'))])


def test_a_broken_installed_plugin_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode() -> Plugin:
        raise ImportError("libfoo.so is missing")

    installed = loading._installed()
    monkeypatch.setattr(loading, "_installed", lambda only: [("msbench-foo", explode), *installed])
    registry = load_plugins()
    assert registry.broken == {"msbench-foo": "ImportError: libfoo.so is missing"}
    assert registry.find("optimizer", "adamw")
    with pytest.raises(PluginError, match="not loaded: msbench-foo"):
        registry.find("optimizer", "foo")


def test_an_allow_list_narrows_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of a distribution or of an entry point; what is not on it is not imported."""
    everything = {plugin.name for plugin in load_plugins().plugins}
    monkeypatch.setenv("MSBENCH_PLUGINS", "")
    assert [plugin.name for plugin in load_plugins().plugins] == ["msbench"]
    for other in everything - {"msbench"}:
        monkeypatch.setenv("MSBENCH_PLUGINS", f" {other},")
        assert {plugin.name for plugin in load_plugins().plugins} == {"msbench", other}
    monkeypatch.setenv("MSBENCH_PLUGINS", "builtn")
    with pytest.raises(PluginError, match="MSBENCH_PLUGINS: no plugin 'builtn' is installed; did"):
        load_plugins()


def test_an_entry_point_called_like_ours_is_not_on_the_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    point = EntryPoint("msbench", "evil", loading.GROUP)
    monkeypatch.setenv("MSBENCH_PLUGINS", "")
    assert not loading._allowed({("evil-plugin", "evil"): ("1", point)})
    monkeypatch.setenv("MSBENCH_PLUGINS", "evil-plugin")
    assert loading._allowed({("evil-plugin", "evil"): ("1", point)})


ENSEMBLE = """
import msbench, torch

@msbench.hookimpl
def register_models(register):
    register("drawn", lambda task: torch.rand(1))
    register("ensemble", ensemble)

def ensemble(task, of):
    return [make(task) for make in of.values()]
"""


def test_parts_of_one_part_draw_different_numbers(write: Callable[[str], str]) -> None:
    registry = load_plugins([write(ENSEMBLE)])
    members = [Choice("drawn", label=label) for label in "abc"]
    make = registry.build("model", registry.resolve("model", Choice("ensemble", {"of": members})))
    before = torch.get_rng_state()
    drawn = [float(each) for each in make(None)]
    assert len(set(drawn)) == 3
    assert torch.equal(torch.get_rng_state(), before), "what is built next draws from where it was"
    assert [float(each) for each in make(None)] == drawn


def test_what_is_imported_for_all_trials_is_ours_or_asked_for(write: Callable[[str], str]) -> None:
    registry = load_plugins([write(GOOD)])
    entries = [registry.find("optimizer", name) for name in ("rprop", "adamw")]
    assert all(name.startswith("msbench.") for name in preload_modules(registry, entries))
    modules = preload_modules(registry, [*entries, registry.find("model", "encoder")])
    assert [name for name in modules if not name.startswith("msbench.")] == ["torch._dynamo"]


LEAVING = """
import msbench

@msbench.hookimpl
def register_losses(register):
    register("leaving", leaving)

def leaving():
    raise SystemExit(0)
"""


def test_a_factory_that_ends_the_process_is_a_problem_of_the_suite(
    write: Callable[[str], str], write_suite: Callable[..., Path]
) -> None:
    suite = load_suite(str(write_suite(bottom='[[loss]]\nname = "leaving"')))
    with pytest.raises(SuiteError, match="loss 'leaving' ends the process"):
        plan(suite, load_plugins([write(LEAVING)]), (), lambda part: "data")


def test_zero_has_no_sign(registry: Registry) -> None:
    choices = [Choice("adamw", {"weight_decay": zero}) for zero in (0.0, -0.0)]
    assert len({registry.resolve("optimizer", each).json for each in choices}) == 1


def test_a_factory_that_cannot_be_imported_says_whose_it_is(write: Callable[[str], str]) -> None:
    text = GOOD.replace(", rprop,", ', "no_such_module:thing",')
    registry = load_plugins([write(text)])
    with pytest.raises(PluginError, match=r"a-plugin\.py .* cannot be imported"):
        registry.resolve("optimizer", Choice("rprop"))


def test_free_options_are_passed_on(write: Callable[[str], str]) -> None:
    text = GOOD.replace("centered: bool = False", "**options").replace("centered=centered", "")
    registry = load_plugins([write(text)])
    part = registry.resolve("optimizer", Choice("rprop", {"momentum": 0.5}))
    assert part.options == {"lr": 1e-3, "momentum": 0.5}


def test_an_options_type_may_be_a_tuple(write: Callable[[str], str]) -> None:
    text = GOOD.replace("centered: bool = False", "betas: tuple[float, ...] = (0.9,)")
    registry = load_plugins([write(text.replace(", centered=centered", ""))])
    part = registry.resolve("optimizer", Choice("rprop", {"betas": [0.5, 1]}))
    assert part.options["betas"] == (0.5, 1.0)


def test_kinds_may_be_plural() -> None:
    assert kind_of("losses") == kind_of("loss") == "loss"
    with pytest.raises(MsbenchError, match="unknown kind 'optimiser'; did you mean 'optimizer'"):
        kind_of("optimiser")


def test_every_hook_has_a_part_of_ours(registry: Registry) -> None:
    for kind in KINDS:
        assert registry.of(kind), kind


def test_every_factory_of_ours_exists_and_every_option_has_a_default(
    registry: Registry,
) -> None:
    for entry in registry.entries.values():
        assert entry.idea
        if entry.kind != "command":
            missing = [n for n, p in entry.options().items() if p.default is p.empty]
            assert missing in ([], ["base"], ["of"], ["kind", "train"]), entry.name


def test_names_are_resolved_without_the_working_folder(
    write: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = list(sys.path)
    load_plugins([write(GOOD)])
    assert sys.path == before


def test_dataclasses_and_obliging_objects_are_fine(write: Callable[[str], str]) -> None:
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "from torch import ops\n" + GOOD + "\n@dataclass\nclass Thing:\n    x: int = 1\n"
    )
    registry = load_plugins([write(text)])
    assert registry.resolve("optimizer", Choice("rprop")).options["centered"] is False


@pytest.mark.parametrize("default", ["torch.float32", "object()"])
def test_options_are_plain_data(write: Callable[[str], str], default: str) -> None:
    text = GOOD.replace("centered: bool = False", f"centered={default}")
    with pytest.raises(PluginError, match="option 'centered'"):
        load_plugins([write(text)]).resolve("optimizer", Choice("rprop"))
