"""What a writer learns from scratch on small made-up tasks, and how long it takes.

    python benchmarks/writer.py                       # all tasks, default settings
    python benchmarks/writer.py --tasks dates --train 1000 --set vocab_size=512 --set steps=600

Prints one JSON object per run: share of held-back inputs answered exactly, by the float model's own greedy decoding,
and CPU seconds of training.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

MONTHS = "January February March April May June July August September October November December".split()
FIRST = "Maria Ahmed Chen Olga Peter Fatima Lucas Ingrid Kofi Yuki Elena Tom Aisha Bruno Nadia Sven".split()
LAST = "Lopez Khan Wei Petrova Novak Silva Berg Mensah Tanaka Rossi Baker Okoye Costa Haddad Lind".split()
THINGS = "kettle lamp printer jacket phone chair router blender camera watch desk backpack".split()
FAULTS = {
    "arrived broken": "broken",
    "never arrived": "missing",
    "is the wrong colour": "wrong colour",
    "stopped working": "defect",
    "has a part missing": "incomplete",
}
WISHES = {
    "I want my money back": "refund",
    "please send a new one": "replace",
    "can someone call me": "call back",
    "tell me what to do": "advise",
}


def dates(rng: np.random.Generator) -> tuple[str, str]:
    """A date in words or figures, in ISO form."""
    day, month, year = int(rng.integers(1, 29)), int(rng.integers(1, 13)), int(rng.integers(1950, 2035))
    name = MONTHS[month - 1]
    forms = (
        f"{name} {day}, {year}",
        f"{day} {name[:3]} {year}",
        f"{day:02}.{month:02}.{year}",
        f"the {day}th of {name.lower()} {year}",
        f"{month}/{day}/{year} (US)",
    )
    return forms[rng.integers(len(forms))], f"{year}-{month:02}-{day:02}"


def tickets(rng: np.random.Generator) -> tuple[str, str]:
    """A complaint, as one line by rule."""
    who = f"{FIRST[rng.integers(len(FIRST))]} {LAST[rng.integers(len(LAST))]}"
    thing, number = THINGS[rng.integers(len(THINGS))], int(rng.integers(10_000, 99_999))
    fault, short = list(FAULTS.items())[rng.integers(len(FAULTS))]
    wish, act = list(WISHES.items())[rng.integers(len(WISHES))]
    opening = ("Hello,", "Hi there,", "Good morning.", "Dear team,")[rng.integers(4)]
    forms = (
        f"{opening} the {thing} from order {number} {fault}. {wish}. Regards, {who}",
        f"{opening} this is {who}. My {thing} {fault}, {wish}! Order number {number}.",
        f"{opening} I ordered a {thing} ({number}) and it {fault}; {wish}. {who}",
    )
    return forms[rng.integers(3)], f"{who} (#{number}): {thing} {short}, {act}"


def sums(rng: np.random.Generator) -> tuple[str, str]:
    """Two numbers added digit by digit, with the working."""
    a, b = (int(rng.integers(10, 1000)) for _ in range(2))
    steps, carry, left, right = [], 0, a, b
    while left or right or carry:
        one, two = left % 10, right % 10
        total = one + two + carry
        steps.append(f"{one}+{two}+{carry}={total}")
        carry, left, right = total // 10, left // 10, right // 10
    return f"{a} + {b}", f"{'; '.join(steps)}. Answer {a + b}"


TASKS = {"dates": dates, "tickets": tickets, "sums": sums}


def rows(task: str, count: int, seed: int) -> list[tuple[str, str]]:
    """Different inputs, with their answers."""
    rng, found = np.random.default_rng(seed), {}
    while len(found) < count:
        text, answer = TASKS[task](rng)
        found[text] = answer
    return list(found.items())


def write_greedily(fitted: Any, texts: list[str]) -> list[str]:
    """The float model's answers, by transformers' own decoding."""
    import torch

    out = []
    for text in texts:
        ids = fitted.format.prompt(fitted.tokeniser, (text,), fitted.max_prompt_tokens).ids
        with torch.no_grad():
            found = fitted.model.generate(
                torch.tensor([ids]),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                max_new_tokens=fitted.max_new_tokens,
                do_sample=False,
                eos_token_id=list(fitted.end_ids),
                pad_token_id=fitted.end_ids[0],
            )[0, len(ids) :].tolist()
        out.append(fitted.tokeniser.decode([one for one in found if one not in fitted.end_ids]))
    return out


def run(task: str, n_train: int, n_test: int, seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    from understudy.students.targets import Targets
    from understudy.students.writer import WriterStudent
    from understudy.task.field import Field
    from understudy.task.problem import Problem

    pairs = rows(task, n_train + n_test, seed)
    train, test = pairs[:n_train], pairs[n_train:]
    problem = Problem(Field("answer", "text"), "write")
    began = time.process_time()
    student = WriterStudent(seed=seed, **settings).fit(
        [text for text, _ in train], [Targets(problem, [answer for _, answer in train])]
    )
    seconds = time.process_time() - began
    found = write_greedily(student.fitted_, [text for text, _ in test])
    right = np.mean([one == answer for one, (_, answer) in zip(found, test, strict=True)])
    miss = next(((t, a, f) for f, (t, a) in zip(found, test, strict=True) if f != a), None)
    record = {
        key: round(value, 4) if isinstance(value, float) else value for key, value in student.record_.items()
    }
    return {
        "task": task,
        "n_train": n_train,
        "seed": seed,
        **settings,
        "right": float(right),
        "cpu_seconds": round(seconds, 1),
        "first_miss": miss,
        "vocab": student.fitted_.tokeniser.get_vocab_size(),
        **record,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--train", type=int, default=1000)
    parser.add_argument("--test", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    settings = {name: json.loads(value) for name, value in (one.split("=", 1) for one in given.set)}
    for task in given.tasks:
        print(json.dumps(run(task, given.train, given.test, given.seed, settings)), flush=True)


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    main()
