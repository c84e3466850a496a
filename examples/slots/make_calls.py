"""Make calls for the example: messages that ask for a delivery slot, each with the slot as a language model writes it.

    python examples/slots/make_calls.py --calls 4000 > slots.jsonl

Messages come from a grammar, so that any number of calls can be made without a download; the same seed makes the same
calls. The "language model" is this program too: it reads the slot right except for a share of calls (`--slips`), in which
it takes a morning for an afternoon or drops the minutes, as real ones do. What is right stands under `gold`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from datetime import date, timedelta

_GREETINGS = ("", "", "Hi, ", "Hello! ", "Good morning, ", "Dear team, ")
_WISHES = (
    "could the driver come {slot}?",
    "please deliver {slot}",
    "we are only in {slot}",
    "{slot} would suit us best",
    "book {slot} please",
    "nobody is home except {slot}",
)
_TAILS = ("", "", " Thanks", " The bell is broken, knock.", " Third floor, no lift.", " Regards, Hugo")
_NO_SLOT = (
    "where is my parcel?",
    "the table arrived with a scratch",
    "do you deliver on Sundays?",
    "any time is fine by me",
    "can someone call me back?",
)


def main() -> None:
    """Write the calls to standard output, one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument(
        "--slips", type=float, default=0.02, help="share of slots that the language model gets wrong"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    dice = random.Random(options.seed)
    for number in range(options.calls):
        sys.stdout.write(json.dumps(_call(dice, number, options.slips), ensure_ascii=False) + "\n")


def _call(dice: random.Random, number: int, slips: float) -> dict[str, object]:
    if dice.random() < 0.08:
        wish, gold = dice.choice(_NO_SLOT), "no slot"
    else:
        words, gold = _slot(dice)
        wish = dice.choice(_WISHES).replace("{slot}", words)
    text = dice.choice(_GREETINGS) + wish + dice.choice(_TAILS)
    said = _slip(dice, gold) if dice.random() < slips else gold
    return {
        "id": f"slot-{number:05d}",
        "input": text,
        "output": said,
        "gold": gold,
        "model": "large-model",
        "input_tokens": 180 + len(text) // 4,
        "output_tokens": 4 + len(said) // 3,
    }


def _slot(dice: random.Random) -> tuple[str, str]:
    """A slot in words, and as `03-04 14:30-16:00`."""
    day = date(2026, 1, 1) + timedelta(days=dice.randrange(365))
    begin = dice.randrange(14, 36)
    end = min(begin + dice.randrange(2, 9), 42)
    times = f"{begin // 2:02d}:{begin % 2 * 30:02d}-{end // 2:02d}:{end % 2 * 30:02d}"
    one, two = _time(dice, begin), _time(dice, end)
    span = dice.choice((f"between {one} and {two}", f"from {one} to {two}"))
    words = dice.choice((f"{_day(dice, day)} {span}", f"{span} on {_day(dice, day)}"))
    return words, f"{day:%m-%d} {times}"


def _day(dice: random.Random, day: date) -> str:
    ordinal = {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10 if day.day not in (11, 12, 13) else 0, "th")
    return dice.choice(
        (f"{day.day} {day:%B}", f"{day:%B} {day.day}{ordinal}", f"the {day.day}{ordinal} of {day:%B}")
    )


def _time(dice: random.Random, half_hour: int) -> str:
    hour, part = divmod(half_hour, 2)
    half, small = ("am" if hour < 12 else "pm"), (hour - 1) % 12 + 1
    return dice.choice((f"{hour:02d}:{part * 30:02d}", f"{small}:30 {half}" if part else f"{small} {half}"))


def _slip(dice: random.Random, gold: str) -> str:
    """A mistake that a language model makes."""
    if gold == "no slot":
        return gold
    day, _, times = gold.partition(" ")
    begin, _, end = times.partition("-")
    if dice.random() < 0.5:
        return f"{day} {begin[:3]}00-{end}"
    return f"{day} {(int(begin[:2]) + 12) % 24:02d}{begin[2:]}-{end}"


if __name__ == "__main__":
    main()
