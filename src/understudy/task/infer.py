"""A task from a log: what the answers are, found from counts alone.

Rules, in words (constants below):

*Is the vocabulary closed?* The chance that the next answer is one never seen is estimated by Good and Turing:
(answers seen once + 1) / (answers + 1). At most MAX_NEW_SHARE of new ones, with each value seen at least
twice on average, is a closed vocabulary. A short log of short answers gets the benefit of the doubt.

*Is it copied?* A value counts as copied if it stands in its own input, and this is informative only if it
stands in other inputs much less often (answers that every input lists prove nothing).

A copied value is a span, unless the vocabulary is small and surely closed; a closed vocabulary that is not
copied is a choice; the rest is text. Values such as "n/a" that recur and never stand in the input are
constants beside a span and do not speak against it. Labels and objects in one log: the majority is the
schema, the rest is off-schema.

Reference: I. J. Good (1953), The population frequencies of species and the estimation of population
parameters, Biometrika 40. Valid for answers drawn independently; a log sorted by label is fine, a log of
one day may not be.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from understudy.calls.call import Call
from understudy.errors import DataError
from understudy.task.field import PLAIN_FIELD, Field, FieldKind
from understudy.task.parse import fold_label
from understudy.task.sketch import OutputSketch, PathSketch
from understudy.task.task import Task

__all__ = [
    "TaskInference",
    "find_line_labels",
    "infer_fields",
    "infer_input_names",
    "infer_task",
    "refine_text",
]

MAX_NEW_SHARE = 0.10
SURE_NEW_SHARE = 0.01
SURE_LABELS = 50
MAX_LONG_LABELS = 50
"""Labels longer than LABEL_CHARS (median) are labels only if they are this few."""
LABEL_CHARS = 40
MIN_COPIED = 0.80
MAX_FIELDS = 256
_MIN_FIELD_SHARE = 0.001
_MIN_FIELD_ROWS = 3
_FEW_VALUES = 10
_LINE_LABEL = re.compile(r"^([^\W\d_][^\n:]{0,30}?):(?=\s|$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class TaskInference:
    """A task and why it was taken for that.

    Attributes
    ----------
    task
        The task.
    why
        Per field name, one phrase.
    n_rare_keys
        Keys too rare to be fields.
    hint
        What would make more of the log learnable, or ``None``.
    """

    task: Task
    why: dict[str, str]
    n_rare_keys: int = 0
    hint: str | None = None


def infer_task(calls: Iterable[Call], name: str = "task") -> Task:
    """Infer a task from calls (their outputs, or, where none is recorded, their gold answers).

    Raises
    ------
    DataError
        If no call has an answer.
    """
    outputs, golds = OutputSketch(), OutputSketch()
    inputs: list[Any] = []
    for call in calls:
        text = call.input if isinstance(call.input, str) else "\n".join(call.input.values())
        outputs.add(call.output, text)
        golds.add(call.gold, text)
        if len(inputs) < 5000:
            inputs.append(call.input)
    names = infer_input_names(inputs)
    labels = () if names else find_line_labels([given for given in inputs if isinstance(given, str)])
    return infer_fields(outputs, golds, name, names, labels).task


def infer_fields(
    outputs: OutputSketch,
    golds: OutputSketch,
    name: str,
    input_names: tuple[str, ...] = (),
    line_labels: tuple[str, ...] = (),
    *,
    lenient: bool = False,
) -> TaskInference:
    """A task from sketches of the teacher's answers and of the gold answers.

    The teacher's answers decide the types; gold adds labels, and null where it is legal for gold alone:
    else a gold answer that the teacher never gives could not be told from no gold at all. With `lenient`, answers in free text
    beside gold labels take gold's labels for their schema.
    """
    main, other = (outputs, golds) if outputs.n_rows else (golds, OutputSketch())
    if not main.n_rows:
        raise DataError("no call has an answer", todo="say which column is the answer: --map output=COLUMN")
    why: dict[str, str] = {}
    n_rare, hint = 0, None
    if main.n_objects > main.n_plain:
        fields, n_rare = _object_fields(main, other, why)
    else:
        field = _field(PLAIN_FIELD, main.plain, other.plain, why)
        gold_kind, gold_labels, _ = _decide(other.plain)
        if field.kind == "text" and gold_kind == "choice":
            if lenient:
                field = replace(field, kind=gold_kind, labels=gold_labels)
                why[PLAIN_FIELD] = f"gold's {len(gold_labels)} labels, read out of texts"
            else:
                hint = (
                    f"gold is a choice of {len(gold_labels)}: --lenient looks for these labels in the answers"
                )
        fields = (field,)
    task = Task(name, fields, input_names, line_labels)
    return TaskInference(task, why, n_rare, hint)


def _object_fields(
    main: OutputSketch, other: OutputSketch, why: dict[str, str]
) -> tuple[tuple[Field, ...], int]:
    floor = max(min(_MIN_FIELD_ROWS, main.n_objects), _MIN_FIELD_SHARE * main.n_objects)
    paths = {name: sketch for name, sketch in main.paths.items() if sketch.n_seen >= floor}
    if len(paths) > MAX_FIELDS:
        kept = sorted(paths, key=lambda name: -paths[name].n_seen)[:MAX_FIELDS]
        paths = {name: sketch for name, sketch in paths.items() if name in set(kept)}
    null_parents = {name for name in paths if any(path.startswith(name + ".") for path in paths)}
    fields = []
    for name, sketch in paths.items():
        if name in null_parents:
            continue
        gold = other.paths.get(name, PathSketch())
        field = _field(name, sketch, gold, why)
        parents = [parent for parent in null_parents if name.startswith(parent + ".")]
        n_with_parent = sketch.n_seen + max((paths[parent].n_null for parent in parents), default=0)
        field = replace(
            field,
            nullable=field.nullable or any(paths[parent].n_null for parent in parents),
            # Gold with other keys than the teacher says nothing about the teacher's schema.
            optional=n_with_parent < main.n_objects,
        )
        fields.append(field)
    if not fields:
        raise DataError(
            "the answers are objects without a common key",
            given=f"{len(main.paths):,} different keys",
            todo="give the output's schema with --task",
        )
    return tuple(fields), len(main.paths) - len(fields) - len(null_parents & set(paths))


def _field(name: str, sketch: PathSketch, gold: PathSketch, why: dict[str, str]) -> Field:
    kind, labels, reason = _decide(sketch)
    if kind in ("choice", "choices"):
        gold_kind, gold_labels, _ = _decide(gold)
        known = {fold_label(label) if isinstance(label, str) else label for label in labels}
        if gold_kind == kind:
            labels += tuple(
                label
                for label in gold_labels
                if (fold_label(label) if isinstance(label, str) else label) not in known
            )
    why[name] = reason
    n_structured = sketch.n_list + sketch.n_other
    return Field(
        name,
        kind,
        labels,
        nullable=bool(sketch.n_null or gold.n_null),
        holds_json=kind == "text" and n_structured > sketch.n_string,
    )


def _decide(sketch: PathSketch) -> tuple[FieldKind, tuple[Any, ...], str]:
    """Kind, labels and the reason, from one path's counts."""
    if not sketch.n_values:
        # Some kind it must have; as a span it can be learnt as "null" and deferred where that is unsure.
        return "span", (), "no value but null was seen"
    counts = {
        "string": sketch.n_string, "number": sketch.n_number, "boolean": sketch.n_boolean,
        "list": sketch.n_list, "other": sketch.n_other,
    }  # fmt: skip
    major = max(counts, key=lambda kind: counts[kind])
    if major == "boolean":
        return "boolean", (), "true or false"
    if major == "number":
        return "number", (), "numbers"
    if major == "other":
        return "text", (), "objects in lists"
    if major == "list":
        return _decide_list(sketch)
    return _decide_string(sketch)


