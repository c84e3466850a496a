"""Calibration: what is fitted is what was there; files are read back whole, and damaged ones refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.economics.inference.calibration import (
    Calibration,
    TimedPass,
    calibrate,
    read_calibration,
    write_calibration,
)
from understudy.economics.inference.machine import measure_machine
from understudy.economics.inference.rates import Span
from understudy.economics.inference.roofline import Formats
from understudy.economics.transformer.catalogue import find_model
from understudy.economics.transformer.precision import parse_precision
from understudy.errors import ConfigError

FP32 = Formats(parse_precision("fp32"), parse_precision("fp32"))
SMALL, OTHER = find_model("smollm2-135m").shape, find_model("qwen2-0.5b").shape
PASSES = [("prefill", 64), ("prefill", 128), ("prefill", 256), ("decode", 64), ("decode", 512)]


def truth(flop: float, traffic: float, layer: float, element: float) -> Calibration:
    spans = [Span.exact(value) for value in (flop, traffic, layer, element)]
    return Calibration("a machine", "fp32", *spans, "known")


def timed(shape: Any, known: Calibration, factor: float = 1.0) -> list[TimedPass]:
    blank = [TimedPass(shape, FP32, phase, n_tokens, 1.0) for phase, n_tokens in PASSES]  # type: ignore[arg-type]
    found = []
    for one in blank:
        seconds = one.predicted(known.rates()).seconds
        assert seconds is not None
        found.append(TimedPass(shape, FP32, one.phase, one.n_tokens, factor * seconds.typical))
    return found


@given(
    flop=st.floats(1e9, 1e14),
    traffic=st.floats(1e9, 1e12),
    layer=st.floats(0, 1e-2),
    element=st.floats(0, 1e-7),
)
def test_what_an_engine_takes_is_found_again(
    flop: float, traffic: float, layer: float, element: float
) -> None:
    known = truth(flop, traffic, layer, element)
    fitted = calibrate(
        timed(SMALL, known), flop_per_second=flop, bytes_per_second=traffic, machine="x", compute="fp32"
    )
    assert fitted.flop_per_second.low == pytest.approx(flop / 1.1)
    for one in timed(OTHER, known):
        seconds = one.predicted(fitted.rates()).seconds
        assert seconds is not None
        assert seconds.typical == pytest.approx(one.seconds, rel=1e-6)


def test_a_poor_fit_widens_the_limits() -> None:
    known = truth(1e11, 1e10, 1e-3, 1e-8)
    passes = timed(SMALL, known)
    passes[0] = TimedPass(SMALL, FP32, "prefill", 64, 1.6 * passes[0].seconds)
    fitted = calibrate(passes, flop_per_second=1e11, bytes_per_second=1e10, machine="x", compute="fp32")
    assert fitted.bytes_per_second.low < 0.85 * 1e10
    for one in passes:
        seconds = one.predicted(fitted.rates()).seconds
        assert seconds is not None
        assert seconds.low <= one.seconds * 1.0001
        assert one.seconds <= seconds.high * 1.0001


def test_an_engine_cannot_be_faster_than_nothing() -> None:
    # Passes faster than arithmetic and memory allow: nothing is left for the engine, and the misfit shows.
    known = truth(1e11, 1e10, 0.0, 0.0)
    fitted = calibrate(
        timed(SMALL, known, 0.5), flop_per_second=1e11, bytes_per_second=1e10, machine="x", compute="fp32"
    )
    assert (fitted.layer_seconds.typical, fitted.element_seconds.typical) == (0.0, 0.0)
    assert "50 %" in fitted.how


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"passes": []}, "both prefill and decode"),
        ({"flop_per_second": 0.0}, "flop_per_second must be above 0"),
        ({"bytes_per_second": float("inf")}, "bytes_per_second must be above 0"),
        ({"passes": "zero"}, "must take more than 0 seconds"),
    ],
)
def test_timings_that_say_nothing_are_refused(changes: dict[str, Any], words: str) -> None:
    given_: dict[str, Any] = {
        "passes": timed(SMALL, truth(1e11, 1e10, 1e-3, 0.0)),
        "flop_per_second": 1e11,
        "bytes_per_second": 1e10,
        "machine": "x",
        "compute": "fp32",
        **changes,
    }
    if given_["passes"] == "zero":
        given_["passes"] = [
            TimedPass(SMALL, FP32, "prefill", 8, 0.0),
            TimedPass(SMALL, FP32, "decode", 8, 1.0),
        ]
    with pytest.raises(ConfigError, match=words):
        calibrate(**given_)


def test_a_file_is_read_back_whole(tmp_path: Path) -> None:
    one = measure_machine(size=64, megabytes=1, n_repeats=1)
    write_calibration(one, tmp_path / "machine.json")
    assert read_calibration(tmp_path / "machine.json") == one
    rates = one.rates()
    assert rates.is_measured
    assert rates.flop_per_second == one.flop_per_second


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "no calibration of format 1"),
        ({"bytes_per_second": None}, "bytes_per_second of a calibration must have numbers"),
        (
            {"bytes_per_second": {"low": 3, "typical": 2, "high": 4}},
            "bytes_per_second of a calibration must run",
        ),
        (
            {"flop_per_second": {"low": 0, "typical": 2, "high": 4}},
            "flop_per_second of a calibration must run",
        ),
        (
            {"layer_seconds": {"low": 0, "typical": "2", "high": 4}},
            "layer_seconds of a calibration must have",
        ),
    ],
)
def test_a_damaged_file_is_refused_by_field(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = tmp_path / "machine.json"
    path.write_text(json.dumps({**truth(1e11, 1e10, 0.0, 0.0).to_dict(), **change}))
    with pytest.raises(ConfigError, match=words):
        read_calibration(path)


def test_what_is_no_file_or_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "words.json").write_text("no")
    for name in ("missing.json", "list.json", "words.json"):
        with pytest.raises(ConfigError, match="calibration"):
            read_calibration(tmp_path / name)


@pytest.mark.parametrize("wrong", [{"size": 0}, {"megabytes": 0}, {"n_repeats": 0}])
def test_measuring_nothing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="must be 1 or more"):
        measure_machine(**wrong)
