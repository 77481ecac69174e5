"""Output to whatever takes it: encodings that lack letters, full disks, closed pipes."""

import io
import json
import os
import sys
from pathlib import Path

import pytest
from handmade import rekeyed

from msbench.cli.app import main

QUICK = Path(__file__).parents[2] / "tests/kept/quick"

COMMANDS = [
    *(["compare", "x.jsonl", "--format", style] for style in ("text", "markdown", "csv", "json")),
    ["compare", "x.jsonl", "--format", "latex"],
    ["claims", "x.jsonl"],
    ["recommend", "x.jsonl", "--budget", "200passes"],
    ["list", "losses"],
    ["info", "loss:mse"],
    ["--help"],
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of a task with a letter that ASCII lacks and one that latin-1 lacks in its name."""
    folder = tmp_path_factory.mktemp("named")
    records = list(map(json.loads, (QUICK / "trials.jsonl").read_text().splitlines()))
    kept = [each for each in records if each["job"]["task"]["name"] == "bbc-news"][:8]
    for record in kept:
        record["job"]["task"]["label"] = "tickets-é-語-🙂"
    lines = (json.dumps(rekeyed(each)) for each in kept)
    (folder / "x.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def left_with(words: list[str]) -> int:
    """Runs a command; its exit code. Anything but SystemExit would be a traceback."""
    with pytest.raises(SystemExit) as left:
        main(words)
    return int(left.value.code or 0)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_an_encoding_lacks_is_escaped(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in COMMANDS:
        bytes_out = io.BytesIO()
        stream = io.TextIOWrapper(bytes_out, encoding=encoding)
        monkeypatch.setattr(sys, "stdout", stream)
        assert left_with(words) == 0
        written = bytes_out.getvalue().decode(
            encoding, "strict" if "x.jsonl" in words else "replace"
        )
        if words[0] == "compare":
            assert "tickets-" in written
            assert "\\u8a9e-\\ud83d\\ude42" in written
        if words[-1] == "json":
            (task,) = {row["task"] for row in json.loads(written)["accuracy"]}
            assert task == "tickets-é-語-🙂", "escapes are JSON's own"


def test_a_full_disk_is_one_message(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    for words in COMMANDS:
        with Path("/dev/full").open("w") as full:
            monkeypatch.setattr(sys, "stdout", full)
            assert left_with(words) == 74
    assert capfd.readouterr().err.count("No space left on device") == len(COMMANDS)


def test_a_closed_pipe_is_silence(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for words in COMMANDS:
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "w") as pipe:
            monkeypatch.setattr(sys, "stdout", pipe)
            assert left_with(words) == 141
    assert capfd.readouterr().err == ""
