"""How many trials share a GPU."""

from pathlib import Path

import pytest

from msbench.run.gpus import gpu_room, room

GB = 2**30


@pytest.mark.parametrize(
    ("free", "busy", "trials"),
    [(140 * GB, 0, 16), (80 * GB, 3, 16), (24 * GB, 0, 6), (2 * GB, 0, 1), (140 * GB, 90, 1)],
)
def test_memory_and_use_decide(free: int, busy: int, trials: int) -> None:
    assert room(free, busy) == trials


@pytest.mark.parametrize(
    ("said", "trials"), [("echo 40960, 7", 10), ("echo [N/A], 7", 1), ("exit 9", 1)]
)
def test_the_card_is_asked(
    said: str, trials: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f'#!/bin/sh\ncase "$*" in *--id=1*) {said};; *) exit 1;; esac\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpu_room("cuda:1") == trials
    assert gpu_room("cuda") == 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    assert gpu_room("cuda:1") == trials
    assert gpu_room("cuda:0") == 1
