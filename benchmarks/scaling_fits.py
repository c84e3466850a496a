"""How long does a scaling-law fit take, and how much of that does a plain loop over starts cost?

The points that Epoch read from Hoffmann's figure (245, of which 240 are fitted) where ``shared/data/scaling``
lies beside the project, else as many synthetic ones. Timed in one run, on one thread: our fit from all starts
at once; ``scipy.optimize.minimize`` called once per start, from the same starts and with our analytic gradient,
on the objective as the paper writes it and on the same divided by delta; and our bootstrap. The ratio is of CPU
time, which other work on the machine disturbs less than the clock. Beside each: the best objective found, and
how many starts came within a millionth of our optimum. Then the exponent of the frontier by the other two
approaches. With ``--numeric`` also BFGS without our gradient; with ``--coverage N`` synthetic runs of a known
law, N times, and how often the 90 % intervals of approach 3 (bootstrap of 200) and of approach 2 hold the truth.

    OMP_NUM_THREADS=1 python benchmarks/scaling_fits.py [--starts 300] [--draws 1000] [--numeric] [--coverage 200]
"""

from __future__ import annotations

import argparse
import csv
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from understudy.economics.scaling.bootstrap import LawDraws, bootstrap_fit
from understudy.economics.scaling.constants import scaling_law
from understudy.economics.scaling.envelope import fit_envelope
from understudy.economics.scaling.identify import fit_warnings, jacobian_condition
from understudy.economics.scaling.isoflop import fit_isoflops
from understudy.economics.scaling.parametric import draw_starts, fit_parametric, huber_objective
from understudy.economics.scaling.power import fit_power_law
from understudy.economics.scaling.runs import TrainingRuns, read_runs

DATA = Path(__file__).resolve().parents[2] / "shared/data/scaling"
POINTS, PAIRS = DATA / "chinchilla_svg_extracted_epoch.csv", DATA / "porian_optimal_pairs.csv"
BUDGETS = [6e18, 1e19, 3e19, 6e19, 1e20, 3e20, 6e20, 1e21, 3e21]
"""Of the IsoFLOP curves: Hoffmann et al. 2022, section 3.2."""
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


def frontiers(runs: TrainingRuns) -> None:
    """The exponent of N_opt by approaches 1 and 2 on the same points, and from Porian's optimal pairs."""
    print("\nexponent of N_opt ~ C**a")
    found = {
        "approach 1, best of 20 bins": fit_envelope(runs).parameters_law.exponent,
        "approach 2, parabolas": fit_isoflops(runs, budgets=BUDGETS, tolerance=0.2).parameters_law.exponent,
    }
    if PAIRS.exists():
        with PAIRS.open(encoding="utf-8", newline="") as stream:
            rows = [row for row in csv.DictReader(stream) if row["n"]]
        for setting in dict.fromkeys(row["setting"] for row in rows):
            part = [row for row in rows if row["setting"] == setting]
            flops, sizes, stds = ([float(row[name]) for row in part] for name in ("flops", "n", "n_star_std"))
            found[f"Porian {setting}"] = fit_power_law(flops, sizes, log_std=stds).exponent
    for name, figure in found.items():
        print(f"{name:40} {figure.value:.3f}  90% {figure.lower:.3f} to {figure.upper:.3f}")


def coverage(n_repeats: int) -> None:
    """How often intervals hold the truth of synthetic runs."""
    law = scaling_law()
    true = {**law.to_dict(), "parameters_exponent": law.parameters_exponent}
    print(f"\n{n_repeats} repetitions; share of 90 % intervals that hold the truth")
    for side, noise in ((5, 0.01), (6, 0.01), (10, 0.01)):
        parameters, tokens = (
            column.ravel()
            for column in np.meshgrid(np.geomspace(5e7, 1e10, side), np.geomspace(1e9, 3e11, side))
        )
        hits = dict.fromkeys(true, 0)
        rng = np.random.default_rng(side)
        for _ in range(n_repeats):
            loss = law.loss(parameters, tokens) * np.exp(noise * rng.standard_normal(side * side))
            fit = fit_parametric(TrainingRuns(parameters, tokens, loss), n_starts=8)
            draws = bootstrap_fit(fit, n_draws=200)
            for name, figure in {**draws.constants(), **draws.exponents()}.items():
                if name in hits:
                    hits[name] += figure.lower <= true[name] <= figure.upper
        shares = "  ".join(f"{name} {count / n_repeats:.3f}" for name, count in hits.items())
        print(f"approach 3, {side * side:3d} runs, {noise:.1%} noise: {shares}", flush=True)
    for width in (3, 10):
        rng, n_hits, n_level = np.random.default_rng(width), 0, 0
        flops = np.repeat(np.geomspace(1e19, 1e21, 6), 9)
        best = np.array([law.compute_optimal(budget).parameters for budget in flops])
        parameters = best * np.tile(np.geomspace(1 / width, width, 9), 6)
        for _ in range(n_repeats):
            clean = law.loss(parameters, flops / (6 * parameters))
            loss = clean * np.exp(0.003 * rng.standard_normal(len(clean)))
            found = fit_isoflops(TrainingRuns.from_flops(parameters, flops, loss)).parameters_law
            n_hits += found.exponent.lower <= law.parameters_exponent <= found.exponent.upper
            at = found.predict(1e20)
            n_level += at.lower <= law.compute_optimal(1e20).parameters <= at.upper
        print(
            f"approach 2, sizes within {width} times the optimum, 0.3% noise: "
            f"parameters_exponent {n_hits / n_repeats:.3f}  N_opt at 1e20 FLOP {n_level / n_repeats:.3f}"
        )


def show(draws: LawDraws) -> None:
    """Constants and what follows from them."""
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


def now() -> np.ndarray:
    """Seconds of the clock and of this process."""
    return np.array([time.perf_counter(), time.process_time()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--starts", type=int, default=300)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--numeric", action="store_true", help="also BFGS with finite differences (minutes)")
    parser.add_argument("--coverage", type=int, default=0, help="repetitions of the coverage check (minutes)")
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
    show(draws)
    if POINTS.exists():
        frontiers(fit.runs)
    if args.coverage:
        coverage(args.coverage)


if __name__ == "__main__":
    main()
