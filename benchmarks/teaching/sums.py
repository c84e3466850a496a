"""Sums of two three-digit numbers, with their working.

``358+467`` is answered ``15,12,08,0825``: the columns from the right, each with the carry of the one before, then the
result; every number as wide as it can get, so that a small model finds its places soon. Every problem has exactly one
right answer, so that accuracy is exact; right means the result, the last word.
"""

from __future__ import annotations

import random

__all__ = ["problems", "result_of", "spoil", "working"]


def problems(count: int, *, seed: int) -> list[str]:
    """`count` different problems, in an order that `seed` fixes; far fewer than the 810,000 that there are."""
    dice = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found[f"{dice.randint(100, 999)}+{dice.randint(100, 999)}"] = None
    return list(found)


def working(problem: str) -> str:
    """The right answer with its working."""
    first, second = problem.split("+")
    carry, columns = 0, []
    for one, other in zip(reversed(first), reversed(second), strict=True):
        columns.append(f"{int(one) + int(other) + carry:02}")
        carry = int(columns[-1]) // 10
    return ",".join([*columns, f"{int(first) + int(second):04}"])


def result_of(answer: str) -> str:
    """The result that an answer ends with."""
    return answer.rsplit(",", 1)[-1]


def spoil(answer: str, dice: random.Random) -> str:
    """The answer with one digit changed, as careless labels have it."""
    places = [at for at, sign in enumerate(answer) if sign.isdigit()]
    at = dice.choice(places)
    wrong = dice.choice([digit for digit in "0123456789" if digit != answer[at]])
    return f"{answer[:at]}{wrong}{answer[at + 1 :]}"
