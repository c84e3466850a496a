"""Thirty days of an invented shop: the messages of the example, a real artefact's answers, invented times and costs."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

from understudy.ledger.audit import AuditRecord
from understudy.ledger.record import CallRecord, Mode
from understudy.runtime.answer import Answer
from understudy.serving.compare import agrees, student_output
from understudy.serving.registry import ServedTask

DAY_MS = 86_400_000
AUDIT_SHARE = 0.05
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
) -> list[CallRecord | AuditRecord]:
    """A month: a week in shadow mode, then served with audits; busier on weekdays; some fail, some have no price."""
    draw = random.Random(7)
    answers = task.model.answer_batch([line["input"] for line in lines])
    records: list[CallRecord | AuditRecord] = []
    for back in range(n_days - 1, -1, -1):
        start_ms = now_ms // DAY_MS * DAY_MS - back * DAY_MS
        weekday = (start_ms // DAY_MS + 3) % 7
        count = int(per_day * draw.uniform(0.85, 1.15) * (0.45 if weekday > 4 else 1.0))
        for at in range(count):
            time_ms = start_ms + int(DAY_MS * (at + draw.random()) / count)
            row = draw.randrange(len(lines))
            if time_ms < now_ms:
                mode = "shadow" if back >= n_days - 8 else "serve"
                records += _one(task, lines[row], answers[row], time_ms, draw, mode)
    return records


def _one(
    task: ServedTask, line: dict[str, Any], answer: Answer, time_ms: int, draw: random.Random, mode: Mode
) -> list[CallRecord | AuditRecord]:
    request, reply = a_request(line["input"]), a_reply(line["output"])
    n_in, n_out = 180 + len(line["input"]) // 4, 45 + draw.randrange(20)
    price = None if draw.random() < 0.004 else n_in * 2_500 + n_out * 10_000
    texts = {"request": json.dumps(request), "response": json.dumps(reply)}
    said = {"student_answer": json.dumps(student_output(task, answer))}
    agreeing = agrees(task, answer, request, reply)
    given: dict[str, Any] = {
        "id": f"{time_ms * 10**6:016x}{draw.getrandbits(64):016x}", "time_ms": time_ms, "mode": mode,
        "task": task.name, "model": "gpt-4o", "rung": answer.rung, "confidence": float(answer.confidence),
        "artefact_id": task.artefact_id, "key_name": "shop", "status": 200, "teacher_cost_nanousd": price,
    }  # fmt: skip
    if answer.is_answered and mode == "serve":
        cost = {"cost_nanousd": task.student_nanousd or 80, "latency_us": int(draw.lognormvariate(7.4, 0.35))}
        call = CallRecord(**given, **cost, request=texts["request"], answered_by="student")
        if draw.random() >= AUDIT_SHARE:
            return [call]
        found = {"is_agreeing": agreeing, "cost_nanousd": price, "response": texts["response"], **said}
        return [call, AuditRecord(call_id=call.id, time_ms=time_ms, status=200, **found)]
    latency_us = int(draw.lognormvariate(13.6, 0.4))
    if draw.random() < 0.01:
        failed = {**given, "status": 502, "teacher_cost_nanousd": None, "error": "upstream_timeout"}
        return [CallRecord(**failed, answered_by="failed", latency_us=latency_us)]
    usage = {"input_tokens": n_in, "output_tokens": n_out, "cost_nanousd": price, "latency_us": latency_us}
    compared = {"is_agreeing": agreeing, **texts, **said} if mode == "shadow" else {}
    return [CallRecord(**given, **usage, **compared, answered_by="upstream")]
