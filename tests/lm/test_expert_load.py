import math

import pytest
import torch

from understudy.lm.load import gate_drift, layer_load


def test_even_and_one_sided_loads():
    even = layer_load([5, 5, 5, 5])
    assert (even.entropy, even.n_dead, even.busiest_to_mean) == (pytest.approx(1), 0, pytest.approx(1))
    alone = layer_load([0, 20, 0, 0], n_dropped=3)
    assert (alone.entropy, alone.n_dead, alone.busiest_to_mean, alone.n_dropped) == (0, 3, 4, 3)
    assert layer_load([7]).entropy == 1.0
    half = layer_load([1, 1, 0, 0])
    assert half.entropy == pytest.approx(math.log(2) / math.log(4))


def test_drift_is_a_mean_cosine():
    start = torch.eye(2)
    assert gate_drift(3 * start, start) == pytest.approx(1)
    assert gate_drift(torch.tensor([[0.0, 1.0], [0.0, 1.0]]), start) == pytest.approx(0.5)
    assert gate_drift(-start, start) == pytest.approx(-1)
