"""Which fields a run takes on, and why the others are left to the teacher.

Texts are dear to learn, so a run writes those that the task requires, and others only where a rung that writes was
asked for by name. A text that no rung of the run writes well enough for any threshold is given up, so that the other
fields keep the system they would have had without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from understudy.dataset.dataset import Dataset
from understudy.ladder.options import LearnOptions
from understudy.ladder.rungs import writing_rungs
from understudy.task.compile import learnt_by_default
from understudy.task.field import Field
from understudy.task.problem import Problem
from understudy.units import format_share

if TYPE_CHECKING:
    from understudy.ladder.climb import Climb

__all__ = ["deferred_reasons", "problems_of_run", "take_on", "without_texts"]


def problems_of_run(problems: Sequence[Problem], options: LearnOptions) -> tuple[Problem, ...]:
    """The problems that a run with these options takes on, in the order given."""
    if options.rungs and not writing_rungs(options.rungs):
        return without_texts(problems)
    if options.rungs:
        return tuple(problems)
    return tuple(problem for problem in problems if learnt_by_default(problem))


def take_on(data: Dataset, options: LearnOptions) -> Dataset:
    """The data set with only the problems that this run takes on."""
    chosen = problems_of_run(data.problems, options)
    return data if chosen == data.problems else data.with_problems(chosen)


def without_texts(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """The problems whose answer is not written."""
    return tuple(problem for problem in problems if problem.mode != "write")


def deferred_reasons(fields: Sequence[Field], state: Climb, options: LearnOptions) -> dict[str, str]:
    """Per field that no rung of the run answers, why, as the end of a sentence."""
    answered = {problem.field.name for problem in state.problems}
    return {field.name: _why(field, state, options) for field in fields if field.name not in answered}


def _why(field: Field, state: Climb, options: LearnOptions) -> str:
    if field.holds_json:
        return "lists and objects in lists are written by no rung"
    names = [record.plan.name for record in state.records]
    writers = writing_rungs(names)
    if not writers:
        return (
            "no rung that writes was asked for"
            if options.rungs and field.required
            else "not required, so it was not learnt (--rungs with writer in it would)"
        )
    shares: Mapping[str, float] = {
        name: state.share_right(rung.judged[field.name], field, options)
        for name, rung in state.fitted.items()
        if name in writers and field.name in rung.judged
    }
    if shares:
        best = max(shares, key=lambda name: shares[name])
        return (
            f"the {best} rung gives an equal text on {format_share(shares[best])} of the select calls, too few for "
            "the target at any threshold"
        )
    reasons = [
        f"{record.plan.name}: {record.reason}" for record in state.records if record.plan.name in writers
    ]
    return f"no rung that writes was fitted ({'; '.join(reasons)})"
