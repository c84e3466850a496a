"""The review: from a call in shadow mode to a gold answer that `learn` reads."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.conftest import Served
from serving.test_openai_client import Upstream
from serving.upstream_app import FORMAT, chat_request
from understudy.calls.call import ABSENT
from understudy.ledger.disagreements import queue_counts
from understudy.ledger.gold import gold_counts, last_gold
from understudy.ledger.record import CallRecord, new_call_id
from understudy.serving.dashboard.review_form import answer_inputs, read_answer
from understudy.serving.settings import LedgerSettings
from understudy.task.field import Field
from understudy.task.parse import OffSchema
from understudy.task.task import Task

Serve = Callable[..., Served]
PATH = "/dashboard/review"


def a_client(served: Served) -> httpx.Client:
    return httpx.Client(base_url=served.running.url, timeout=20, follow_redirects=True)


def field_of(page: httpx.Response, name: str) -> str:
    return html.unescape(re.findall(rf'name="{name}" value="([^"]*)"', page.text)[0])


def judge(client: httpx.Client, page: httpx.Response, choice: str, **more: Any) -> httpx.Response:
    given = {name: field_of(page, name) for name in ("form_token", "call", "task")}
    return client.post(PATH, data={**given, "choice": choice, **more})


@pytest.fixture
def shadowed(json_artefact: Path, upstream: Upstream, serve: Serve, tmp_path: Path) -> Served:
    """A server in shadow mode that has seen calls on which student and teacher differ."""
    ledger = LedgerSettings(str(tmp_path / "shadow.db"), keeps_texts=True)
    served = serve(json_artefact, upstream_url=upstream[1], mode="shadow", ledger=ledger)
    # No word to go by: the teacher answers at random, as far as the student can see.
    for at in range(12):
        reply = httpx.post(
            f"{served.base_url}/chat/completions",
            json=chat_request(f"zebra quartz nr{at} ann@example.com", response_format=FORMAT),
            timeout=20,
        )
        assert reply.status_code == 200
    served.rows()
    assert queue_counts(served.server.ledger).n_waiting >= 4
    return served


def test_shadow_mode_keeps_what_the_student_said_masked(shadowed: Served) -> None:
    from understudy.ledger.disagreements import next_disagreement

    call = next_disagreement(shadowed.server.ledger)
    assert call is not None
    assert set(json.loads(call.student_answer or "")) == {"queue", "urgent"}
    assert "ann@example.com" not in str(call)


def test_without_texts_nothing_of_the_student_is_kept(
    json_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    served = serve(json_artefact, upstream_url=upstream[1], mode="shadow")
    for at in range(12):
        request = chat_request(f"zebra quartz nr{at}", response_format=FORMAT)
        httpx.post(f"{served.base_url}/chat/completions", json=request, timeout=20)
    assert any(row.is_agreeing is False for row in served.rows())
    with a_client(served) as client:
        page = client.get(PATH)
    assert "Nothing to judge" in page.text
    assert "--store-texts" in page.text
    assert "have no texts" in page.text


def test_labels_by_a_person_become_gold_that_is_learnt_from(shadowed: Served, tmp_path: Path) -> None:
    from understudy.calls.readers import read_calls
    from understudy.dataset.ledger_log import write_ledger_log
    from understudy.dataset.load import load_dataset
    from understudy.task.field import PLAIN_FIELD

    ledger = shadowed.server.ledger
    judged: dict[str, Any] = {}
    with a_client(shadowed) as client:
        for choice in ("student", "teacher", "other", "skip"):
            page = client.get(PATH)
            call_id = field_of(page, "call")
            row = re.findall(r'class="differs"><th[^>]*>.*?</tr>', page.text)[0]
            student, teacher = (re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<td.*?</td>", row))
            assert student != teacher
            judged[call_id] = {"student": student, "teacher": teacher, "other": "returns"}.get(choice)
            labels = shadowed.server.registry.current.tasks["triage"].model.task.fields[0].labels
            more = {"f0": str(labels.index("returns")), "f1": "true"} if choice == "other" else {}
            assert judge(client, page, choice, **more).status_code == 200
    assert gold_counts(ledger) == {"student": 1, "teacher": 1, "other": 1, "skip": 1}
    log = tmp_path / "log.jsonl"
    with log.open("w", encoding="utf-8") as stream:
        write_ledger_log(ledger, stream)
    calls = {call.id: call for call in read_calls([log])}
    assert len(calls) == 12
    for call_id, call in calls.items():
        expected = judged.get(call_id)
        assert (None if call.gold is ABSENT else call.gold["queue"]) == expected
    dataset, report = load_dataset([log])
    assert dataset.has_gold
    assert report.n_gold == 3
    assert PLAIN_FIELD not in dataset.gold
    assert sorted(value for value in dataset.gold["queue"] if isinstance(value, str)) == sorted(
        value for value in judged.values() if value
    )


def test_a_label_can_be_taken_back(shadowed: Served) -> None:
    ledger = shadowed.server.ledger
    with a_client(shadowed) as client:
        first = client.get(PATH)
        second = judge(client, first, "teacher")
        assert field_of(second, "call") != field_of(first, "call")
        assert "1 done: teacher right 1" in second.text
        token = {"form_token": field_of(second, "form_token")}
        undone = client.post(f"{PATH}/undo", data=token)
        assert field_of(undone, "call") == field_of(first, "call")
        assert not any(gold_counts(ledger).values())
        assert client.post(f"{PATH}/undo", data=token).status_code == 200


def test_two_people_who_judge_one_call_are_told(shadowed: Served) -> None:
    with a_client(shadowed) as client:
        page = client.get(PATH)
        judge(client, page, "teacher")
        again = judge(client, page, "student")
    assert again.status_code == 409
    assert "already" in again.text
    label = last_gold(shadowed.server.ledger, "local")
    assert label is not None
    assert label.chosen == "teacher"


def test_an_answer_that_the_task_does_not_allow_is_told_and_kept_to_be_corrected(shadowed: Served) -> None:
    with a_client(shadowed) as client:
        page = client.get(PATH)
        wrong = judge(client, page, "other", f0="77", f1="false")
        assert wrong.status_code == 422
        assert "queue: not one of the labels" in wrong.text
        assert field_of(wrong, "call") == field_of(page, "call")
        assert '<option value="false" selected>' in wrong.text
        assert judge(client, page, "perhaps").status_code == 400
        assert client.get(f"{PATH}?call=none").status_code == 404
    assert not any(gold_counts(shadowed.server.ledger).values())


def test_texts_of_users_are_never_markup(json_artefact: Path, serve: Serve) -> None:
    served = serve(json_artefact)
    evil = "</blockquote><script>alert(1)</script><img src=x onerror=alert(1)>"
    for task, answer in (("triage", {"queue": evil, "urgent": evil}), ("gone", evil)):
        served.server.ledger.insert(
            [
                CallRecord(
                    id=new_call_id(), time_ms=1, answered_by="upstream", mode="shadow", status=200, latency_us=1,
                    task=task, is_agreeing=False, request=json.dumps(chat_request(evil)),
                    response=json.dumps({"choices": [{"message": {"content": json.dumps(answer)}}]}),
                    student_answer=json.dumps(answer),
                )
            ]
        )  # fmt: skip
        with a_client(served) as client:
            page = client.get(f"{PATH}?task={task}")
        assert page.status_code == 200
        assert "&lt;script&gt;" in page.text
        assert "<script>" not in page.text
        assert "<img" not in page.text
    assert "not served now" in page.text


FIELDS = (
    Field("kind", "choice", ("a", "b"), nullable=True),
    Field("rank", "choice", (1, 2)),
    Field("is_new", "boolean", optional=True),
    Field("tags", "choices", ("x", "y", "z")),
    Field("customer.sum", "number", nullable=True),
    Field("customer.name", "span"),
    Field("why", "text", required=False),
)
TASK = Task("any", FIELDS)
FULL = {"f0": "1", "f1": "0", "f2": "true", "f4": "12.5", "f5": " Ann ", "f6": "so\r\nit is"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            {
                "kind": "b", "rank": 1, "is_new": True, "tags": [], "customer": {"sum": 12.5, "name": "Ann"},
                "why": "so\nit is",
            },
        ),
        (
            {"f0": "null", "f2": "absent", "f4": "", "f6": ""},
            {"kind": None, "rank": 1, "tags": [], "customer": {"sum": None, "name": "Ann"}},
        ),
        ({"f0": "7"}, "kind: not one of the labels"),
        ({"f1": ""}, "rank: missing"),
        ({"f1": "null"}, "rank: null"),
        ({"f2": "perhaps"}, "is_new: not true or false"),
        ({"f4": "twelve"}, "customer.sum: not a number"),
        ({"f5": "  "}, "customer.name: not a text"),
    ],
)  # fmt: skip
def test_what_is_entered_is_checked_by_type(changes: dict[str, str], expected: Any) -> None:
    form = {name: [value] for name, value in {**FULL, **changes}.items()}
    found = read_answer(TASK, form)
    if isinstance(expected, str):
        assert isinstance(found, OffSchema)
        assert expected in found.reason
    else:
        assert json.loads(json.dumps(found)) == expected


def test_several_labels_are_entered_by_boxes() -> None:
    form = {**{name: [value] for name, value in FULL.items()}, "f3": ["0", "2"]}
    found = read_answer(TASK, form)
    assert not isinstance(found, OffSchema)
    assert found["tags"] == ("x", "z")
    page = "".join(
        answer_inputs(TASK, {"tags": ("x", "z"), "kind": None, "is_new": False, "customer.sum": 3})
    )
    assert re.findall(r'type="checkbox" name="f3" value="(\d)" checked', page) == ["0", "2"]
    assert '<option value="null" selected>' in page
    assert '<option value="false" selected>' in page
    assert 'value="3"' in page


def test_a_plain_label_is_entered_as_one() -> None:
    task = Task("plain", (Field("answer", "choice", ("yes", "no")),))
    assert read_answer(task, {"f0": ["1"]}) == "no"
