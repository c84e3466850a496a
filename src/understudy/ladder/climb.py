"""The climb: rungs from the cheapest up, until no later one could be cheaper even if it deferred nothing.

It decides what to train and which system wins, from `train` and `select` alone. It does not see `certify`;
building and certifying the winner is `build`'s work.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from understudy.dataset.dataset import Dataset
from understudy.errors import DataError, UnderstudyError
from understudy.ladder.cache import RungCache
from understudy.ladder.candidates import Candidate, Goal, Judged, best_candidate, judge_candidates
from understudy.ladder.fit_rung import FittedRung, Reporter, fit_rung, silent
from understudy.ladder.folds import Fold, correctness, make_fold
from understudy.ladder.options import LearnOptions
from understudy.ladder.prepare import rung_key, student_maker
from understudy.ladder.rungs import RungPlan, plan_rungs, student_class, writing_rungs
from understudy.ladder.texts import take_on, without_texts
from understudy.runtime.prediction import FieldPrediction
from understudy.task.field import Field
from understudy.task.problem import Problem

__all__ = ["Climb", "RungRecord", "climb", "plan"]

_FULL_COVERAGE = 0.999
_MOST_SELECT = 20_000
"""More calls than this tell models apart no better; every rung and every point of a curve answers all of them."""
_MOST_WRITTEN = 2_000
"""The same where texts are written, which takes a hundred times as long."""


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
    problems
        What `candidates` and `best` answer: all that the run took on, but for texts that no rung writes well enough.
    """

    train: Fold
    select: Fold
    problems: tuple[Problem, ...] = ()
    records: list[RungRecord] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    best: Candidate | None = None
    stop_reason: str = "every rung was tried"
    seconds: float = 0.0

    @property
    def fitted(self) -> dict[str, FittedRung]:
        """Fitted rungs by name."""
        return {record.fitted.name: record.fitted for record in self.records if record.fitted is not None}

    def share_right(self, prediction: FieldPrediction, field: Field, options: LearnOptions) -> float:
        """Share of the select calls on which a prediction equals the reference."""
        truth = self.select.reference(options.reference)[field.name]
        return float(correctness(field, prediction.values, truth).mean())


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
        most=_MOST_WRITTEN if any(one.mode == "write" for one in data.problems) else _MOST_SELECT,
    )
    if not data.problems:
        raise DataError(
            "this run takes on no field: texts are written only if they are required or the writer is asked for, and "
            "lists of other things are not learnt",
            todo="say required = true in a task file, or add writer to --rungs",
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
    data = take_on(data, options)
    train, _ = folds(data, options)
    return _plans(data, train, options)


def _plans(data: Dataset, train: Fold, options: LearnOptions) -> list[RungPlan]:
    sample = train.inputs[:2000]
    input_chars = sum(len(part) for parts in sample for part in parts)
    written = [target.values[:2000] for target in train.targets if target.problem.mode == "write"]
    answer_chars = sum(len(value) for column in written for value in column if isinstance(value, str))
    count = max(len(sample), 1)
    return plan_rungs(
        data.problems, len(train), input_chars / count, options, answer_chars=answer_chars / count
    )


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
    data = take_on(data, options)
    train, select = folds(data, options)
    state = Climb(train, select, data.problems)
    goal = Goal(options.target, options.delta, options.of, teacher_usd)
    plans = _plans(data, train, options)
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
    kind = student_class(one.name)
    learns = [problem for problem in data.problems if problem.mode in kind.modes]
    if not learns:
        return f"it cannot learn {', '.join(sorted({problem.mode for problem in data.problems}))} fields"
    if kind.made_from is not None and (reason := _source_reason(one.name, kind.made_from, state)) is not None:
        return reason
    if kind.made_from is not None and writing_rungs([one.name]):
        # Another form of a writer is there to be cheaper than it: half of what was measured, at best.
        measured = state.fitted[kind.made_from].facts["call_seconds"] or one.call_seconds
        one = replace(one, call_seconds=min(one.call_seconds, measured / 2))
    # A rung that alone answers some field is not bounded by systems that do without that field.
    if (
        state.best is not None
        and all(problem in state.problems for problem in learns)
        and (bound := _bound_reason(one, state.best, options, goal)) is not None
    ):
        return bound
    left = options.max_minutes * 60 - spent
    if one.fit_seconds > left and not _is_cached(one.name, data, options):
        return f"needs about {one.fit_seconds:.0f} s, {max(left, 0):.0f} s of --max-minutes are left"
    if options.max_usd is not None:
        cost = (spent + one.fit_seconds) / 3600 * options.core_hour_usd * options.cores
        if cost > options.max_usd:
            return f"would bring machine time to ${cost:.3f}, over --max-usd"
    return None


def _source_reason(name: str, source: str, state: Climb) -> str | None:
    if source not in state.fitted:
        return (
            "its teacher, the tuned encoder, was not trained"
            if source == "tuned"
            else f"it is made from {source}, which was not fitted"
        )
    if writing_rungs([name]) and not any(
        source in candidate.members and candidate.coverage > 0 for candidate in state.candidates
    ):
        return f"it is made from {source}, which is sure enough of nothing"
    return None


def _is_cached(name: str, data: Dataset, options: LearnOptions) -> bool:
    return (
        options.cache is not None and RungCache(options.cache).get(rung_key(name, data, options)) is not None
    )


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


def _try_rung(
    one: RungPlan, data: Dataset, state: Climb, options: LearnOptions, cache: RungCache, report: Reporter
) -> RungRecord:
    key = rung_key(one.name, data, options)
    make = student_maker(one.name, data, options, state.fitted, cache.folder / f"{key}.checkpoint", report)
    modes = student_class(one.name).modes
    train, select = state.train.only(modes), state.select.only(modes)
    if options.threads is not None and (one.name in ("tuned", "distilled") or writing_rungs([one.name])):
        import torch

        torch.set_num_threads(options.threads)
    try:
        fitted = fit_rung(cache, key, one.name, make, train, select, report=report)
    except UnderstudyError as error:
        is_asked_for = one.name in options.rungs or (one.name == "writer" and options.writer_base is not None)
        if is_asked_for and not isinstance(error, DataError):
            raise  # asked for by name: the user wants to know, not to go on without it
        report(f"{one.name}: not possible, {error.what}")
        return RungRecord(one, None, error.what)
    return RungRecord(one, fitted, None)


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
    reference = state.select.reference(options.reference)
    written = {name for rung in fitted for name in rung.judged}
    everything = tuple(one for one in data.problems if one.mode != "write" or one.field.name in written)
    state.problems, state.candidates = everything, judge_candidates(everything, judged, reference, goal)
    state.best = best_candidate(state.candidates) if state.candidates else None
    rest = without_texts(everything)
    if rest and len(rest) < len(everything) and (state.best is None or state.best.coverage <= 0):
        # No text is written well enough for any threshold: the other fields get the system they would have without.
        candidates = judge_candidates(rest, judged, reference, goal)
        if candidates:
            state.problems, state.candidates, state.best = rest, candidates, best_candidate(candidates)


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
