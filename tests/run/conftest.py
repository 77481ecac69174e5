"""Time that does not depend on the machine."""

import pytest
from torch import nn

from msbench.builtin.models.encoder_decoder import EncoderDecoder


class FakeTime:
    """Seconds that pass only when a test says so, and a little with every look at the clock."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1e-9
        return self.now


@pytest.fixture
def fake_time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """What clocks show in this process."""
    made = FakeTime()
    monkeypatch.setattr("msbench.run.clock.perf_counter", made)
    return made


@pytest.fixture
def time_in_passes(fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """Every forward pass of the tiny suite's model takes a second."""
    forward = EncoderDecoder.forward

    def timed(self: nn.Module, *args: object) -> object:
        fake_time.now += 1
        return forward(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(EncoderDecoder, "forward", timed)
    return fake_time
