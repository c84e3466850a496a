"""The climb: rungs from the cheapest up, until no later one could be cheaper even if it deferred nothing.

It decides what to train and which system wins, from `train` and `select` alone. It does not see `certify`;
building and certifying the winner is `build`'s work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy import _version
from understudy.dataset.dataset import Dataset
from understudy.errors import ConfigError, DataError, MissingDependencyError
from understudy.ladder.cache import RungCache, content_key
from understudy.ladder.candidates import Candidate, Goal, Judged, best_candidate, judge_candidates
from understudy.ladder.fit_rung import FittedRung, Reporter, fit_rung, silent
from understudy.ladder.folds import Fold, make_fold
from understudy.ladder.options import LearnOptions
from understudy.ladder.rungs import RungPlan, plan_rungs, student_class
from understudy.students.base import Student

if TYPE_CHECKING:
    from understudy.students.tuned import TunedStudent

__all__ = ["Climb", "RungRecord", "climb", "plan"]

_FULL_COVERAGE = 0.999
_PROGRESS_SECONDS = 5.0
_MOST_SELECT = 20_000
"""More calls than this tell models apart no better; every rung and every point of a curve answers all of them."""


@dataclass(frozen=True, slots=True)
class RungRecord:
    """What became of a rung.

    Attributes
    ----------
    plan
        Its prediction.
    fitted
        The result, or ``None`` if it was not tried.
    reason
        Why it was not tried or failed, or ``None``.
    """

    plan: RungPlan
    fitted: FittedRung | None
    reason: str | None


@dataclass
class Climb:
    """The state of a climb; :func:`climb` fills it.

    Attributes
    ----------
    records
        One per rung, in order.
    candidates
        All systems judged on `select`.
    best
        The winner, or ``None`` if no rung could be fitted.
    stop_reason
        Why the climb ended.
    """

    train: Fold
    select: Fold
    records: list[RungRecord] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    best: Candidate | None = None
    stop_reason: str = "every rung was tried"
    seconds: float = 0.0

    @property
    def fitted(self) -> dict[str, FittedRung]:
        """Fitted rungs by name."""
        return {record.fitted.name: record.fitted for record in self.records if record.fitted is not None}


def folds(data: Dataset, options: LearnOptions) -> tuple[Fold, Fold]:
    """Train and select.

    Raises
    ------
    DataError
        If nothing is left to learn from or to choose by.
    """
    uses = options.use_rationales and any(reason for reason in data.rationale)
    train = make_fold(data, ["train"], options.learn_from, one_per_group=False, with_rationales=uses)
    select = make_fold(
        data,
        ["select"],
        options.learn_from,
        one_per_group=True,
        needs=options.reference,
        most=_MOST_SELECT,
    )
    if not data.problems:
        raise DataError(
            "every field of this task is free text, which no rung learns",
            todo="declare fields with few values, spans or numbers in a task file (--task)",
        )
    if not len(train):
        raise DataError(
            "no call in the training split has a usable answer", todo="look at `understudy inspect`"
        )
    if not len(select):
        raise DataError(
            "no call is left for choosing among models: there are too few calls",
            given=f"{len(train)} for training, none for selection",
            todo="record more calls; a few hundred is a start",
        )
    return train, select


def plan(data: Dataset, options: LearnOptions) -> list[RungPlan]:
    """The dry run: what would be tried, and what it is predicted to take."""
    train, _ = folds(data, options)
    return plan_rungs(data.problems, len(train), _mean_chars(train), options)


def _mean_chars(fold: Fold) -> float:
    sample = fold.inputs[:2000]
    return sum(len(part) for parts in sample for part in parts) / max(len(sample), 1)


def climb(
    data: Dataset,
    options: LearnOptions,
    cache: RungCache,
    *,
    teacher_usd: float | None,
    lookup_reason: str | None = None,
    report: Reporter = silent,
) -> Climb:
    """Fit rungs in order and keep the best system so far."""
    start = time.perf_counter()
    train, select = folds(data, options)
    state = Climb(train, select)
    goal = Goal(options.target, options.delta, options.of, teacher_usd)
    plans = plan_rungs(data.problems, len(train), _mean_chars(train), options)
    for one in plans:
        if one.name == "lookup":
            # Its evidence is repeated inputs, studied before the climb; it stands before whatever wins.
            state.records.append(
                RungRecord(one, None, lookup_reason or "stands before the winner (repeated inputs)")
            )
            continue
        reason = _why_skip(one, data, state, options, goal, time.perf_counter() - start)
        if reason is not None:
            state.records.append(RungRecord(one, None, reason))
            report(f"{one.name}: not tried, {reason}")
            continue
        report(f"{one.name}: fitting on {len(train)} calls (predicted {one.fit_seconds:.0f} s)")
        state.records.append(_try_rung(one, data, state, options, cache, report))
        _choose(data, state, goal, options)
    state.seconds = time.perf_counter() - start
    state.stop_reason = _stop_reason(state)
    return state


def _why_skip(
    one: RungPlan, data: Dataset, state: Climb, options: LearnOptions, goal: Goal, spent: float
) -> str | None:
    modes = student_class(one.name).modes
    if not {problem.mode for problem in data.problems} & modes:
        return f"it cannot learn {', '.join(sorted({problem.mode for problem in data.problems}))} fields"
    if one.name == "distilled" and "tuned" not in state.fitted:
        return "its teacher, the tuned encoder, was not trained"
    if state.best is not None and (bound := _bound_reason(one, state.best, options, goal)) is not None:
        return bound
    left = options.max_minutes * 60 - spent
    if one.fit_seconds > left and not _is_cached(one.name, data, options):
        return f"needs about {one.fit_seconds:.0f} s, {max(left, 0):.0f} s of --max-minutes are left"
    if options.max_usd is not None:
        cost = (spent + one.fit_seconds) / 3600 * options.core_hour_usd * options.cores
        if cost > options.max_usd:
            return f"would bring machine time to ${cost:.3f}, over --max-usd"
    return None


def _is_cached(name: str, data: Dataset, options: LearnOptions) -> bool:
    return options.cache is not None and RungCache(options.cache).get(_key(name, data, options)) is not None


def _bound_reason(one: RungPlan, best: Candidate, options: LearnOptions, goal: Goal) -> str | None:
    """Branch and bound: a rung that could not win even if it deferred nothing."""
    if best.coverage <= 0:
        return None
    floor_usd = one.call_seconds / 3600 * options.core_hour_usd
    if best.total_usd is not None and floor_usd >= best.total_usd:
        return f"even deferring nothing it would cost {floor_usd:.1e} a call, the best so far {best.total_usd:.1e}"
    if goal.teacher_usd is None and best.coverage >= _FULL_COVERAGE:
        return "the best so far defers next to nothing, and the teacher's price is unknown"
    return None


def _key(name: str, data: Dataset, options: LearnOptions) -> str:
    is_encoder = name not in ("linear", "lookup")
    return content_key(
        data=data.fingerprint(),
        rung=name,
        seed=options.seed,
        learn_from=options.learn_from,
        reference=options.reference,
        base=options.base if is_encoder else None,
        rationales=options.use_rationales if is_encoder else None,
        version=_version.__version__,
    )


def _try_rung(
    one: RungPlan, data: Dataset, state: Climb, options: LearnOptions, cache: RungCache, report: Reporter
) -> RungRecord:
    key = _key(one.name, data, options)
    make = _maker(one.name, options, state, cache.folder / f"{key}.checkpoint", report)
    modes = student_class(one.name).modes
    train, select = state.train.only(modes), state.select.only(modes)
    if options.threads is not None and one.name in ("tuned", "distilled"):
        import torch

        torch.set_num_threads(options.threads)
    try:
        fitted = fit_rung(cache, key, one.name, make, train, select, report=report)
    except (DataError, ConfigError, MissingDependencyError) as error:
        if one.name in options.rungs and not isinstance(error, DataError):
            raise  # asked for by name: the user wants to know, not to go on without it
        report(f"{one.name}: not possible, {error.what}")
        return RungRecord(one, None, error.what)
    return RungRecord(one, fitted, None)


def _maker(
    name: str, options: LearnOptions, state: Climb, checkpoint: Path, report: Reporter
) -> Callable[[], Student]:
    """Makes students with the settings that they know of; nothing depends on the clock."""
    last = [time.monotonic()]

    def progress(done: int, total: int, *_loss: float) -> None:
        if time.monotonic() - last[0] > _PROGRESS_SECONDS:
            last[0] = time.monotonic()
            report(f"{name}: {done} of {total}")

    settings: dict[str, Any] = {
        "seed": options.seed,
        "base": options.base,
        "checkpoint": checkpoint,
        "on_progress": progress,
    }

    def make() -> Student:
        found = student_class(name)
        known = found().get_params()
        if "tuned" in known and "tuned" in state.fitted:
            tuned = _load_tuned(options, state.fitted["tuned"].component.parent)
            settings["tuned"] = tuned
            settings["layers"] = max(1, tuned.n_layers // 2)
        return found(**{key: value for key, value in settings.items() if key in known})

    return make


def _load_tuned(options: LearnOptions, folder: Path) -> TunedStudent:
    """The tuned rung as it was fitted, also when that was in an earlier run."""
    from understudy.students.tuned import TunedStudent

    tuned = TunedStudent(base=options.base, seed=options.seed)
    found = tuned.load_state(folder)
    assert found, "a cached tuned rung keeps its state"
    return tuned


def _choose(data: Dataset, state: Climb, goal: Goal, options: LearnOptions) -> None:
    fitted = sorted(state.fitted.values(), key=lambda rung: rung.facts["call_seconds"])
    judged = [
        Judged(
            rung.name,
            rung.judged,
            rung.facts["call_seconds"] / 3600 * options.core_hour_usd,
            rung.facts["call_seconds"],
        )
        for rung in fitted
    ]
    if not judged:
        return
    state.candidates = judge_candidates(
        data.problems, judged, state.select.reference(options.reference), goal
    )
    state.best = best_candidate(state.candidates) if state.candidates else None


def _stop_reason(state: Climb) -> str:
    # The lookup is judged apart from the climb, on repeated inputs.
    skipped: Sequence[RungRecord] = [
        record for record in state.records if record.reason is not None and record.plan.name != "lookup"
    ]
    return (
        "every rung was tried"
        if not skipped
        else f"stopped before {skipped[0].plan.name}: {skipped[0].reason}"
    )
