"""Names: misspelt, leading out of their folder, full of markup, formulas, control characters."""

import csv
import io
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import Attack
from hostile import HOSTILE, hostile_records
from lxml import etree, html
from toml import document

from msbench.cli.app import OWN, main
from msbench.errors import MsbenchError, SuiteError, printable
from msbench.paths import inside
from msbench.plan.shipped import shipped_suites
from msbench.plan.suite import load_suite
from msbench.plan.trials import plan
from msbench.plugins.registry import Registry
from msbench.run.weights import weights_file
from msbench.spec import FORMATS, LISTED, PICTURES

pytestmark = pytest.mark.usefixtures("server")

LETTERS = "abcdefghijklmnopqrstuvwxyz"

QUICK = "tests/kept/quick"

SUITE: dict[str, Any] = {
    "task": [{"name": "numbers-fr", "below": 200, "examples": 200}],
    "model": [{"name": "encoder-decoder", "width": 16, "layers": 1, "heads": 2}],
    "optimizer": [{"name": "adamw", "lr": 3e-3}],
    "decoder": [{"name": "greedy"}],
    "training": {"passes": 4, "batch_size": 8, "validations": 1},
    "throughput": {"rounds": 0},
    "seeds": 1,
}


def said(*words: str) -> str:
    """What a command prints, on both streams; it may fail, but not by an exception."""
    result = CliRunner().invoke(main, list(words))
    assert isinstance(result.exception, SystemExit | None), f"{words}: {result.exception!r}"
    return result.output


def misspelt(name: str, draw: Any) -> str:
    """The name with one letter dropped, doubled, changed, or two swapped."""
    at = draw.randrange(len(name) - 1)
    return draw.choice(
        [
            name[:at] + name[at + 1 :],
            name[:at] + name[at] + name[at:],
            name[:at] + draw.choice(LETTERS) + name[at + 1 :],
            name[:at] + name[at + 1] + name[at] + name[at + 2 :],
        ]
    )


def askers(path: Path, registry: Registry) -> dict[str, tuple[list[str], Callable[[str], str]]]:
    """Kinds of names: all that there are, and what is said to one."""

    def suite(change: Callable[[dict[str, Any]], Any]) -> str:
        table = tomllib.loads(document(SUITE))
        change(table)
        path.write_text(document(table))
        try:
            plan(load_suite(str(path)), registry, (), lambda part: "data")
        except SuiteError as error:
            return str(error)
        return ""

    def part(kind: str) -> Callable[[str], str]:
        return lambda typo: suite(lambda table: table.update({kind: [{"name": typo}]}))

    kinds: dict[str, Any] = {
        f"{kind}s": ([entry.name for entry in registry.of(kind)], part(kind)) for kind in LISTED
    }
    beam = [*registry.find("decoder", "beam").options()]
    keys = ["training", "throughput", "launcher", "baseline", "description", "device", "threads"]
    budget = ["passes", "steps", "seconds", "batch_size", "validations", "accumulate", "clip"]
    return kinds | {
        "options": (beam, lambda x: suite(lambda t: t["decoder"].append({"name": "beam", x: 1}))),
        "keys": (keys, lambda typo: suite(lambda table: table.update({typo: 1}))),
        "keys of tables": (budget, lambda typo: suite(lambda t: t["training"].update({typo: 1}))),
        "commands": ([*OWN], lambda typo: said(typo)),
        "options of commands": (
            ["--format", "--baseline", "--margin"],
            lambda x: said("compare", x),
        ),
        "suites": ([*shipped_suites()], lambda typo: said("run", typo)),
        "plots": ([*PICTURES], lambda x: said("plot", QUICK, "--kind", x, "-o", "x.svg")),
        "formats": ([*FORMATS], lambda typo: said("compare", QUICK, "--format", typo)),
        "kinds of parts": (["optimizer", "decoder", "launcher"], lambda typo: said("list", typo)),
        "results": (["quick"], lambda typo: said("compare", typo)),
    }


