"""What a person should know before training on a log: sentences, each with its number and its remedy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from understudy.dataset.facts import RECORD
from understudy.dataset.splits import DEFAULT_SHARES
from understudy.units import format_count, format_share

if TYPE_CHECKING:
    from understudy.dataset.inspection import FieldReport, InspectReport

__all__ = ["find_warnings"]

_MANY_OFF_SCHEMA = 0.05
_BIG_GROUP = 0.2
_CEILING = 0.95


def find_warnings(report: InspectReport) -> Iterator[str]:
    """Warnings, the gravest first."""
    yield from _about_answers(report)
    yield from _about_fields(report)
    yield from _about_texts(report)
    yield from _about_splits(report)
    yield from _about_teacher(report)
    if len(report.read.templates) > 1:
        common = report.read.templates.most_common(1)[0][1]
        yield (
            f"the log holds {len(report.read.templates):,} different request templates "
            f"(the commonest in {format_share(common / max(report.n_rows, 1))} of the calls): "
            "if they are different tasks, learn from one at a time"
        )


def _about_answers(report: InspectReport) -> Iterator[str]:
    if not report.learns:
        yield (
            "nothing can be learnt: every field is a list, or a text that is not required, which is always deferred to "
            "the teacher"
        )
    if report.n_without_answer == report.n_rows:
        columns = ", ".join(report.read.columns)
        yield (
            "no call has a teacher's answer, only gold: --map output=COLUMN names the answer; "
            f"columns seen: {columns}"
        )
    elif report.n_without_answer:
        yield f"{format_count(report.n_without_answer)} calls have no answer recorded; they teach nothing"
    if report.n_off_schema > _MANY_OFF_SCHEMA * report.n_rows:
        yield (
            f"{format_share(report.n_off_schema / report.n_rows)} of the answers are off-schema and kept "
            "out: check the task's labels, or try --lenient"
        )
    if report.n_bad_inputs > 0:
        yield f"{format_count(report.n_bad_inputs)} calls have an input of another shape; left out"
    if report.n_rare_keys:
        yield f"{report.n_rare_keys:,} keys occur too rarely to be fields; no student will write them"


def _about_fields(report: InspectReport) -> Iterator[str]:
    names = [item.field.name for item in report.fields if _has_one_outcome(item)]
    if names:
        yield f"only one answer occurs, so that there is nothing to tell apart: {_listed(names)}"
    names = [item.field.name for item in report.fields if not item.n_known]
    if names:
        yield f"no usable answer at all: {_listed(names)}"
    names = [item.field.name for item in report.fields if item.n_known and _has_rare_labels(item)]
    if names:
        yield f"some labels occur less than twice; calls with them will be deferred: {_listed(names)}"


def _about_texts(report: InspectReport) -> Iterator[str]:
    for item in report.fields:
        facts = item.texts
        if item.mode != "write" or facts is None or facts.suggested_metric is None:
            continue
        seen = (
            f"{item.field.name}: of texts of {format_count(facts.median_chars)} characters (median) "
            f"{format_share(facts.distinct_share)} are different ones. A student's will hardly ever be the same to "
            "the letter, so that nothing would be certified"
        )
        if facts.suggested_metric == "numeric":
            yield f'{seen}. They end in a number: metric = "numeric" in a task file (--task) compares that alone'
        else:
            yield (
                f'{seen}. Say in a task file (--task) when two count as equal, for example metric = "rouge_l" with '
                "at_least = 0.6; what is certified is then that likeness, and no more"
            )


def _listed(names: list[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _has_one_outcome(item: FieldReport) -> bool:
    n_outcomes = (item.n_distinct or 0) + (item.n_null > 0) + (item.n_absent > 0)
    return item.n_known > 0 and item.n_distinct is not None and n_outcomes == 1


def _has_rare_labels(item: FieldReport) -> bool:
    return item.field.kind == "choice" and item.rarest is not None and item.rarest < 2


def _about_splits(report: InspectReport) -> Iterator[str]:
    counts = report.splits.counts()
    least, likely = report.certify_rows_needed
    n_certify = counts["certify"]
    if n_certify < likely:
        total_least, total_likely = (round(n / DEFAULT_SHARES[2]) for n in (least, likely))
        can = "cannot" if n_certify < least else "may not"
        yield (
            f"{n_certify:,} rows to certify with: they {can} carry a certificate of 95 % at 95 % confidence. "
            f"It takes {least} rows answered without one error (about {total_least:,} calls), "
            f"or {likely} at half the allowed error (about {total_likely:,} calls)"
        )
    n_dropped = counts["dropped"]
    if n_dropped:
        yield (
            f"{format_count(n_dropped)} rows are near-duplicates of rows on a later side of the split; "
            "dropped from learning, so that the certificate is about unseen inputs"
        )
    if report.n_rows >= 100 and report.largest_group > _BIG_GROUP * report.n_rows:
        yield (
            f"one group of near-duplicates holds {format_share(report.largest_group / report.n_rows)} of the "
            "calls; it stays on one side of the split, so the sides differ"
        )


def _about_teacher(report: InspectReport) -> Iterator[str]:
    low = {name: ceiling for name, ceiling in report.facts.ceiling.items() if ceiling < _CEILING}
    if not low:
        return
    name = RECORD if RECORD in low else min(low, key=lambda key: low[key])
    what = "whole records" if name == RECORD else f"the field {name}"
    more = f" ({len(low) - 1} more are below {format_share(_CEILING)})" if len(low) > 1 else ""
    yield (
        "recorded answers to one and the same input differ: no student that answers every call can agree "
        f"with them in more than {format_share(low[name])} of {what}{more}"
    )
