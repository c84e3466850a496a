"""Do certificates hold? Thousands of simulated select and certify splits against known truths.

Each family is a finite population of calls (synthetic, or the out-of-fold scores of a TF-IDF + logistic
student on recorded calls where ``shared/data/calls`` lies beside the project). A draw resamples a select and
a certify split with replacement, so the truth of every statement is known exactly. Printed per family and
statement: how often it was false (95 % Clopper-Pearson interval) against delta, how often there was a
certificate, and the mean coverage (0 where nothing is certified).

    python benchmarks/certificate_validity.py [--draws 2000] [--output table.md]
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from mapie.risk_control.fwer_control import control_fwer
from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value

from understudy.certify.bounds import (
    binomial_p_value,
    clopper_pearson_interval,
    clopper_pearson_lower,
    clopper_pearson_upper,
    most_errors_allowed,
)
from understudy.certify.gold import certify_gold
from understudy.certify.paired import difference_lower
from understudy.certify.sequence import certify_selective, grid_from_select

TARGET, DELTA, MARGIN = 0.95, 0.05, 0.02
N_SELECT = N_CERTIFY = 600
N_POPULATION = 400_000
CALLS = Path(__file__).resolve().parents[2] / "shared" / "data" / "calls"


@dataclass
class Population:
    """Every call of a family, most confident first; shape (n,) each."""

    name: str
    confidence: np.ndarray
    agrees: np.ndarray
    student_right: np.ndarray
    teacher_right: np.ndarray

    def __post_init__(self) -> None:
        order = np.argsort(-self.confidence, kind="stable")
        for key in ("confidence", "agrees", "student_right", "teacher_right"):
            setattr(self, key, getattr(self, key)[order])
        self.n = len(order)

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.integers(0, self.n, n)

    def answered(self, threshold: float) -> int:
        return int(np.searchsorted(-self.confidence, -threshold, side="right"))

    def cumulative(self, key: str) -> np.ndarray:
        if not hasattr(self, f"_{key}"):
            values = (
                self.teacher_right.astype(int) - self.student_right
                if key == "lost"
                else getattr(self, key).astype(int)
            )
            setattr(self, f"_{key}", np.concatenate([[0], np.cumsum(values)]))
        return getattr(self, f"_{key}")

    def agreement(self, threshold: float) -> float:
        k = self.answered(threshold)
        return self.cumulative("agrees")[k] / k if k else 1.0

    def loss_of_all(self, threshold: float) -> float:
        k = self.answered(threshold)
        return (k - self.cumulative("agrees")[k]) / self.n

    def accuracy(self, threshold: float) -> float:
        k = self.answered(threshold)
        return self.cumulative("student_right")[k] / k if k else 1.0

    def difference(self, threshold: float) -> float:
        """System's accuracy minus the teacher's."""
        return -self.cumulative("lost")[self.answered(threshold)] / self.n


def synthetic() -> Iterator[Population]:
    rng = np.random.default_rng(0)
    n = N_POPULATION

    def make(name: str, confidence: np.ndarray, p_agree: np.ndarray) -> Population:
        agrees = rng.random(n) < p_agree
        teacher = rng.random(n) < 0.85
        return Population(
            name, confidence, agrees, np.where(agrees, teacher, ~teacher & (rng.random(n) < 0.3)), teacher
        )

    c = rng.beta(6, 0.45, n)
    yield make("calibrated", c, c)
    yield make("overconfident", c, c**2)
    yield make("tied (10 values)", np.round(c * 10) / 10, c)
    c = rng.choice([0.5, 0.7, 0.9, 0.97, 0.99], p=[0.1, 0.1, 0.2, 0.3, 0.3], size=n)
    yield make("discrete", c, np.where(c > 0.95, 0.975, c))
    c = rng.random(n)
    yield make("near target, all just false", c, np.full(n, 0.9485))
    yield make("worst on top", c, np.where(c > 0.9, 0.93, np.where(c > 0.3, 0.965, 0.7)))


def real() -> Iterator[Population]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline

    for name, most in (("banking77_gold", 6000), ("banking77_qwen7b", 6000)):
        path = CALLS / f"{name}.jsonl"
        if not path.exists():
            print(f"skipped: no {path.name} in shared/data/calls beside the project")
            continue
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if any("teacher_label" in row for row in rows):
            rows = [row for row in rows if row.get("teacher_label") not in (None, "ABSENT")]
            labels = np.array([row["teacher_label"] for row in rows])
        else:
            labels = np.array([row["gold"] for row in rows])
        pick = np.random.default_rng(0).permutation(len(rows))[:most]
        names, counts = np.unique(labels[pick], return_counts=True)
        pick = pick[np.isin(labels[pick], names[counts >= 3])]
        texts, labels = [rows[i]["input"] for i in pick], labels[pick]
        gold = np.array([rows[i]["gold"] for i in pick])
        model = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=20, max_iter=200))
        scores = cross_val_predict(model, texts, labels, cv=3, method="predict_proba")
        answers = np.unique(labels)[scores.argmax(axis=1)]
        yield Population(name, scores.max(axis=1), answers == labels, answers == gold, labels == gold)


class Tally:
    """Certificates, false ones and coverage per statement."""

    def __init__(self) -> None:
        self.made: dict[str, int] = defaultdict(int)
        self.false: dict[str, int] = defaultdict(int)
        self.coverage: dict[str, float] = defaultdict(float)

    def add(self, name: str, is_made: bool, is_false: bool, coverage: float = 0.0) -> None:
        self.made[name] += is_made
        self.false[name] += is_made and is_false
        self.coverage[name] += coverage if is_made else 0.0


def counts_at(confidence: np.ndarray, wrong: np.ndarray, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-confidence, kind="stable")
    answered = np.searchsorted(-confidence[order], -grid, side="right")
    return answered, np.concatenate([[0], np.cumsum(wrong[order])])[answered]


def mapie_choice(answered: np.ndarray, errors: np.ndarray, grid: np.ndarray, method: str) -> float | None:
    """The loosest threshold that MAPIE's procedure finds valid, in MAPIE's own arithmetic."""
    rate = np.where(answered > 0, errors / np.maximum(answered, 1), 1.0)
    p_values = compute_hoeffding_bentkus_p_value(rate, np.maximum(answered, 1), 1 - TARGET, binary=True)[:, 0]
    p_values[answered == 0] = 1.0
    valid = control_fwer(p_values, DELTA, method)
    return float(grid[valid].min()) if len(valid) else None


def one_draw(population: Population, rng: np.random.Generator, tally: Tally) -> None:
    select, certify = population.draw(N_SELECT, rng), population.draw(N_CERTIFY, rng)
    conf_s, conf_c = population.confidence[select], population.confidence[certify]
    plan: dict[str, float | int] = {"target": TARGET, "delta": DELTA}
    agrees = population.agrees[certify]
    grid = grid_from_select(conf_s, population.agrees[select], n_certify=N_CERTIFY, **plan)
    found = certify_selective(conf_c, agrees, thresholds=grid, **plan)
    at = found.threshold
    tally.add(
        "answered", at is not None, at is not None and population.agreement(at) < TARGET, found.coverage or 0
    )
    lower, where = found.agreement_lower, found.tested_threshold
    if lower is not None and where is not None:
        tally.add("answered: lower bound", True, population.agreement(where) < lower)

    loose = grid_from_select(conf_s, population.agrees[select], n_certify=N_CERTIFY, of="all", **plan)
    whole = certify_selective(conf_c, agrees, thresholds=loose, of="all", **plan)
    all_at = whole.threshold
    is_false = all_at is not None and population.loss_of_all(all_at) > 1 - TARGET
    tally.add("all", all_at is not None, is_false, whole.coverage or 0)

    answered, errors = counts_at(conf_c, ~agrees, grid)
    everywhere = np.unique(conf_c)[::-1]
    free_answered, free_errors = counts_at(conf_c, ~agrees, everywhere)
    observed = everywhere[free_errors <= (1 - TARGET) * free_answered]
    passing = everywhere[
        [
            wrong <= most_errors_allowed(int(k), 1 - TARGET, DELTA)
            for k, wrong in zip(free_answered, free_errors, strict=True)
        ]
    ]
    default = np.linspace(0.99, 0, 100)
    rivals = {
        "rival: observed share >= target (no bound)": observed.min() if len(observed) else None,
        "rival: best of all exact tests, uncorrected": passing.min() if len(passing) else None,
        "rival: MAPIE fixed sequence, our order": mapie_choice(answered, errors, grid, "fixed_sequence"),
        "rival: MAPIE default (Holm, 100 thresholds)": mapie_choice(
            *counts_at(conf_c, ~agrees, default), default, "bonferroni_holm"
        ),
    }
    for name, choice in rivals.items():
        is_made = choice is not None
        tally.add(
            name,
            is_made,
            is_made and population.agreement(choice) < TARGET,
            float((conf_c >= choice).mean()) if is_made else 0,
        )

    right, teacher = population.student_right[certify], population.teacher_right[certify]
    grid_gold = grid_from_select(
        conf_s, population.student_right[select], n_certify=N_CERTIFY, target=0.8, delta=DELTA
    )
    gold = certify_selective(conf_c, right, target=0.8, delta=DELTA, thresholds=grid_gold, reference="gold")
    gold_at = gold.threshold
    tally.add(
        "gold: served >= .80",
        gold_at is not None,
        gold_at is not None and population.accuracy(gold_at) < 0.8,
        gold.coverage or 0,
    )
    if at is not None:
        judged = certify_gold(
            conf_c, right, teacher, threshold=at, delta=DELTA, margin=MARGIN, thresholds=grid
        )
        truth = population.difference(at)
        assert judged.noninferiority is not None
        tally.add("gold: lower bound of served", True, (judged.answered.lower or 0) > population.accuracy(at))
        tally.add(
            "gold: no worse than teacher - .02",
            judged.noninferiority.is_noninferior,
            truth <= -MARGIN,
            found.coverage or 0,
        )
        plain = clopper_pearson_lower(judged.answered.n_right, judged.answered.n, DELTA)
        tally.add("gold: lower bound, uncorrected", True, plain > population.accuracy(at))


def worst_case_noninferiority(draws: int) -> list[tuple[str, float, float]]:
    """The true loss is exactly the margin: miss rate and mean upper limit of three bounds."""
    rng = np.random.default_rng(2)
    rows = []
    for n, p_loss in ((300, 0.05), (1000, 0.06), (3000, 0.04)):
        p_win = p_loss - MARGIN
        lost_won = rng.multinomial(n, [p_loss, p_win, 1 - p_loss - p_win], size=draws)
        bounds: dict[str, Callable[[int, int], float]] = {
            "exact, Berger-Boos": lambda lost, won, n=n: -difference_lower(lost, won, n, delta=DELTA),
            "two Clopper-Pearson, split": lambda lost, won, n=n: (
                clopper_pearson_upper(lost, n, DELTA / 2) - clopper_pearson_lower(won, n, DELTA / 2)
            ),
            "Hoeffding-Bentkus": lambda lost, won, n=n: hoeffding_bentkus_upper(lost, won, n),
        }
        for name, bound in bounds.items():
            cache: dict[tuple[int, int], float] = {}
            for lost, won, _ in lost_won.tolist():
                cache.setdefault((lost, won), bound(lost, won))
            limits = np.array([cache[lost, won] for lost, won, _ in lost_won.tolist()])
            rows.append((f"n={n}: {name}", float((limits < MARGIN).mean()), float(limits.mean())))
    return rows


def hoeffding_bentkus_upper(lost: int, won: int, n: int) -> float:
    """Upper limit of the mean of (loss - win + 1) / 2 in [0, 1], mapped back."""
    mean = (lost - won + n) / (2 * n)
    low, high = mean, 1.0
    while high - low > 1e-5:
        middle = (low + high) / 2
        kl = mean * np.log(mean / middle) + (1 - mean) * np.log((1 - mean) / (1 - middle))
        p = min(np.exp(-n * kl), np.e * binomial_p_value(int(np.ceil(n * mean)), n, middle))
        low, high = (middle, high) if p > DELTA else (low, middle)
    return 2 * high - 1


def rows_of(population: Population, tally: Tally, draws: int) -> Iterator[str]:
    for name, made in tally.made.items():
        false = tally.false[name]
        low, high = clopper_pearson_interval(false, draws)
        too_many = binomial_tail(false, draws) < 0.001
        mean = "" if "bound" in name and "share" not in name else f"{tally.coverage[name] / draws:.3f}"
        yield (
            f"| {population.name} | {name} | {made / draws:.3f} | {false / draws:.4f} ({low:.4f}-{high:.4f})"
            f" | {'**no**' if too_many else 'yes'} | {mean} |"
        )


def binomial_tail(false: int, draws: int) -> float:
    """P(at least this many false) if each were false with probability delta."""
    return 1 - binomial_p_value(false - 1, draws, DELTA) if false else 1.0


def simulate(population: Population, draws: int) -> list[str]:
    """The table's rows for one family."""
    rng, tally = np.random.default_rng(1), Tally()
    for _ in range(draws):
        one_draw(population, rng, tally)
    return list(rows_of(population, tally, draws))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    started = time.perf_counter()
    lines = [
        f"{options.draws} draws, target {TARGET}, delta {DELTA}; {N_SELECT} + {N_CERTIFY} calls.",
        "",
        "| family | statement | made | false (95 % interval) | holds | mean coverage |",
        "|---|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    with ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as pool:
        for rows in pool.map(simulate, (*synthetic(), *real()), repeat(options.draws)):
            lines += rows
            print("\n".join(rows), flush=True)
    more = [
        "",
        "| non-inferiority at a true loss of exactly the margin | missed | mean upper limit |",
        "|---|---|---|",
    ]
    more += [
        f"| {name} | {missed:.4f} | {mean:.4f} |"
        for name, missed, mean in worst_case_noninferiority(options.draws)
    ]
    more += ["", f"{time.perf_counter() - started:.0f} s"]
    print("\n".join(more))
    if options.output:
        options.output.write_text("\n".join(lines + more) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
