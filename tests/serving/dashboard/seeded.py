"""Thirty days of an invented shop: the messages of the example, a real artefact's answers, invented times and costs."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

from understudy.ledger.record import CallRecord
from understudy.serving.compare import agrees, student_output
from understudy.serving.registry import ServedTask

DAY_MS = 86_400_000
SYSTEM = "You sort customer messages of the online shop Larkspur. Answer with a JSON object."


def a_request(text: str) -> dict[str, Any]:
    """What the shop sends."""
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]
    return {"model": "gpt-4o", "messages": messages, "response_format": {"type": "json_object"}}


def a_reply(output: Any) -> dict[str, Any]:
    """What the teacher answers."""
    message = {"role": "assistant", "content": output if isinstance(output, str) else json.dumps(output)}
    return {"model": "gpt-4o", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


def month(
    task: ServedTask, lines: Sequence[dict[str, Any]], now_ms: int, *, n_days: int = 30, per_day: int = 90
) -> list[CallRecord]:
    """Calls of a month: first in shadow mode, then served; busier on weekdays; some fail, some have no price."""
    draw = random.Random(7)
    answers = task.model.answer_batch([line["input"] for line in lines])
    records = []
    for back in range(n_days - 1, -1, -1):
        start_ms = now_ms // DAY_MS * DAY_MS - back * DAY_MS
        weekday = (start_ms // DAY_MS + 3) % 7
        count = int(per_day * draw.uniform(0.85, 1.15) * (0.45 if weekday > 4 else 1.0))
        is_shadow = back >= n_days - 8
        for at in range(count):
            time_ms = start_ms + int(DAY_MS * (at + draw.random()) / count)
            if time_ms < now_ms:
                row = draw.randrange(len(lines))
                is_compared = is_shadow or draw.random() < 0.05
                records.append(_one(task, lines[row], answers[row], time_ms, draw, len(records), is_compared))
    return records


def _one(
    task: ServedTask,
    line: dict[str, Any],
    answer: Any,
    time_ms: int,
    draw: random.Random,
    at: int,
    is_shadow: bool,
) -> CallRecord:
    request, reply = a_request(line["input"]), a_reply(line["output"])
    n_in, n_out = 180 + len(line["input"]) // 4, 45 + draw.randrange(20)
    teacher = None if draw.random() < 0.004 else n_in * 2_500 + n_out * 10_000
    given: dict[str, Any] = {
        "id": f"{time_ms * 10**6:016x}{at:016x}", "time_ms": time_ms, "mode": "shadow" if is_shadow else "serve",
        "task": task.name, "model": "gpt-4o", "rung": answer.rung,
        "confidence": min(1.0, max(0.0, float(answer.confidence))), "artefact_id": task.artefact_id,
        "key_name": "shop", "status": 200, "teacher_cost_nanousd": teacher,
    }  # fmt: skip
    if answer.is_answered and not is_shadow:
        latency_us = int(draw.lognormvariate(7.4, 0.35))
        return CallRecord(
            **given, answered_by="student", cost_nanousd=task.student_nanousd or 80, latency_us=latency_us
        )
    latency_us = int(draw.lognormvariate(13.6, 0.4))
    if draw.random() < 0.01:
        failed = {**given, "status": 502, "teacher_cost_nanousd": None}
        return CallRecord(**failed, answered_by="failed", error="upstream_timeout", latency_us=latency_us)
    usage = {"input_tokens": n_in, "output_tokens": n_out, "cost_nanousd": teacher, "latency_us": latency_us}
    compared: dict[str, Any] = {}
    if is_shadow:
        compared = {
            "is_agreeing": agrees(task, answer, request, reply), "request": json.dumps(request),
            "response": json.dumps(reply), "student_answer": json.dumps(student_output(task, answer)),
        }  # fmt: skip
    return CallRecord(**given, **usage, **compared, answered_by="upstream")
