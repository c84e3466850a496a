import heapq
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.economics.queueing import Queue, erlang_b, erlang_c, servers_needed
from understudy.errors import ConfigError


def waits(rate: float, services: np.ndarray, servers: int, seed: int) -> np.ndarray:
    """Waits of calls in a first come first served queue, simulated; the first tenth is left out."""
    gaps = np.random.default_rng(seed).exponential(1 / rate, len(services))
    free = [0.0] * servers
    now, found = 0.0, np.empty(len(services))
    for at, (gap, service) in enumerate(zip(gaps.tolist(), services.tolist(), strict=True)):
        now += gap
        start = max(now, heapq.heappop(free))
        found[at] = start - now
        heapq.heappush(free, start + service)
    return found[len(found) // 10 :]


def test_textbook_values():
    # One server: C is the utilisation, the mean wait rho / (mu - lambda).
    one = Queue(0.8, 1.0, 1)
    assert one.waiting_share == pytest.approx(0.8)
    assert one.mean_wait_s == pytest.approx(4.0)
    # Erlang's tables: B(10 lines, 5 erlangs) = 0.018385, B(5, 3) = 0.110054; two servers: C = 2 rho^2 / (1 + rho).
    assert erlang_b(10, 5.0) == pytest.approx(0.018385, abs=5e-7)
    assert erlang_b(5, 3.0) == pytest.approx(0.110054, abs=5e-7)
    assert erlang_c(2, 1.5) == pytest.approx(2 * 0.75**2 / 1.75)
    assert erlang_b(3, 0.0) == 0.0


@given(st.integers(1, 60), st.floats(0.01, 0.99))
def test_erlang_c_is_the_sum_of_the_steady_state(servers, utilisation):
    load = servers * utilisation
    terms = [math.exp(n * math.log(load) - math.lgamma(n + 1)) for n in range(servers)]
    last = math.exp(servers * math.log(load) - math.lgamma(servers + 1)) / (1 - utilisation)
    assert erlang_c(servers, load) == pytest.approx(last / (sum(terms) + last), rel=1e-9)


def test_a_large_load_begins_its_recursion_late_and_changes_nothing():
    load, servers = 20_000.0, 20_150
    inverse = 1.0
    for n in range(1, servers + 1):
        inverse = 1 + n / load * inverse
    assert erlang_b(servers, load) == pytest.approx(1 / inverse, rel=1e-12)


@pytest.mark.parametrize(("servers", "utilisation"), [(1, 0.7), (8, 0.85)])
def test_exponential_service_agrees_with_a_simulation(servers, utilisation):
    services = np.random.default_rng(1).exponential(1.0, 300_000)
    queue = Queue(servers * utilisation, 1.0, servers)
    found = waits(servers * utilisation, services, servers, seed=2)
    assert (found > 0).mean() == pytest.approx(queue.waiting_share, rel=0.04)
    assert found.mean() == pytest.approx(queue.mean_wait_s, rel=0.08)
    assert np.quantile(found, 0.95) == pytest.approx(queue.wait_s(0.95), rel=0.08)


@pytest.mark.parametrize("servers", [1, 8])
def test_constant_service_is_near_a_simulation_in_a_busy_queue(servers):
    rate = 0.9 * servers
    queue = Queue(rate, 1.0, servers, service_cv=0.0)
    found = waits(rate, np.ones(400_000), servers, seed=3)
    # The mean is exact for one server; the percentile is an approximation, here within a tenth.
    assert found.mean() == pytest.approx(queue.mean_wait_s, rel=0.1)
    assert np.quantile(found, 0.95) == pytest.approx(queue.wait_s(0.95), rel=0.12)


def test_the_mean_of_one_server_is_pollaczek_and_khinchine():
    rate, service, cv = 0.6, 1.2, 1.7
    exact = rate * service**2 * (1 + cv**2) / (2 * (1 - rate * service))
    assert Queue(rate, service, 1, cv).mean_wait_s == pytest.approx(exact)


@given(st.floats(0.1, 300), st.floats(0.01, 20), st.floats(0, 5), st.floats(0, 3))
def test_one_server_fewer_would_not_keep_the_promise(rate, service, limit, cv):
    found = servers_needed(rate, service, wait_limit_s=limit, share=0.9, service_cv=cv)
    assert found.utilisation < 1
    assert found.wait_s(0.9) <= limit
    if found.servers > 1:
        assert Queue(rate, service, found.servers - 1, cv).wait_s(0.9) > limit


def test_a_ceiling_on_utilisation_holds():
    assert servers_needed(100, 1.0, wait_limit_s=60, most_utilisation=0.5).servers == 200


def test_a_queue_that_is_not_stable_waits_for_ever():
    queue = Queue(2.0, 1.0, 2)
    assert not queue.is_stable
    assert queue.mean_wait_s == math.inf
    assert queue.wait_s(0.5) == math.inf
    assert queue.waiting_share == 1.0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Queue(0, 1, 1),
        lambda: Queue(1, -1, 1),
        lambda: Queue(1, 1, 0),
        lambda: Queue(1, 1, 3, -1.0),
        lambda: Queue(1, 1, 3).wait_s(1.0),
        lambda: servers_needed(1, 1, wait_limit_s=-1),
        lambda: servers_needed(1, 1, wait_limit_s=1, most_utilisation=0),
        lambda: servers_needed(1e9, 1, wait_limit_s=1),
    ],
)
def test_wrong_numbers_are_told(wrong):
    with pytest.raises(ConfigError):
        wrong()