def _decide_list(sketch: PathSketch) -> tuple[FieldKind, tuple[Any, ...], str]:
    items = {item: count for item, count in sketch.items.items() if item is not None}
    if not items:
        return "text", (), "empty lists only"
    n_items, n_once = sum(items.values()), sum(count == 1 for count in items.values())
    if not sketch.is_open and _is_closed(n_items, len(items), n_once, is_short=True):
        return "choices", _ordered(items), f"lists of {len(items)} items"
    return "text", (), f"lists of {_many(len(items), sketch.is_open)} items"


def _decide_string(sketch: PathSketch) -> tuple[FieldKind, tuple[Any, ...], str]:
    values = {value: count for (kind, value), count in sketch.values.items() if kind == "s"}
    n_distinct, n_once = len(values), sum(count == 1 for count in values.values())
    is_short = _median_length(values) <= LABEL_CHARS
    is_open = sketch.is_open or sketch.n_long > 0.05 * sketch.n_string
    is_closed = not is_open and _is_closed(sketch.n_string, n_distinct, n_once, is_short=is_short)
    if not is_short and n_distinct > MAX_LONG_LABELS:
        # Many sentences that recur are a log that repeats its calls, not a vocabulary.
        is_closed = False
    share, control = _copied_shares(sketch)
    new_share = (n_once + 1) / (sketch.n_string + 1)
    is_copied = share >= MIN_COPIED and control <= share / 2
    seen = f"{_many(n_distinct, sketch.is_open)} values in {sketch.n_string:,}"
    if is_copied and not (is_closed and new_share <= SURE_NEW_SHARE and n_distinct <= SURE_LABELS):
        return "span", (), f"{share:.0%} copied; {seen}"
    if not is_closed and sketch.n_string < _FEW_VALUES and is_short and not is_open:
        # Too few values to judge by themselves: null, which recurs, is an answer too.
        is_closed = _is_closed(sketch.n_seen, n_distinct + 1, n_once, is_short=False)
    if is_closed:
        return "choice", _labels(values), seen
    return "text", (), f"{seen}; {share:.0%} copied"


