"""Logs of full requests of several kinds, mixed, with requests that are of none."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

QUEUES = {
    "delivery": "parcel courier late tracking".split(),
    "billing": "invoice charged refund card".split(),
    "account": "login password email reset".split(),
}
FILLERS = "please hello my the about order yesterday again where is what thanks team customer today".split()
ROUTE = "You are a support router. Name the queue for the message: delivery, billing or account."
FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "order",
        "schema": {
            "type": "object",
            "properties": {"order_id": {"type": "string"}, "amount": {"type": "number"}},
        },
    },
}
SHARES = {"route": 45, "extract": 25, "sentiment": 20, "noise": 10}


def record(
    messages: Sequence[tuple[str, str]],
    answer: str,
    *,
    model: str = "gpt-4o-mini",
    created: float | None = None,
    tokens: tuple[int, int] | None = (80, 4),
    **request: Any,
) -> dict[str, Any]:
    """One request and its answer, as an application would write them down."""
    response: dict[str, Any] = {
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": answer}}],
    }
    if tokens is not None:
        response["usage"] = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}
    if created is not None:
        response["created"] = created
    asked = {"model": model, "messages": [{"role": role, "content": text} for role, text in messages]}
    return {"request": {**asked, **request}, "response": response}


def mixed_records(count: int, seed: int = 0, days: float = 20.0) -> list[dict[str, Any]]:
    """Three templates and noise, in the shares of SHARES."""
    draw = random.Random(seed)
    made = draw.choices(list(SHARES), list(SHARES.values()), k=count)
    step = days * 86_400 / max(1, count - 1)
    return [_one(kind, draw, created=1.8e9 + at * step) for at, kind in enumerate(made)]


def _one(kind: str, draw: random.Random, created: float) -> dict[str, Any]:
    some = " ".join(draw.sample(FILLERS, 4))
    number = draw.randrange(10**6)
    if kind == "route":
        queue = draw.choice(list(QUEUES))
        text = f"{' '.join(draw.sample(QUEUES[queue], 2))} {some} nr{number}"
        return record([("system", ROUTE), ("user", f"Message: {text}")], queue, created=created)
    if kind == "extract":
        day, paid = draw.randrange(10, 29), draw.randrange(5, 500)
        system = f"Extract the order from the mail. Today is 2026-03-{day}."
        answer = json.dumps({"order_id": f"A-{number:06d}", "amount": paid})
        text = f"{some} A-{number:06d} paid {paid} euros"
        messages = [("system", system), ("user", text)]
        return record(messages, answer, created=created, tokens=(120, 14), response_format=FORMAT)
    if kind == "sentiment":
        is_good = draw.random() < 0.5
        text = f"{some} {'lovely' if is_good else 'awful'} {number}"
        asked = f"Is the review positive? Say positive or negative.\nReview: {text}\n\nAnswer:"
        return record([("user", asked)], "positive" if is_good else "negative", created=created)
    words = draw.sample(FILLERS, 9)
    return record([("user", f"{number} {some}?")], f"{' '.join(words)} {number}", created=created)


def write_log(path: Path, records: Sequence[dict[str, Any]]) -> Path:
    """JSON Lines."""
    path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    return path


def fill_ledger(path: Path, records: Sequence[dict[str, Any]], *, keeps_texts: bool = True) -> Path:
    """A SQLite ledger of calls that upstream answered, at 1,000 nano-dollars each."""
    from understudy.ledger.database import Ledger
    from understudy.ledger.record import CallRecord, new_call_id

    ledger = Ledger.open(path)
    ledger.insert(
        [
            CallRecord(
                id=new_call_id(),
                time_ms=1_800_000_000_000 + 3_600_000 * at,
                answered_by="upstream",
                mode="record",
                status=200,
                latency_us=400_000,
                task="support" if at % 2 else None,
                cost_nanousd=1_000,
                teacher_cost_nanousd=1_000,
                request=json.dumps(one["request"]) if keeps_texts else None,
                response=json.dumps(one["response"]) if keeps_texts else None,
            )
            for at, one in enumerate(records)
        ]
    )
    ledger.close()
    return path
