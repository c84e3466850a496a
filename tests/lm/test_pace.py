import time

import pytest
import torch

from understudy.lm.pace import PaceMeter, measure_peak_flops


def test_pace_follows_from_the_watch(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    meter = PaceMeter(1000, 50, seconds_before=10.0, peak_flops=1e6, hour_usd=3.6)
    now[0] += 5  # the first step warms up
    first = meter.read(9)
    assert (first.tokens_per_second, first.flops_share, first.seconds_left) == (None, None, None)
    assert first.seconds == pytest.approx(15)
    for _ in range(30):
        now[0] += 0.5
        pace = meter.read(4)
    assert pace.tokens_per_second == pytest.approx(2000)
    assert pace.flops_share == pytest.approx(0.1)
    assert pace.seconds_left == pytest.approx(2.0)
    assert pace.cost_usd == pytest.approx(30 * 0.001)
    bare = PaceMeter(1, 1)
    assert (bare.read(0).cost_usd, bare.read(0).flops_share) == (None, None)


def test_the_peak_is_a_rate_of_this_machine():
    assert 1e7 < measure_peak_flops(torch.device("cpu"), torch.float32, size=64, repeats=2) < 1e16
