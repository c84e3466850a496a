"""The ledger's tables, as statements name their columns. The tables themselves are made by ``migrations``.

Table names carry the project's name, for in PostgreSQL the ledger may share a schema with others.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Double, MetaData, Table, Text

__all__ = ["AUDIT_TEXT_COLUMNS", "TEXT_COLUMNS", "audits", "calls", "gold", "metadata", "migrations_applied"]

metadata: Final = MetaData()

calls: Final = Table(
    "understudy_calls",
    metadata,
    Column("id", Text, primary_key=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("answered_by", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("status", BigInteger, nullable=False),
    Column("latency_us", BigInteger, nullable=False),
    Column("task", Text),
    Column("model", Text),
    Column("rung", Text),
    Column("confidence", Double),
    Column("artefact_id", Text),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("cached_tokens", BigInteger),
    Column("cost_nanousd", BigInteger),
    Column("teacher_cost_nanousd", BigInteger),
    Column("is_streamed", Boolean, nullable=False),
    Column("is_agreeing", Boolean),
    Column("key_name", Text),
    Column("error", Text),
    Column("request", Text),
    Column("response", Text),
    Column("student_answer", Text),
)
"""One row per call; columns as the attributes of :class:`~understudy.ledger.record.CallRecord`."""

TEXT_COLUMNS: Final = ("request", "response", "student_answer")
"""The columns that hold what users wrote and got, and what a student would have said to it."""

audits: Final = Table(
    "understudy_audits",
    metadata,
    Column("call_id", Text, primary_key=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("status", BigInteger, nullable=False),
    Column("is_agreeing", Boolean),
    Column("cost_nanousd", BigInteger),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("error", Text),
    Column("response", Text),
    Column("student_answer", Text),
    Column("is_counted", Boolean, nullable=False),
)
"""One row per audited call; see ``audit``. ``is_counted``: whether its call's row has taken up cost and agreement."""

AUDIT_TEXT_COLUMNS: Final = ("response", "student_answer")
"""Those of an audit that hold texts."""

gold: Final = Table(
    "understudy_gold",
    metadata,
    Column("call_id", Text, primary_key=True),
    Column("task", Text),
    Column("chosen", Text, nullable=False),
    Column("value", Text),
    Column("labelled_by", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
)
"""One row per call that a person has looked at; see ``gold``. ``value`` is a text like the call's own."""

migrations_applied: Final = Table(
    "understudy_migrations",
    metadata,
    Column("number", BigInteger, primary_key=True),
    Column("name", Text, nullable=False),
    Column("applied_ms", BigInteger, nullable=False),
)
"""One row per migration that this database has seen."""
