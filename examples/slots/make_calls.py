"""Make calls for the example: messages that ask for a delivery slot, each with the slot as a language model writes it.

    python examples/slots/make_calls.py --calls 3000 > slots.jsonl

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

_HOURS = "one two three four five six seven eight nine ten eleven twelve".split()
_GREETINGS = ("", "", "Hi, ", "Hello there! ", "Good morning, ", "hey ", "Dear team, ", "Me again. ")
_WISHES = (
    "could the driver come {slot}?",
    "please deliver {slot}",
    "we are only in {slot}",
    "can I have my sofa brought {slot}?",
    "{slot} would suit us best",
    "I'd like to move it to {slot} if that works",
    "nobody is home except {slot}.",
    "the new date is {slot}, as agreed on the phone",
    "book {slot} please!!",
)
_TAILS = (
    "",
    "",
    " Thanks",
    " The bell is broken, knock.",
    " Gate code is {code}.",
    " Third floor, no lift.",
    " Order {code}.",
    " Many thanks, {name}",
    " My number ends in {code}.",
)
_NO_SLOT = (
    "where is my parcel?",
    "the table arrived with a scratch",
    "do you deliver on Sundays?",
    "any time is fine by me",
    "please cancel order {code}",
    "can someone call me back about the wardrobe?",
)
_NAMES = ("Ada", "Bo", "Chen", "Dilan", "Esi", "Farid", "Greta", "Hugo")


def main() -> None:
    """Write the calls to standard output, one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3000)
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
    text = text.replace("{code}", str(dice.randint(1000, 9999))).replace("{name}", dice.choice(_NAMES))
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
    """A slot in words, and as `2026-03-04 14:30-16:00`."""
    day = date(2026, 1, 1) + timedelta(days=dice.randrange(365))
    begin = dice.randrange(7 * 4, 18 * 4)
    end = min(begin + dice.randrange(2, 13), 21 * 4)
    times = f"{begin // 4:02d}:{begin % 4 * 15:02d}-{end // 4:02d}:{end % 4 * 15:02d}"
    return _in_words(dice, _day(dice, day), begin, end), f"{day.isoformat()} {times}"


def _in_words(dice: random.Random, day: str, begin: int, end: int) -> str:
    one, two = _time(dice, begin), _time(dice, end)
    span = dice.choice(
        (f"between {one} and {two}", f"from {one} to {two}", f"{one} - {two}", f"{one} till {two}")
    )
    return dice.choice((f"{day} {span}", f"{span} on {day}", f"{day}, {span}"))


def _day(dice: random.Random, day: date) -> str:
    ordinal = {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10 if day.day not in (11, 12, 13) else 0, "th")
    return dice.choice(
        (
            f"{day.day} {day:%B} {day.year}",
            f"{day:%B} {day.day}{ordinal}, {day.year}",
            f"{day:%d/%m/%Y}",
            f"{day:%A} {day.day} {day:%b} {day.year}",
            f"the {day.day}{ordinal} of {day:%B} {day.year}",
            f"{day.day}.{day.month}.{day.year}",
        )
    )


def _time(dice: random.Random, quarter: int) -> str:
    hour, part = divmod(quarter, 4)
    if (hour, part) == (12, 0) and dice.random() < 0.5:
        return "noon"
    half = "am" if hour < 12 else "pm"
    small, following = (hour - 1) % 12, hour % 12
    words = (
        _HOURS[small],
        f"quarter past {_HOURS[small]}",
        f"half past {_HOURS[small]}",
        f"quarter to {_HOURS[following]}",
    )
    # "quarter to twelve" is still the morning: the half of the day is that of the time itself.
    return dice.choice(
        (
            f"{hour:02d}:{part * 15:02d}",
            f"{hour}:{part * 15:02d}",
            f"{small + 1}:{part * 15:02d} {half}" if part else f"{small + 1} {half}",
            f"{words[part]} {'in the morning' if hour < 12 else 'in the afternoon'}",
        )
    )


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
