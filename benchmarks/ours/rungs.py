"""banking77_gold, one rung at a time: fitted on the train split, int8 export judged on the test split.

Also the calibrated average of two rungs and the cascade. Nothing here is certified; see ``learn.py``.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench import data, probe

from ours.common import Given, fit_rung, fit_seconds, run_row, served, served_values

Texts = list[tuple[str, ...]]
_SELECT_SHARE = 0.16
"""Held-out share of the training rows on which averages are weighted and floors chosen."""
_ACCURACY_GIVEN_UP = 0.002
"""A cascade may lose this much against the encoder alone."""


def _maker(rung: str, work: Path) -> Callable[[], Any]:
    if rung == "linear":
        from understudy.students.linear import LinearStudent

        return LinearStudent
    if rung == "frozen":
        from understudy.students.frozen import FrozenStudent

        return FrozenStudent
    if rung == "tuned":
        from understudy.students.tuned import TunedStudent

        return TunedStudent
    from understudy.students.distilled import DistilledStudent
    from understudy.students.tuned import TunedStudent

    tuned = TunedStudent()
    assert tuned.load_state(work / "rungs" / "tuned-state"), "the tuned rung was fitted before"
    return lambda: DistilledStudent(tuned)


def _fitted(rung: str, given: Given) -> Path:
    """The rung's component, fitted on all training rows; a distilled one brings its teacher."""
    train_x, train_y, _, _ = data.banking(given.data, quick=given.is_quick)
    if rung == "distilled":
        _fitted("tuned", given)
    return fit_rung(rung, _maker(rung, given.work), train_x, train_y, given.work)


def _accuracy(values: list[Any], labels: list[str]) -> float:
    return sum(bool(one == two) for one, two in zip(values, labels, strict=True)) / len(labels)


def one_rung(rung: str) -> Callable[[Given], dict[str, Any]]:
    """A row for one rung."""

    def row(given: Given) -> dict[str, Any]:
        _, _, test_x, test_y = data.banking(given.data, quick=given.is_quick)
        folder = _fitted(rung, given)
        figures: dict[str, Any] = {
            **fit_seconds(folder),
            "accuracy": _accuracy(served_values(folder, [(text,) for text in test_x]), test_y),
            "size_bytes": probe.folder_bytes(folder),
            "n_test": len(test_y),
        }
        if rung == "distilled":
            figures["teacher_fit_s"] = fit_seconds(given.work / "rungs" / "tuned")["fit_s"]
        if rung != "linear":
            figures["texts_per_second_one_thread"] = _throughput(folder, test_x)
        return figures | served("component", folder, test_x, given)

    return row


def _throughput(folder: Path, texts: list[str]) -> float:
    """Texts per second in large batches on one thread."""
    import os

    from understudy.runtime.component import load_component

    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        component = load_component(folder)
        inputs = [(text,) for text in texts[:1_000]]
        component.predict(inputs[:32])
        start = time.perf_counter()
        component.predict(inputs)
        return len(inputs) / (time.perf_counter() - start)
    finally:
        os.sched_setaffinity(0, cores)


def _select_rows(count: int) -> tuple[list[int], list[int]]:
    order = list(range(count))
    random.Random(0).shuffle(order)
    cut = round(_SELECT_SHARE * count)
    return sorted(order[cut:]), sorted(order[:cut])


def _judge_on_select(given: Given) -> dict[str, Any]:
    """Linear and frozen fitted on part of the training rows, and what they say of the rest."""
    from understudy.runtime.component import load_component

    train_x, train_y, _, _ = data.banking(given.data, quick=given.is_quick)
    fit_rows, select_rows = _select_rows(len(train_x))
    texts, labels = [train_x[at] for at in fit_rows], [train_y[at] for at in fit_rows]
    select: Texts = [(train_x[at],) for at in select_rows]
    out: dict[str, Any] = {"labels": [train_y[at] for at in select_rows]}
    for rung in ("linear", "frozen"):
        folder = fit_rung(f"{rung}-part", _maker(rung, given.work), texts, labels, given.work)
        component = load_component(folder)
        out[rung] = component.predict(select)[0]
        out["problem"] = component.problems[0]
    return out