def _many(count: int, is_open: bool) -> str:
    return f"{count:,}{'+' if is_open else ''}"


def _is_closed(n_values: int, n_distinct: int, n_once: int, *, is_short: bool) -> bool:
    if n_distinct > n_values / 2:
        return False
    return (n_once + 1) / (n_values + 1) <= MAX_NEW_SHARE or (is_short and n_once <= n_values / 4)


def _median_length(values: dict[str, int]) -> int:
    lengths = Counter[int]()
    for value, count in values.items():
        lengths[len(value)] += count
    half, seen = sum(lengths.values()) / 2, 0
    for length in sorted(lengths):
        seen += lengths[length]
        if seen >= half:
            return length
    return 0


def _copied_shares(sketch: PathSketch) -> tuple[float, float]:
    """Share of values found in their own input, and in another; constants such as "n/a" left out."""
    constants = set(_constant_values(sketch))
    n_out = sum(sketch.copied[key][0] for key in sketch.copied if key in constants)
    n_found_out = sum(sketch.copied[key][1] for key in sketch.copied if key in constants)
    n_checked = sketch.n_checked - n_out
    if n_checked <= 0:
        return 0.0, 0.0
    return (sketch.n_copied - n_found_out) / n_checked, min(1.0, sketch.n_control / n_checked)


def _constant_values(sketch: PathSketch) -> list[tuple[str, Any]]:
    """Values in at least 5 % of the rows (and 3) that as good as never stand in the input; at most three."""
    found = [
        (tally[0], key)
        for key, tally in sketch.copied.items()
        if tally[0] >= max(3, 0.05 * sketch.n_checked) and tally[1] < 0.1 * tally[0]
    ]
    found.sort(key=lambda item: (-item[0], str(item[1])))
    # More than three: a vocabulary of labels, not a few constants beside copied values.
    return [key for _, key in found] if len(found) <= 3 else []


def _labels(values: dict[str, int]) -> tuple[str, ...]:
    """Labels, commonest first; ways to write the same label, and strays, are left to the parser.

    A value in other letter case than one ten times as common is that one; a value seen once that is much
    longer than any that recurs, or breaks the line, is an answer that missed the schema.
    """
    recurring = [value for value, count in values.items() if count > 1]
    longest = max((len(value) for value in recurring), default=10**9)
    has_lines = any("\n" in value for value in recurring)
    kept: dict[str, int] = {}
    best: dict[str, int] = {}
    for value, count in sorted(values.items(), key=lambda item: (-item[1], item[0])):
        is_stray = (
            count == 1 and recurring and (len(value) > 2 * longest + 10 or ("\n" in value and not has_lines))
        )
        if not value or is_stray or best.get(fold_label(value), 0) >= 10 * count:
            continue
        kept[value] = count
        best.setdefault(fold_label(value), count)
    return tuple(kept)


def _ordered(items: dict[Any, int]) -> tuple[Any, ...]:
    return tuple(sorted(items, key=lambda item: (-items[item], str(item))))


def infer_input_names(inputs: Sequence[Any]) -> tuple[str, ...]:
    """Names of the input's texts: the keys that at least 99 % of the records have; none where most are
    texts.
    """
    records = [given for given in inputs if not isinstance(given, str)]
    if len(records) * 2 <= len(inputs):
        return ()
    counts = Counter(key for record in records for key in record)
    return tuple(key for key, count in counts.items() if count >= 0.99 * len(records))


def find_line_labels(texts: Sequence[str]) -> tuple[str, ...]:
    """Labels (``Premise``, ``Hypothesis``) that at least 99 % of texts carry at line starts, in one order.

    The first must begin the text. Empty if there are fewer than two such labels or ten texts.
    """
    if len(texts) < 10:
        return ()
    found = [_LINE_LABEL.findall(text[:20_000]) for text in texts]
    counts = Counter(label for labels in found for label in set(labels))
    common = {label for label, count in counts.items() if count >= 0.99 * len(texts)}
    if len(common) < 2:
        return ()
    orders = Counter(tuple(dict.fromkeys(label for label in labels if label in common)) for labels in found)
    order, _ = orders.most_common(1)[0]
    task = Task("probe", (Field(PLAIN_FIELD, "text"),), line_labels=order)
    n_cut = sum(any(part for part in task.parts(text)[1:]) for text in texts)
    starts = sum(text.startswith(f"{order[0]}:") for text in texts)
    is_fit = min(n_cut, starts) >= 0.99 * len(texts)
    return order if is_fit else ()


def refine_text(task: Task, inferred: Task) -> Task:
    """`task` with its text fields turned into the choice or span that the log shows.

    For tasks from a JSON Schema, where "string" leaves open which of the three it is.
    """
    known = {field.name: field for field in inferred.fields}
    fields = []
    for given in task.fields:
        seen = known.get(given.name)
        if given.kind == "text" and seen is not None and seen.kind in ("choice", "span"):
            fields.append(replace(given, kind=seen.kind, labels=seen.labels))
        else:
            fields.append(given)
    return replace(task, fields=tuple(fields))
