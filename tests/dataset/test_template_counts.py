"""What changes in a log's prompts may change when it is served; what never changed may not."""

from __future__ import annotations

import json
from pathlib import Path

from understudy.calls.known_request import KnownRequest
from understudy.dataset.load import load_dataset
from understudy.dataset.template_counts import TemplateCounts


def template(day: str) -> str:
    return KnownRequest((("system", f"Today is {day}. Route."),), "Message: ").to_text()


def test_prompts_that_differ_in_their_dates_are_one_with_placeholders() -> None:
    counts = TemplateCounts()
    for day in range(1, 29):
        counts.add(template(f"2026-02-{day:02d}"))
    (text,) = counts.common(1)
    known = KnownRequest.from_text(text)
    assert known.is_steady
    assert known.fixed == (("system", "Today is <...>. Route."),)


def test_a_date_that_never_changed_is_kept() -> None:
    counts = TemplateCounts()
    for _ in range(5):
        counts.add(template("2026-02-01"))
    assert counts.common(1) == (template("2026-02-01"),)


def test_many_different_prompts_are_bounded_and_the_common_come_first() -> None:
    counts = TemplateCounts()
    for at in range(3_000):
        counts.add(KnownRequest((("system", f"prompt {at // 2}"),)).to_text())
    for _ in range(3):
        counts.add(KnownRequest((("system", "prompt 7"),)).to_text())
    assert counts.common(3) == (KnownRequest((("system", "prompt 7"),)).to_text(),)
    assert len(counts.common(1)) == 1_000


def test_a_log_with_a_clock_in_its_prompt_gives_one_template_with_the_input_cut_out(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    lines = [
        {
            "request": {
                "model": "m",
                "messages": [
                    {"role": "system", "content": f"It is 2026-03-{1 + at % 28:02d} {at % 24}:05. Route."},
                    {"role": "user", "content": f"Message: parcel number {at}"},
                ],
            },
            "response": {"content": ("delivery", "billing")[at % 2]},
        }
        for at in range(600)
    ]
    log.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    data, _ = load_dataset([log])
    (kind,) = map(KnownRequest.from_text, data.request_kinds)
    assert kind.prefix == "Message: "
    asked = [("system", "It is 2027-01-01 0:00. Route."), ("user", "Message: another")]
    assert kind.input_of(asked, None) == "another"
