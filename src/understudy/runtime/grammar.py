"""The grammar of an answer in JSON: exactly the texts that ``WriteFormat.answer`` can write for some problems.

Written in the Lark dialect of llguidance. Shapes of values: one of a few labels, lists of them, strings, numbers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from understudy.calls.call import ABSENT
from understudy.task.problem import Problem

__all__ = ["answer_grammar"]

# What Python's json writes: short escapes where there are some, \u00XX for the other control characters, and
# every other character as it is.
_TERMINALS = r"""
STRING: /"([^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00[01][0-9a-f])*"/
NUMBER: /-?(0|[1-9][0-9]{0,29})(\.[0-9]{1,20})?(e(\+[0-9]{2}|-[0-9]{2,3}))?/
"""


def answer_grammar(problems: Sequence[Problem], *, may_begin_blank: bool = False) -> str:
    """The grammar of one object with the problems' values by field name, in order, without blanks.

    A key may be left out where ABSENT is among the problem's values. Numbers have at most 30 digits before the
    point, and an exponent of at most 99, so that they
    are finite.

    Parameters
    ----------
    problems
        What is answered.
    may_begin_blank
        Whether a blank may stand before the object, as tokenisers want that mark the beginning of words.
    """
    count = len(problems)
    blank = '" "? ' if may_begin_blank else ""
    rules = [f'start: {blank}"{{" first_0 "}}"']
    for at, problem in enumerate(problems):
        key = _literal(json.dumps(problem.field.name, ensure_ascii=False) + ":")
        rules.append(f"pair_{at}: {key} ({' | '.join(_values(problem))})")
        is_optional = any(value is ABSENT for value in problem.values)
        mark = "?" if is_optional else ""
        rules.append(f'later_{at}: ("," pair_{at}){mark} later_{at + 1}')
        without = f" | first_{at + 1}" if is_optional else ""
        rules.append(f"first_{at}: pair_{at} later_{at + 1}{without}")
    rules += [f'first_{count}: ""', f'later_{count}: ""']
    return "\n".join(rules) + "\n" + _TERMINALS


def _values(problem: Problem) -> list[str]:
    null = ['"null"'] if any(value is None for value in problem.values) else []
    if problem.mode == "classify":
        return [_label(value) for value in problem.values if value is not ABSENT]
    if problem.mode == "multilabel":
        label = f"({' | '.join(_label(value) for value in problem.values)})"
        more = f' ("," {label}){{0,{len(problem.values) - 1}}}' if len(problem.values) > 1 else ""
        return [f'"[" ({label}{more})? "]"']
    is_number = problem.mode == "regress" or problem.field.kind == "number"
    return ["NUMBER" if is_number else "STRING", *null]


def _label(value: Any) -> str:
    return _literal(json.dumps(value, ensure_ascii=False))


def _literal(text: str) -> str:
    # The grammar's reader refuses unprintable characters that stand for themselves.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
