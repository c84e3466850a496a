"""How far the waiting times of `economics.queueing` are from a simulation.

    python benchmarks/queueing.py [calls]

Prints, per spread of the service time (standard deviation over mean), number of servers and load, the computed and
the simulated mean, 95th and 99th percentile of waiting, in service times. Service is exponential at a spread of 1,
constant at 0, log-normal otherwise.
"""

from __future__ import annotations

import heapq
import sys

import numpy as np

from understudy.economics.queueing import Queue

SPREADS = (1.0, 0.0, 0.5, 2.0)
SERVERS = (1, 4, 16)
LOADS = (0.7, 0.9)


def services(spread: float, count: int, rng: np.random.Generator) -> np.ndarray:
    if spread == 0:
        return np.ones(count)
    if spread == 1:
        return rng.exponential(1.0, count)
    variance = np.log1p(spread**2)
    return rng.lognormal(-variance / 2, np.sqrt(variance), count)


def simulated_waits(rate: float, service: np.ndarray, servers: int, rng: np.random.Generator) -> np.ndarray:
    """Waits in a first come first served queue; the first tenth is left out."""
    free = [0.0] * servers
    now, found = 0.0, np.empty(len(service))
    gaps = rng.exponential(1 / rate, len(service))
    for at, (gap, length) in enumerate(zip(gaps.tolist(), service.tolist(), strict=True)):
        now += gap
        start = max(now, heapq.heappop(free))
        found[at] = start - now
        heapq.heappush(free, start + length)
    return found[len(found) // 10 :]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 600_000
    rng = np.random.default_rng(0)
    print("spread servers load   mean  simulated      p95  simulated      p99  simulated")
    for spread in SPREADS:
        for servers in SERVERS:
            for load in LOADS:
                queue = Queue(load * servers, 1.0, servers, spread)
                waits = simulated_waits(load * servers, services(spread, count, rng), servers, rng)
                pairs = [(queue.mean_wait_s, waits.mean())]
                pairs += [(queue.wait_s(share), np.quantile(waits, share)) for share in (0.95, 0.99)]
                shown = "  ".join(f"{one:7.3f} {two:7.3f}" for one, two in pairs)
                print(f"{spread:6g} {servers:7d} {load:4g} {shown}")


if __name__ == "__main__":
    main()