@pytest.mark.attack("I3", "a letter wrong in names of parts, keys, options, commands, formats")
def test_typos(attack: Attack, tmp_path: Path, registry: Registry) -> None:
    """The right name is suggested in at least 90 % of all."""
    draw, right, wrong = attack.generator(), 0, list[str]()
    asked = [(names, ask) for names, ask in askers(tmp_path / "t.toml", registry).values()]
    for number in range(attack.times(50, 1000)):
        names, ask = asked[number % len(asked)]
        name = draw.choice(names)
        typo = misspelt(name, draw)
        if typo in names or not typo:
            continue
        attack.tried += 1
        answer = ask(typo)
        if re.search(rf"[Dd]id you mean '?{re.escape(name)}\b", answer):
            right += 1
        else:
            wrong.append(f"{typo}: {answer[:200]}")
    attack.notes = f"{right} of {attack.tried} right"
    if right < 0.9 * attack.tried:
        attack.lost += wrong


PAYLOADS = [
    *("..", ".", "../out", "../../out", "/tmp/msbench-out", "a/../../out", "..\\out", "C:\\out"),
    *("\0", "a\0b", "a\nb", "\x1b[2J", "~", "~/out", "$HOME", "%2e%2e%2fout", "CON", "-rf", "*"),
    *("file:///tmp/out", "\u2025", "\u2024\u2024/out", "x" * 300, "`id`", "$(id)", "a;b", ""),
]


def made_of(name: str, folder: Path) -> list[Path]:
    """The paths that are made of a name, unless it is refused."""
    try:
        return [inside(folder, name), weights_file(folder, name)]
    except MsbenchError:
        return []


