"""What each kind of request costs, and what its answers are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mixed_log import mixed_records, record, write_log
from understudy.calls.exchanges import read_exchanges
from understudy.dataset.kind_tally import _DistinctInputs
from understudy.dataset.kinds import find_kinds
from understudy.dataset.survey import Survey, survey_kinds
from understudy.economics.prices import parse_teacher_price


def survey(folder: Path, records: list[dict[str, Any]], price: str | None = None) -> Survey:
    log = write_log(folder / "log.jsonl", records)
    given = parse_teacher_price(price) if price is not None else None
    return survey_kinds(read_exchanges([log]), find_kinds(read_exchanges([log])), given)


def asked(count: int, answer: str = "a", model: str = "gpt-4o-mini", **more: Any) -> list[dict[str, Any]]:
    return [
        record([("system", "Pick a or b."), ("user", f"text {at}")], answer if at % 2 else "b", model=model, **more)
        for at in range(count)
    ]  # fmt: skip


def test_kinds_by_cost_with_types_and_shares(tmp_path: Path) -> None:
    pytest.importorskip("genai_prices")
    found = survey(tmp_path, mixed_records(1200))
    costs = [one.spend.known_usd for one in found.kinds]
    assert all(cost is not None for cost in costs)
    assert costs == sorted(costs, key=lambda cost: -(cost or 0))
    by_words = {one.kind.name.rsplit("-", 1)[0]: one for one in found.kinds if one.kind}
    assert by_words["name-the-queue"].answer == "choice of 3"
    assert by_words["is-the-review"].answer == "choice of 2"
    order = by_words["extract-the-order"]
    assert order.answer == "object of 2 fields"
    assert order.task is not None
    assert {item.name: item.kind for item in order.task.fields} == {"order_id": "span", "amount": "number"}
    assert order.tokens == (120.0, 14.0)
    assert found.n_calls == 1200
    assert found.other.kind is None
    shares = [one.share_of_spend or 0 for one in (*found.kinds, found.other)]
    assert sum(shares) == pytest.approx(1)
    assert found.days == pytest.approx(20)
    assert found.month_factor == pytest.approx(1.5)


def test_recorded_costs_come_first_and_unknown_ones_are_not_zero(tmp_path: Path) -> None:
    records = asked(400, tokens=None)
    (one,) = survey(tmp_path, records).kinds
    assert (one.spend.known_usd, one.spend.n_unknown, one.share_of_spend) == (None, 400, None)
    assert one.spend.reason == "no recorded cost and no token counts"
    assert one.to_dict(None)["would_save_at_most"] == {"usd_in_log": None, "usd_per_30_days": None}
    for line in records[:300]:
        line["cost_usd"] = 0.5
    (one,) = survey(tmp_path, records).kinds
    assert (one.spend.known_usd, one.spend.n_known, one.spend.n_unknown) == (150.0, 300, 100)
    assert one.to_dict(None)["would_save_at_most"]["usd_in_log"] is None
    (one,) = survey(tmp_path, records, "0.1").kinds
    assert one.spend.known_usd == pytest.approx(160)
    assert one.spend.source == "recorded + given price"


def test_a_model_without_a_list_price(tmp_path: Path) -> None:
    records = asked(50, model="house-model-7")
    (one,) = survey(tmp_path, records).kinds
    assert one.spend.known_usd is None
    assert one.spend.reason == "no list price for model house-model-7"
    (one,) = survey(tmp_path, records, "1/2").kinds
    assert one.spend.known_usd == pytest.approx(50 * (80 * 1 + 4 * 2) / 1e6)


def test_the_price_of_a_sum_is_the_sum_of_prices(tmp_path: Path) -> None:
    pytest.importorskip("genai_prices")
    from understudy.calls.readers import read_calls
    from understudy.dataset.load import dataset_from_calls

    records = asked(60)
    for at, line in enumerate(records):
        line["response"]["usage"] = {
            "prompt_tokens": 10 + at, "completion_tokens": at,
            "prompt_tokens_details": {"cached_tokens": 7 * at},
        }  # fmt: skip
    (one,) = survey(tmp_path, records).kinds
    _, report = dataset_from_calls(read_calls([tmp_path / "log.jsonl"]))
    assert one.spend.known_usd == pytest.approx(float(report.costs.usd.sum()))


def test_no_month_without_times_or_within_a_day(tmp_path: Path) -> None:
    assert survey(tmp_path, asked(40)).days is None
    short = survey(tmp_path, mixed_records(200, days=0.5))
    assert short.days == pytest.approx(0.5)
    assert short.month_factor is None


def test_free_text_takes_the_writer_and_lists_are_not_learnable(tmp_path: Path) -> None:
    records = [
        record([("system", "Sum it up."), ("user", f"ticket {at}")], f"Some sentence that is new, {at * 7919}.")
        for at in range(300)
    ]  # fmt: skip
    (one,) = survey(tmp_path, records).kinds
    assert one.answer == "free text"
    assert one.is_learnable
    assert (one.texts, one.deferred) == (("answer",), ())
    listed = [
        record([("system", "List them."), ("user", f"ticket {at}")], json.dumps({"items": [f"thing {at}", f"part {at * 31}"]}))
        for at in range(300)
    ]  # fmt: skip
    (one,) = survey(tmp_path, listed).kinds
    assert not one.is_learnable
    assert one.deferred == ("items",)


def test_calls_without_answers(tmp_path: Path) -> None:
    records = [{"messages": [{"role": "system", "content": "Go."}, {"role": "user", "content": f"a {at}"}]}
               for at in range(30)]  # fmt: skip
    (one,) = survey(tmp_path, records).kinds
    assert one.answer == "no answers"
    assert not one.is_learnable


def test_repeats_and_calls_missing(tmp_path: Path) -> None:
    (one,) = survey(tmp_path, asked(40) * 3).kinds
    assert one.repeats == pytest.approx(2 / 3)
    assert one.calls_missing == 295 - 120


def test_repeats_of_very_many_inputs_are_estimated_in_bounded_memory() -> None:
    inputs = _DistinctInputs()
    for at in range(40_000):
        inputs.add(f"text {at % 20_000}")
    assert len(inputs.per_hash) <= 4_096
    assert inputs.repeats() == pytest.approx(0.5, abs=0.01)
