"""How long does a scaling-law fit take, and how much of that does a plain loop over starts cost?

The points that Epoch read from Hoffmann's figure (245, of which 240 are fitted) where ``shared/data/scaling``
lies beside the project, else as many synthetic ones. Timed in one run, on one thread: our fit from all starts
at once; ``scipy.optimize.minimize`` called once per start, from the same starts and with our analytic gradient, on the
objective as the paper writes it and on the same divided by delta; and our bootstrap. The ratio is of CPU time,
which other work on the machine disturbs less than the clock. Beside each: the best objective found, and how many
starts came within a millionth of our optimum.

    OMP_NUM_THREADS=1 python benchmarks/scaling_fits.py [--starts 300] [--draws 1000] [--numeric]
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from understudy.economics.scaling.bootstrap import bootstrap_fit
from understudy.economics.scaling.constants import scaling_law
from understudy.economics.scaling.identify import fit_warnings, jacobian_condition
from understudy.economics.scaling.parametric import draw_starts, fit_parametric, huber_objective
from understudy.economics.scaling.runs import TrainingRuns, read_runs

POINTS = Path(__file__).resolve().parents[2] / "shared/data/scaling/chinchilla_svg_extracted_epoch.csv"
CHINCHILLA_FLOPS = 5.76e23
SAME = 1e-6


def load() -> tuple[TrainingRuns, str, str]:
    """Runs, outlier rule, what they are."""
    if POINTS.exists():
        runs = read_runs(POINTS, parameters="Model Size", flops="Training FLOP", loss="loss")
        return runs, "highest-loss:5", "points read from Hoffmann's figure by Epoch"
    rng = np.random.default_rng(0)
    parameters, tokens = np.exp(rng.uniform(np.log([5e7, 1e9]), np.log([1.6e10, 3e11]), (240, 2))).T
    loss = scaling_law().loss(parameters, tokens) * np.exp(0.008 * rng.standard_normal(240))
    return TrainingRuns(parameters, tokens, loss), "none", "synthetic points"


def loop(
    runs: TrainingRuns, starts: np.ndarray, method: str, scale: float, *, has_gradient: bool
) -> np.ndarray:
    """Objective at the end of each start."""

    def objective(vector: np.ndarray):
        value, gradient = huber_objective(vector, runs)
        return (value * scale, gradient * scale) if has_gradient else value * scale

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ends = [minimize(objective, start, jac=has_gradient, method=method).fun for start in starts]
    return np.array(ends) / scale


def now() -> np.ndarray:
    """Seconds of the clock and of this process."""
    return np.array([time.perf_counter(), time.process_time()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--starts", type=int, default=300)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--numeric", action="store_true", help="also BFGS with finite differences (minutes)")
    args = parser.parse_args()
    runs, rule, what = load()
    began = now()
    fit = fit_parametric(runs, outliers=rule, n_starts=args.starts)
    ours_s = now() - began
    print(f"{len(runs)} {what}; rule {rule} drops rows {list(fit.dropped.rows)}")
    law, ratio = fit.law, fit.law.compute_optimal(CHINCHILLA_FLOPS).tokens_per_parameter
    print(f"E {law.e:.4f}  A {law.a:.2f}  B {law.b:.2f}  alpha {law.alpha:.4f}  beta {law.beta:.4f}")
    print(f"tokens per parameter at {CHINCHILLA_FLOPS:.3g} FLOP: {ratio:.2f}")
    print(f"condition {jacobian_condition(law, fit.runs):.0f}; warnings: {list(fit_warnings(fit)) or 'none'}")
    starts = draw_starts(args.starts, 0)
    rows = [("all starts at once (ours)", ours_s, fit.objective, fit.n_starts_at_optimum)]
    peers = [
        ("minimize BFGS, as printed", "BFGS", 1.0, True),
        ("minimize BFGS, scaled", "BFGS", 1 / fit.delta, True),
        ("minimize L-BFGS-B, scaled", "L-BFGS-B", 1 / fit.delta, True),
    ]
    if args.numeric:
        peers.append(("minimize BFGS, scaled, differences", "BFGS", 1 / fit.delta, False))
    for name, method, scale, has_gradient in peers:
        began = now()
        found = loop(fit.runs, starts, method, scale, has_gradient=has_gradient)
        n_same = int((found <= fit.objective * (1 + SAME)).sum())
        rows.append((name, now() - began, float(np.nanmin(found)), n_same))
    title = f"fit from {args.starts} starts"
    print(f"\n{title:36} {'clock':>9} {'CPU':>9} {'ratio':>7} {'best objective':>16} {'same':>6}")
    for name, (clock_s, cpu_s), best, n_same in rows:
        ratio = cpu_s / ours_s[1]
        print(f"{name:36} {clock_s:7.2f} s {cpu_s:7.2f} s {ratio:6.1f}x {best:16.9f} {n_same:6d}")
    began = now()
    draws = bootstrap_fit(fit, n_draws=args.draws)
    clock_s, cpu_s = now() - began
    print(f"\n{args.draws} bootstrap fits: {clock_s:.2f} s by the clock, {cpu_s:.2f} s of CPU")
    figures = {
        **draws.constants(),
        **draws.exponents(),
        "tokens per parameter": draws.tokens_per_parameter(CHINCHILLA_FLOPS),
    }
    for name, figure in figures.items():
        print(
            f"{name:22} {figure.value:10.4f}  se {figure.standard_error:9.4f}"
            f"  {draws.confidence:.0%} {figure.lower:.4f} to {figure.upper:.4f}"
        )


if __name__ == "__main__":
    main()