def linear_frozen(given: Given) -> dict[str, Any]:
    """The calibrated average: weights and temperatures from held-out training rows, members refitted on
    all.
    """
    import numpy as np

    from understudy.ladder.calibrate import calibrate_member, calibrate_pair
    from understudy.runtime.component import load_component
    from understudy.runtime.stages import combine_members

    _, _, test_x, test_y = data.banking(given.data, quick=given.is_quick)
    start = time.perf_counter()
    judged = _judge_on_select(given)
    problem, labels = judged["problem"], judged["labels"]
    right = [
        np.array([a == b for a, b in zip(judged[rung].values, labels, strict=True)])
        for rung in ("linear", "frozen")
    ]
    own = [
        (judged[rung], calibrate_member(problem, judged[rung], labels, good))
        for rung, good in zip(("linear", "frozen"), right, strict=True)
    ]
    calibrations = calibrate_pair(problem, own[0], own[1], labels, (right[0], right[1]))
    folders = [_fitted(rung, given) for rung in ("linear", "frozen")]
    seconds = time.perf_counter() - start
    inputs = [(text,) for text in test_x]
    said = [load_component(folder).predict(inputs)[0] for folder in folders]
    mixed = combine_members(problem, said, calibrations)
    return {
        "fit_s": seconds,
        "has_reused_members": (given.work / "rungs" / "frozen.json").exists(),
        "accuracy": _accuracy(mixed.values, test_y),
        "weights": [one.weight for one in calibrations],
        "size_bytes": sum(probe.folder_bytes(folder) for folder in folders),
        "n_test": len(test_y),
    }


def cascade(given: Given) -> dict[str, Any]:
    """Linear first, the distilled encoder for what linear is not sure of.

    The floor is chosen on held-out training rows, with the frozen encoder standing in for the distilled one
    (which would have to be trained again on fewer rows): the lowest at which the cascade loses at most
    ``_ACCURACY_GIVEN_UP`` against the stand-in alone. The test split only measures it.
    """
    import numpy as np

    from understudy.runtime.component import load_component

    _, _, test_x, test_y = data.banking(given.data, quick=given.is_quick)
    judged = _judge_on_select(given)
    sure = judged["linear"].confidence
    linear_right, encoder_right = (
        np.array([a == b for a, b in zip(judged[rung].values, judged["labels"], strict=True)])
        for rung in ("linear", "frozen")
    )
    floor = _lowest_floor(sure, linear_right, encoder_right)
    linear, encoder = (load_component(_fitted(rung, given)) for rung in ("linear", "distilled"))
    inputs: Texts = [(text,) for text in test_x]
    encoder_values = encoder.predict(inputs)[0].values
    cpu_start = time.process_time()
    first = linear.predict(inputs)[0]
    passed = np.flatnonzero(first.confidence < floor)
    values = list(first.values)
    later = encoder.predict([inputs[int(at)] for at in passed])[0].values if len(passed) else []
    for at, value in zip(passed.tolist(), later, strict=True):
        values[at] = value
    cpu_ms = (time.process_time() - cpu_start) / len(inputs) * 1e3
    alone = _accuracy(encoder_values, test_y)
    together = _accuracy(values, test_y)
    return {
        "floor": floor,
        "share_linear": 1 - len(passed) / len(inputs),
        "accuracy": together,
        "accuracy_encoder": alone,
        "accuracy_delta": together - alone,
        "cpu_ms_per_answer": cpu_ms,
        "best_share_in_hindsight": _hindsight(first, encoder_values, test_y, alone),
        "n_test": len(test_y),
    }


def _lowest_floor(sure: Any, linear_right: Any, encoder_right: Any) -> float:
    """From the strictest floor down, the last one before the cascade loses too much: no lucky dip lower down."""
    import numpy as np

    least = encoder_right.mean() - _ACCURACY_GIVEN_UP
    floor = float("inf")
    for at in np.unique(sure)[::-1]:
        if np.where(sure >= at, linear_right, encoder_right).mean() < least:
            break
        floor = float(at)
    return floor


def _hindsight(first: Any, encoder_values: list[Any], labels: list[str], alone: float) -> float:
    """The largest linear share within the same loss if the floor were chosen on the test split: how the
    issue's reference reads.
    """
    import numpy as np

    linear_right = np.array([a == b for a, b in zip(first.values, labels, strict=True)])
    encoder_right = np.array([a == b for a, b in zip(encoder_values, labels, strict=True)])
    shares = [
        float((first.confidence >= at).mean())
        for at in np.unique(first.confidence)
        if np.where(first.confidence >= at, linear_right, encoder_right).mean() >= alone - _ACCURACY_GIVEN_UP
    ]
    return max(shares, default=0.0)


if __name__ == "__main__":
    run_row(
        {rung: one_rung(rung) for rung in ("linear", "frozen", "tuned", "distilled")}
        | {"linear_frozen": linear_frozen, "cascade": cascade}
    )
