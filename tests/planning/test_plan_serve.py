"""Plans of serving: what is joined, what stays unknown, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from understudy.economics.hardware.catalogue import currencies, find_cloud_price
from understudy.economics.inference.machine import measure_machine
from understudy.economics.transformer.catalogue import find_model
from understudy.economics.transformer.parameters import count_parameters
from understudy.errors import ConfigError
from understudy.planning.device_choice import choose_device
from understudy.planning.model_choice import choose_model
from understudy.planning.serve import ServePlan, ServeRequest, batch_curve, plan_serve


def request(model: str = "llama-3.1-8b", device: str = "h100-sxm", **changes: Any) -> ServeRequest:
    given: dict[str, Any] = {"n_input": 500, "n_output": 200, **changes}
    return ServeRequest(model=choose_model(model=model), device=choose_device(device), **given)


def plan(**changes: Any) -> ServePlan:
    return plan_serve(request(**changes))


def test_a_plan_joins_speed_price_and_power() -> None:
    found = plan()
    total = found.time.total_seconds
    assert total is not None
    hour = find_cloud_price("lambda-h100-sxm").usd_per_hour
    assert found.usd_per_hour == hour
    assert found.call_usd is not None
    assert found.call_usd.typical == pytest.approx(total.typical * hour / 3600)
    assert found.million_tokens_usd is not None
    assert found.million_tokens_usd.typical == pytest.approx(found.call_usd.typical * 1e6 / 200)
    assert found.call_joules is not None
    assert found.call_joules.high == pytest.approx(700 * total.high)
    assert found.memory.has_room
    told = json.loads(json.dumps(found.to_dict()))
    rate = currencies()["CNY"].units_per_usd
    assert told["call_cny"]["typical"] == pytest.approx(told["call_usd"]["typical"] * rate)
    assert told["model"]["parameters"]["total"] == count_parameters(find_model("llama-3.1-8b").shape).total


def test_the_largest_batch_fits_and_is_cheaper_per_call() -> None:
    one, most = plan(), plan(batch=None)
    assert most.batch == one.largest_batch == most.largest_batch
    assert most.memory.has_room
    assert plan(batch=most.batch + 1).memory.has_room is False
    assert one.call_usd is not None
    assert most.call_usd is not None
    assert most.call_usd.typical < one.call_usd.typical / 10


def test_what_does_not_fit_comes_with_remedies_that_do() -> None:
    found = plan(model="llama-3.1-70b")
    assert found.memory.has_room is False
    assert found.largest_batch == 0
    assert any(one.startswith("--weights int8") or one == "--weights int4" for one in found.remedies)
    for remedy in found.remedies:
        words = remedy.split()
        changes: dict[str, Any] = {}
        for name, value in zip(words[::2], words[1::2], strict=True):
            field = {"--weights": "weights", "--batch": "batch", "--n-devices": "n_devices"}[name]
            changes[field] = value if field == "weights" else int(value)
        assert plan(model="llama-3.1-70b", **changes).memory.has_room, remedy


def test_too_large_a_batch_is_told_the_batch_that_fits() -> None:
    found = plan(batch=100_000)
    assert found.remedies[0] == f"--batch {found.largest_batch}"


def test_an_unknown_price_or_power_stays_unknown() -> None:
    found = plan(model="llama-3.2-1b", device="apple-m2-ultra")
    assert found.usd_per_hour is None
    assert "--usd-per-hour" in found.price_source
    assert found.call_usd is None
    assert found.watts is None
    assert found.call_joules is None
    priced = plan(model="llama-3.2-1b", device="apple-m2-ultra", usd_per_hour=0.5, watts=60.0)
    assert priced.call_usd is not None
    assert priced.call_joules is not None


def test_a_calibration_replaces_the_datasheet() -> None:
    measured = measure_machine(size=64, megabytes=1, n_repeats=1)
    found = plan(model="smollm2-135m", device="core-i7-13700h", calibration=measured)
    assert found.rates == measured.rates()
    # Passes of a processor do not overlap arithmetic and memory.
    one = found.time.decode
    assert one.arithmetic_seconds is not None
    assert one.seconds is not None
    assert one.seconds.typical == pytest.approx(one.arithmetic_seconds + one.memory_seconds)


def test_a_call_longer_than_the_context_is_refused_or_warned_of() -> None:
    assert plan().context_warning is None
    assert plan(model="gpt2", n_input=824, n_output=200).context_warning is None
    with pytest.raises(ConfigError, match=r"1,024 learnt positions(.|\n)*--input-tokens 825"):
        plan(model="gpt2", n_input=825, n_output=200)
    long = plan(model="llama-2-7b", n_input=4_000, n_output=97)
    assert long.context_warning is not None
    assert "4,097 tokens is longer than the 4,096" in long.context_warning
    assert plan(model="llama-2-7b", n_input=4_000, n_output=96).context_warning is None
    assert choose_model(n_parameters=1e9).shape.max_positions is None


def test_the_curve_ends_where_memory_does() -> None:
    curve = batch_curve(request(device="l4"))
    batches = [one.batch for one in curve]
    largest = plan(device="l4").largest_batch
    assert largest is not None
    assert batches == [2**at for at in range(len(batches))]
    assert batches[-1] <= largest < 2 * batches[-1]
    assert [one.batch for one in batch_curve(request(model="llama-3.1-405b"))] == [1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_input": 0}, "--input-tokens must be from 1"),
        ({"n_output": -3}, "--output-tokens must be from 1"),
        ({"batch": 0}, "--batch must be from 1"),
        ({"n_devices": 0}, "--n-devices must be from 1"),
        ({"usd_per_hour": -1.0}, "--usd-per-hour must be 0 or more"),
        ({"watts": float("nan")}, "--watts must be 0 or more"),
        ({"weights": "int5.5"}, "number format"),
        ({"usable_share": 2.0}, "usable share"),
        ({"cny_per_usd": 0.0}, "CNY per USD must be above 0"),
        ({"device": "browser-wasm"}, "bandwidth of browser-wasm is unknown"),
    ],
)
def test_nonsense_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        plan(**changes)


def test_a_model_comes_from_one_place(tmp_path: Path) -> None:
    config = {
        "model_type": "llama",
        "hidden_size": 64,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "intermediate_size": 128,
        "vocab_size": 100,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    read = choose_model(config=tmp_path / "config.json")
    assert read.shape.n_layers == 2
    assert count_parameters(choose_model(n_parameters=1e9).shape).total == pytest.approx(1e9, rel=0.02)
    for wrong in ({}, {"model": "gpt2", "n_parameters": 1e9}):
        with pytest.raises(ConfigError, match="one of --model ID"):
            choose_model(**wrong)  # type: ignore[arg-type]
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "words.json").write_text("no JSON")
    for name in ("list.json", "words.json", "missing.json"):
        with pytest.raises(ConfigError, match="configuration"):
            choose_model(config=tmp_path / name)


def test_a_device_comes_from_the_catalogue_a_file_or_options(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'name = "My card"\nmemory_bytes = 48e9\nbandwidth_bytes_per_second = 1e12\n'
    )
    mine = choose_device(str(tmp_path / "mine.toml"), ["memory_bytes=24e9"])
    assert (mine.id, mine.name, mine.memory_bytes) == ("mine", "My card", 24e9)
    (tmp_path / "mine.json").write_text('{"memory_bytes": 1e9}')
    assert choose_device(str(tmp_path / "mine.json")).memory_bytes == 1e9
    assert choose_device(None, ["memory_bytes=8e9"]).id == "custom"
    (tmp_path / "damaged.toml").write_text("memory_bytes")
    for name, changes, words in (
        (None, [], "a plan needs a device"),
        (None, ["memory_bytes"], "takes FIELD=VALUE"),
        (str(tmp_path / "damaged.toml"), [], "device file cannot be read"),
        (str(tmp_path / "missing.json"), [], "device file cannot be read"),
    ):
        with pytest.raises(ConfigError, match=words):
            choose_device(name, changes)
