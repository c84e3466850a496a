"""Labels by people: for a call on which student and teacher differ, who was right, or what is.

Written straight to the database, not through the spool: a person's click may get an error, and nothing is shown as
done before it is committed. A call has one label; the first stays until it is undone. It does not know the task's
schema: whoever labels checks the value.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, Final, Literal, cast, get_args

from sqlalchemy import RowMapping, case, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from understudy.ledger.database import Ledger
from understudy.ledger.errors import RecordRefusedError
from understudy.ledger.record import MAX_NAME_CHARACTERS
from understudy.ledger.schema import gold

__all__ = ["CHOICES", "Choice", "GoldLabel", "add_gold", "gold_counts", "last_gold", "undo_gold"]

Choice = Literal["student", "teacher", "other", "skip"]
"""Who was right; ``other``: neither, the value was entered; ``skip``: no label was given."""

CHOICES: Final = cast("tuple[Choice, ...]", get_args(Choice))


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldLabel:
    """What a person said of one call.

    Attributes
    ----------
    call_id, task
        The call and the task that it was served as.
    chosen
        See :data:`Choice`.
    value
        The right answer as JSON text, in the teacher's shape; ``None`` for ``skip``, or where it was forgotten with
        the call's texts.
    labelled_by
        The name of the key that the person came in with.
    time_ms
        When, milliseconds since 1970, UTC.

    Raises
    ------
    RecordRefusedError
        If the choice is unknown, a name is too long, or a value is missing or is no JSON.
    """

    call_id: str
    chosen: Choice
    labelled_by: str
    task: str | None = None
    value: str | None = None
    time_ms: int = 0

    def __post_init__(self) -> None:
        if self.chosen not in CHOICES:
            raise RecordRefusedError(f"a label's choice is none of {', '.join(CHOICES)}")
        if any(len(name or "") > MAX_NAME_CHARACTERS for name in (self.call_id, self.labelled_by, self.task)):
            raise RecordRefusedError(f"a name of a label has more than {MAX_NAME_CHARACTERS} characters")
        if self.value is not None:
            try:
                json.loads(self.value)
            except (ValueError, RecursionError):
                raise RecordRefusedError("a label's value is no JSON") from None


def _label(row: RowMapping) -> GoldLabel:
    given: dict[str, Any] = {name: row[name] for name in GoldLabel.__dataclass_fields__}
    return GoldLabel(**given)


def add_gold(ledger: Ledger, label: GoldLabel) -> bool:
    """Write a label down; when this returns it is committed.

    Parameters
    ----------
    ledger
        Where.
    label
        A `time_ms` of 0 stands for now.

    Returns
    -------
    bool
        Whether it was written; false if the call has a label already, which stays.

    Raises
    ------
    RecordRefusedError
        If there is no value where one is needed, or the database refuses it.
    LedgerError
        If the database does not answer; the label may or may not be there.
    """
    if (label.value is None) != (label.chosen == "skip"):
        raise RecordRefusedError("a label needs a value, and a skipped call none")
    given = {name: getattr(label, name) for name in GoldLabel.__dataclass_fields__}
    given["time_ms"] = label.time_ms or time.time_ns() // 1_000_000
    with ledger.writing() as connection:
        make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        statement = make(gold).on_conflict_do_nothing(index_elements=[gold.c.call_id])
        return bool(connection.execute(statement.returning(gold.c.call_id), [given]).all())


def last_gold(ledger: Ledger, labelled_by: str) -> GoldLabel | None:
    """The latest label of a person; ``None`` without any."""
    query = select(gold).where(gold.c.labelled_by == labelled_by)
    query = query.order_by(gold.c.time_ms.desc(), gold.c.call_id.desc()).limit(1)
    with ledger.reading() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else _label(row)


def undo_gold(ledger: Ledger, labelled_by: str) -> GoldLabel | None:
    """Take back the latest label of a person, and return it; ``None`` without any."""
    last = last_gold(ledger, labelled_by)
    if last is None:
        return None
    # This very label: in the meantime it may be gone, and the call another person's.
    mine = (
        gold.c.call_id == last.call_id,
        gold.c.labelled_by == labelled_by,
        gold.c.time_ms == last.time_ms,
    )
    with ledger.writing() as connection:
        is_gone = not connection.execute(delete(gold).where(*mine)).rowcount
    return None if is_gone else last


def gold_counts(ledger: Ledger, task: str | None = None) -> dict[Choice, int]:
    """How many calls were labelled in which way, of a task or (``None``) of all."""
    columns = [func.count(case((gold.c.chosen == name, 1))).label(name) for name in CHOICES]
    where = [] if task is None else [gold.c.task == task]
    with ledger.reading() as connection:
        row = connection.execute(select(*columns).where(*where)).mappings().one()
    return {name: row[name] for name in CHOICES}
