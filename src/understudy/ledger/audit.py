"""Audits: a call that a student answered is asked of upstream too, afterwards, to see whether the two agree.

An audit is a record of its own, for the call's row was written before its answer was given. Once both are in the
database, the call's row takes up what the audit found: its cost is added to the call's (an unknown one makes the sum
unknown), and its agreement becomes the call's. So every sum over calls holds what was really spent, and an audited
call saves nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from understudy.ledger.errors import RecordRefusedError
from understudy.ledger.record import MAX_COUNT, MAX_NAME_CHARACTERS, CallRecord

__all__ = ["AuditRecord", "read_record"]

_MARK: Final = b'{"audit_of":'
_COUNTS = ("time_ms", "status", "cost_nanousd", "input_tokens", "output_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """What upstream said to a call that a student had answered.

    Attributes
    ----------
    call_id
        The call's; it is audited once.
    time_ms
        When upstream was asked, milliseconds since 1970, UTC.
    status, error
        Of upstream's reply; a short word for machines where there was none.
    is_agreeing
        Whether the two answers are equal; ``None`` where they could not be compared.
    cost_nanousd
        What asking upstream did cost, in nano-dollars; ``None`` for unknown.
    input_tokens, output_tokens
        As upstream counted them.
    response, student_answer
        JSON texts, only where texts are kept.

    Raises
    ------
    RecordRefusedError
        If a value is one that a database would not take.
    """

    call_id: str
    time_ms: int
    status: int
    is_agreeing: bool | None = None
    cost_nanousd: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    error: str | None = None
    response: str | None = None
    student_answer: str | None = None

    def __post_init__(self) -> None:
        for name in _COUNTS:
            value = getattr(self, name)
            if value is None and name not in ("time_ms", "status"):
                continue
            if type(value) is not int or not 0 <= value <= MAX_COUNT:
                raise RecordRefusedError(f"an audit cannot be recorded: its {name} is no count")
        for name in ("call_id", "error", "response", "student_answer"):
            value = getattr(self, name)
            if value is None and name != "call_id":
                continue
            if not isinstance(value, str) or (
                name in ("call_id", "error") and len(value) > MAX_NAME_CHARACTERS
            ):
                raise RecordRefusedError(f"an audit cannot be recorded: its {name} is no text, or too long")
        if type(self.is_agreeing) not in (bool, type(None)):
            raise RecordRefusedError("an audit cannot be recorded: its is_agreeing is no truth value")

    def to_json(self) -> str:
        """One line of JSON; :func:`read_record` reads it back."""
        given = {
            name: value for name, value in asdict(self).items() if value is not None and name != "call_id"
        }
        text = json.dumps({"audit_of": self.call_id, **given}, ensure_ascii=False, separators=(",", ":"))
        assert text.startswith(_MARK.decode()), "the mark comes first"
        return text


_FIELDS = frozenset(field.name for field in fields(AuditRecord))


def read_record(line: bytes) -> CallRecord | AuditRecord:
    """The record of a line of either ``to_json``.

    Raises
    ------
    RecordRefusedError
        If it is no such line; a field that this version does not know is one reason.
    """
    if not line.startswith(_MARK):
        return CallRecord.from_json(line)
    try:
        given: dict[str, Any] = json.loads(line.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise RecordRefusedError("an audit is not JSON", given=type(error).__name__) from None
    given["call_id"] = given.pop("audit_of")
    if given.keys() - _FIELDS or not {"time_ms", "status"} <= given.keys():
        raise RecordRefusedError("an audit's fields are not those of this version")
    return AuditRecord(**given)
