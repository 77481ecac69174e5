"""`msbench challenge`: an author's file against the records of others."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from handmade import rekeyed

from msbench import read
from msbench.cli.app import main
from msbench.records.checksum import sealed

Call = Callable[..., Result]
Write = Callable[..., Path]

NEWCOMERS = Path(__file__).parents[2] / "studies/newcomers"

SPACE = 'space = { lr = [1e-3, 1e-1, "log"] }\n'
TUNED = {"lr = 3e-3\n": SPACE, ", lr = 3e-3 }": ' }\nspace = { "base.lr" = [1e-3, 1e-1, "log"] }'}


def newcomer(name: str) -> str:
    """The text of a newcomer's file, with the space that the tiny suite searches."""
    space = 'SPACE = {"lr": (1e-3, 1e-1, "log")}\n'
    return re.sub(
        r"SPACE = \{.*?\n\}\n", space, (NEWCOMERS / f"{name}.py").read_text(), flags=re.DOTALL
    )


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory, write_tiny: Write) -> Path:
    """A folder with a suite whose records are there: tuned, with three seeds."""
    folder = tmp_path_factory.mktemp("known")
    tuning = {
        "[throughput]": '[tuning]\nmethod = "halton"\npoints = 2\n\n[throughput]',
        "rounds = 2": "rounds = 0",
    }
    suite = write_tiny(folder, **{"seeds = 2": "seeds = 3", **tuning, **TUNED})
    done = CliRunner().invoke(main, ["run", str(suite), "--out", str(folder / "results")])
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def others(known: Path, tmp_path: Path) -> Path:
    """Its suite, in the folder of the test with its records."""
    shutil.copytree(known, tmp_path, dirs_exist_ok=True)
    return tmp_path / "tiny.toml"


def otherwise(line: str) -> str:
    """A record in which training went a little better."""
    record = json.loads(line)
    del record["checksum"]
    for point in record["results"]["training"]["curve"]:
        point["validation_loss"] *= 0.999
    return sealed(json.dumps(record).encode()).decode()


def test_three_newcomers_are_said_to_be_what_they_are(
    call: Call, others: Path, write_plugin: Callable[..., str], tmp_path: Path
) -> None:
    before = (tmp_path / "results/tiny/trials.jsonl").read_bytes()
    said = {}
    for name, text in {"new": "renamed", "late": "late", "signum": "signum"}.items():
        file = write_plugin(newcomer(text), f"{name}.py")
        done = call("challenge", file, "--suite", others)
        said[name] = done.stdout
        records = read(tmp_path / "results/challenges" / f"tiny-{name}").records
        trained = [r for r in records if r.trial["optimizer"]["name"] == name]
        assert len(trained) == 2 + 3, "tuned by as many points as the others, then three seeds"
        assert len(records) == 3 * (2 + 3)
        assert "trials: 3 of 3 done" in done.stderr, "the newcomer alone is run"
        assert re.search(rf"numbers-fr +{name} +\d of 3 ", done.stdout)
        assert f"msbench report results/challenges/tiny-{name} --out" in done.stdout
    assert "new is adamw: with the same options, all validation losses" in said["new"]
    assert "late is nearly adamw" in said["late"]
    assert "look for an error" in said["late"]
    assert "nearly" not in said["signum"]
    assert "is adamw" not in said["signum"]
    assert (tmp_path / "results/tiny/trials.jsonl").read_bytes() == before
    # Interrupted before its last record, it goes on where it was.
    left = tmp_path / "results/challenges/tiny-signum/trials.jsonl"
    whole = left.read_text().splitlines(keepends=True)
    left.write_text("".join(whole[:-1]))
    again = call("challenge", file, "--suite", others, "--records", "results/tiny")
    assert again.stdout == said["signum"]
    assert len(left.read_text().splitlines()) == len(whole)


def test_records_of_other_versions_are_refused_and_named(
    call: Call, others: Path, write_plugin: Callable[..., str], tmp_path: Path
) -> None:
    path = tmp_path / "results/tiny/trials.jsonl"
    changed = []
    for line in path.read_text().splitlines():
        record = json.loads(line)
        record.pop("checksum", None)
        if record["job"]["optimizer"]["name"] == "sam":
            record["job"]["optimizer"]["version"] = "0.0/of-another-time"
            record = rekeyed(record)
        changed.append(sealed(json.dumps(record).encode()).decode())
    path.write_text("\n".join(changed) + "\n")
    file = write_plugin(newcomer("renamed"), "new.py")
    done = call("challenge", file, "--suite", others, check=2)
    assert "were run by other versions of optimizer sam" in done.stderr
    assert "--records results/tiny" in done.stderr
    assert not (tmp_path / "results/challenges").exists()
    assert "--replicate 3 takes them if three of them, run again, give the same" in done.stderr
    done = call("challenge", file, "--suite", others, "--replicate", "1")
    assert "records of other versions are taken: 1 of 10 trials were run again" in done.stdout
    taken = read(tmp_path / "results/challenges/tiny-new").records
    assert not any("of-another-time" in str(record.job) for record in taken)
    assert len(taken) == 3 * (2 + 3)
    path.write_text("".join(f"{otherwise(line)}\n" for line in changed))
    shutil.rmtree(tmp_path / "results/challenges")
    done = call("challenge", file, "--suite", others, "--replicate", "1", check=2)
    assert "some gave something else" in done.stderr
    assert re.search(r"sam, seed 0: validation loss \S+ then, \S+ now", done.stderr)
    path.write_text("\n".join(changed[:1]) + "\n")
    done = call("challenge", file, "--suite", others, check=2)
    assert "have no record" in done.stderr
    empty = write_plugin(
        "import msbench\n\n@msbench.hookimpl\ndef register_losses(register):\n"
        '    register("mine", "a:b")\n',
        "loss.py",
    )
    assert "registers no optimizer" in call("challenge", empty, check=2).stderr