def tree(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in with others above it, and all that is written for us below those."""
    folder = tmp_path / "one/two/three"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.attack("I4", "paths in every name and path of a suite, a record, a file")
def test_paths_in_names(attack: Attack, deep: Path, tmp_path: Path) -> None:
    """Refused, or nothing but a name: nothing is written outside of the folders that were given."""
    out = deep / "results"
    for payload in PAYLOADS:
        with attack.case(f"a name {payload!r}"):
            assert all(path.parent == out for path in made_of(payload, out))
        with attack.case(f"a suite {payload!r}"):
            said("run", f"{payload}.toml", "--dry-run")
        with attack.case(f"data in {payload!r}"):
            task = {"name": "files", "kind": "classify", "train": payload}
            bag = {"task": [task], "model": [{"name": "bag"}], "decoder": [{"name": "argmax"}]}
            (deep / "paths.toml").write_text(document({**SUITE, **bag}))
            assert "files: " in said("run", "paths.toml", "--dry-run") or not payload
        with attack.case(f"results in {payload!r}"):
            said("compare", payload)
    for name in ("...toml", "..toml"):
        (deep / name).write_text(document(SUITE))
        with attack.case(f"a suite {name}"):
            assert "cannot be the name" in said("run", name) or name == "..toml"
    labels = [{**SUITE["optimizer"][0], "label": each} for each in PAYLOADS if each]
    called = {
        "task": [{**SUITE["task"][0], "label": "../../task"}],
        "optimizer": labels[: attack.times(3, 99)],
        "decoder": [{"name": "greedy", "label": "../../decoder"}],
        "keep_weights": True,
    }
    (deep / "paths.toml").write_text(document({**SUITE, **called}))
    before = tree(tmp_path)
    for words in (
        ["run", "paths.toml", "--workers", "1"],
        ["report", "results/paths", "-o", "results/page.html"],
        ["plot", "results/paths", "--kind", "curves", "-o", "results/curves.svg"],
        ["decode", "results/paths", "--decoder", "argmax"],
    ):
        with attack.case(f"{words[0]}, where everything is called by a path"):
            said(*words)
    with attack.case("a record with a path for a key"):
        (line, *_) = (out / "paths/trials.jsonl").read_text().splitlines()
        (out / "lying").mkdir()
        lying = json.dumps({**json.loads(line), "key": "../../../../out"})
        (out / "lying/trials.jsonl").write_text(lying + "\n")
        said("decode", "results/lying", "--decoder", "greedy")
    with attack.case("nothing is outside"):
        assert {path for path in tree(tmp_path) - before if out not in path.parents} == {out}
        assert (out / "page.html").exists()
        assert len(list((out / "paths/weights").iterdir())) == len(called["optimizer"])


FEW = [HOSTILE[place] for place in (19, 21, 22, 24)]
"""What is tried everywhere in CI: escape sequences, NUL, lines, and a long one."""


def outputs(tmp_path: Path, errors: list[str]) -> Iterator[tuple[str, str]]:
    """Everything that is made of records and of a suite in which all is called by hostile names.

    errors: names that are also asked for where there are none of them.
    """
    path, page, suite = (tmp_path / name for name in ("trials.jsonl", "page.html", "h.toml"))
    path.write_text("".join(json.dumps(each) + "\n" for each in hostile_records(HOSTILE)))
    about = [str(path), "--baseline", "adamw"]
    for style in FORMATS:
        yield f"compare {style}", said("compare", *about, "--table", "all", "--format", style)
        if errors is not FEW or style in ("text", "json"):
            yield f"claims {style}", said("claims", str(path), "--format", style)
            budget = ["--budget", "500passes", "--format", style]
            yield f"recommend {style}", said("recommend", str(path), *budget)
    said("report", *about, "-o", str(page))
    yield "report", page.read_text()
    for kind in PICTURES if errors is not FEW else ("pareto",):
        (tmp_path / f"{kind}.svg").write_text("<svg/>")  # where there is nothing to draw
        yield f"words {kind}", said("plot", *about, "--kind", kind, "-o", f"{tmp_path}/{kind}.svg")
        yield f"svg {kind}", (tmp_path / f"{kind}.svg").read_text()
    parts = [{**SUITE["optimizer"][0], "label": name[:300]} for name in HOSTILE]
    suite.write_text(document({**SUITE, "optimizer": parts, "description": "\n".join(HOSTILE)}))
    yield "plan", said("run", str(suite), "--dry-run")
    for name in errors:
        wrong = {name: 1, "optimizer": [{"name": name, "tasks": [name]}], "baseline": name}
        suite.write_text(document({**SUITE, **wrong}))
        yield "plan of wrong names", said("run", str(suite), "--dry-run")
        asked: list[list[str]] = [["run", name], ["compare", name], ["info", name], ["list", name]]
        asked += [[name], ["--" + name], ["compare", QUICK, "--by", name], ["data", "get", name]]
        asked += [["run", "quick", name], ["compare", QUICK, "--baseline", name]]
        asked += [["run", "quick", "--plugin", name], ["run", "quick", "--dry-run", "--out", name]]
        asked += [["recommend", QUICK, "--budget", name], ["decode", QUICK, "--decoder", name]]
        for words in asked:
            yield f"error of {' '.join(words[:-1])}", said(*words)


def shown(output: str, text: str) -> Callable[[str], bool] | None:
    """Whether an output shows a name; None where it need not show any."""
    if output == "compare json":
        names = {row["optimizer"] for row in json.loads(text)["accuracy"]}
        return names.__contains__
    if output == "compare csv":
        cells = [row["optimizer"] for row in csv.DictReader(io.StringIO(text, newline=""))]
        assert not any(cell.startswith(tuple("=+-@\t\r")) for cell in cells)
        names = {json.loads(cell) if cell[:1] == '"' else cell for cell in cells}
        return names.__contains__
    if output == "compare markdown":
        text = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)
    elif output == "report":
        text = html.fromstring(text).text_content()
        return lambda name: printable(name.replace("\n", " ")) in text
    elif output not in ("compare text", "plan"):
        return None
    return lambda name: printable(name) in text


def is_inert(root: Any) -> bool:
    """Whether markup has nothing that runs or is loaded."""
    active = ("script", "iframe", "object", "embed", "foreignobject", "img", "base", "form")
    names = [etree.QName(each).localname.lower() for each in root.iter(etree.Element)]
    attributes = [(key.lower(), value) for each in root.iter() for key, value in each.items()]
    return (
        not set(active) & set(names)
        and not any(key.startswith("on") for key, _ in attributes)
        and not any(key.endswith("href") and value[:1] not in "#d" for key, value in attributes)
    )


@pytest.mark.attack("I6", "25 hostile strings as every name, in every output")
def test_hostile_names(attack: Attack, tmp_path: Path) -> None:
    """They come back as they were, are no markup or formula, and no terminal obeys them."""
    assert len(HOSTILE) == 25
    for output, text in outputs(tmp_path, HOSTILE if attack.times(0, 1) else FEW):
        with attack.case(f"control characters in {output}: {text[:300]!r}"):
            assert all(char.isprintable() or char == "\n" for char in text)
            assert "Traceback" not in text
        with attack.case(f"markup in {output}"):
            if output.startswith("svg"):
                assert is_inert(etree.fromstring(text.encode()))
            if output == "report":
                assert is_inert(html.fromstring(text))
        finds = shown(output, text)
        for name in HOSTILE if finds else ():
            with attack.case(f"{name!r} in {output}"):
                assert finds
                assert finds(name)
    attack.notes = f"{len(HOSTILE)} strings"
