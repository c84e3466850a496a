"""Facts of three runs, shaped like those of a real one; certificates, curves and break-evens are computed."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from understudy.certify.gold import certify_gold
from understudy.certify.sequence import certify_selective, grid_from_select
from understudy.certify.useful_no import explain_failure
from understudy.economics.breakeven import break_even
from understudy.economics.curve import fit_learning_curve

TOPICS = (
    "activate_my_card age_limit apple_pay_or_google_pay atm_support automatic_top_up "
    "balance_not_updated beneficiary_not_allowed cancel_transfer card_about_to_expire "
    "card_acceptance card_arrival card_delivery_estimate card_linking card_not_working "
    "card_payment_fee_charged card_payment_not_recognised card_swallowed cash_withdrawal_charge "
    "change_pin compromised_card contactless_not_working country_support declined_card_payment "
    "declined_transfer direct_debit disposable_card_limits edit_personal_details exchange_charge "
    "exchange_rate exchange_via_app extra_charge_on_statement failed_transfer fiat_currency_support "
    "get_disposable_card get_physical_card getting_spare_card getting_virtual_card "
    "lost_or_stolen_card lost_or_stolen_phone order_physical_card passcode_forgotten "
    "pending_card_payment pending_cash_withdrawal pending_top_up pending_transfer pin_blocked "
    "receiving_money request_refund reverted_card_payment supported_cards terminate_account "
    "top_up_by_bank_charge top_up_by_card_charge top_up_by_cash top_up_failed top_up_limits "
    "top_up_reverted topping_up_by_card charged_twice transfer_fee_charged transfer_into_account "
    "transfer_not_received transfer_timing unable_to_verify verify_my_identity "
    "verify_source_of_funds verify_top_up virtual_card_not_working visa_or_mastercard "
    "why_verify_identity wrong_amount_of_cash wrong_exchange_rate wrong_transfer_name "
    "currency_of_salary joint_account card_colour statement_by_post "
).split()
"""77 labels."""

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)> \" ' & \x00 null and \x1b[31m escape",
    (
        "\u202eright to left override\u202c \u0627\u0644\u0628\u0637\u0627\u0642\u0629"
        " \u0644\u0627 \u062a\u0639\u0645\u0644"
    ),
    "emoji \U0001f469\u200d\U0001f4bb\U0001f525 and \ud800 lone surrogate",
    "我的银行卡昨天被自动取款机吞了，请问怎么办？",
)
CORE_HOUR_USD = 0.04


Maker = Callable[[], dict[str, Any]]


def _computed_once(make: Maker) -> Maker:
    """Facts are fitted once; every caller gets a copy of its own."""
    once = functools.cache(make)
    return functools.wraps(make)(lambda: copy.deepcopy(once()))


def _judged(n: int, accuracy: float, sharpness: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Confidences and outcomes of a roughly calibrated model."""
    rng = np.random.default_rng(seed)
    confidence = rng.beta(sharpness, sharpness * (1 - accuracy) / accuracy, n)
    return confidence, rng.random(n) < confidence


def _risk_coverage(confidence: np.ndarray, is_right: np.ndarray) -> list[list[float]]:
    order = np.argsort(-confidence)
    agreement = np.cumsum(is_right[order]) / np.arange(1, len(order) + 1)
    cuts = np.unique(np.linspace(20, len(order), 80).round().astype(int))
    return [[float(cut / len(order)), float(agreement[cut - 1])] for cut in cuts]


def _rung(name: str, level: float, seconds: float | None, **more: Any) -> dict[str, Any]:
    """A rung; `seconds` is ``None`` for one that was not tried."""
    empty = dict.fromkeys(
        ("fit_seconds", "size_bytes", "call_seconds", "call_usd", "float_agreement", "accuracy", "coverage")
    )
    base = {
        "name": name,
        "status": "fitted",
        "reason": None,
        "predicted_seconds": 12.0,
        **empty,
        "risk_coverage": [],
        "curve": None,
    }
    if seconds is None:
        return {**base, "status": "skipped", **more}
    confidence, is_right = _judged(1600, level, 2.4, seed=len(name))
    return {
        **base,
        "call_seconds": seconds,
        "call_usd": seconds / 3600 * CORE_HOUR_USD,
        "accuracy": {"answer": level, "record": level},
        "risk_coverage": _risk_coverage(confidence, is_right),
        "curve": _curve(1 - level, seed=len(name)),
        **more,
    }


def _curve(error: float, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    counts = [500, 1000, 2000, 4000, 8000]
    points = []
    for count in counts:
        share = min(0.9, error * (0.55 + 0.45 * (8000 / count) ** 0.62))
        points.append({"n_calls": count, "n_eval": 1600, "n_errors": int(rng.binomial(1600, share))})
    fit = fit_learning_curve([(point["n_calls"], point["n_errors"], point["n_eval"]) for point in points])
    found = [fit.predict(float(count)) for count in np.geomspace(500, 64_000, 24)]
    forecast = [[one.n_train, one.error, one.lower, one.upper] for one in found if one is not None]
    return {"points": points, "forecast": forecast, "reason": "; ".join(fit.warnings) or None}


def _candidate(
    name: str, seconds: float, coverage: float, accuracy: float, teacher: float | None, **more: Any
) -> dict[str, Any]:
    usd = seconds / 3600 * CORE_HOUR_USD
    total = None if teacher is None else usd + (1 - coverage) * teacher
    return {
        "name": name,
        "call_seconds": seconds,
        "call_usd": usd,
        "total_usd": total,
        "coverage": coverage,
        "accuracy": accuracy,
        "is_chosen": False,
        **more,
    }


def _certified(accuracy: float, n: int, target: float, seed: int) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    select, select_right = _judged(1600, accuracy, 2.4, seed)
    confidence, is_right = _judged(n, accuracy, 2.4, seed + 1)
    grid = grid_from_select(select, select_right, target=target, delta=0.05, n_certify=n)
    return (
        certify_selective(confidence, is_right, target=target, delta=0.05, thresholds=grid),
        grid,
        confidence,
        is_right,
    )


def _bins(confidence: np.ndarray, is_right: np.ndarray) -> list[dict[str, Any]]:
    out = []
    for number in range(10):
        inside = (confidence >= number / 10) & (confidence < (number + 1) / 10)
        n = int(inside.sum())
        out.append(
            {
                "low": number / 10,
                "high": (number + 1) / 10,
                "n": n,
                "mean_confidence": float(confidence[inside].mean()) if n else None,
                "accuracy": float(is_right[inside].mean()) if n else None,
            }
        )
    return out


def _labels(
    names: list[str] | tuple[str, ...], n: int, accuracy: float, seed: int, *, is_certified: bool = True
) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n, rng.dirichlet(np.full(len(names), 6.0)))
    rows = []
    for name, count in zip(names, counts.tolist(), strict=True):
        recall = float(min(1.0, rng.normal(accuracy, 0.04)))
        rows.append(
            {
                "label": name,
                "n": count,
                "precision": float(min(1.0, rng.normal(accuracy, 0.05))) if count > 3 else None,
                "recall": recall,
                "coverage": float(min(1.0, rng.normal(0.93, 0.06))) if is_certified else None,
            }
        )
    return sorted(rows, key=lambda row: -row["n"])


def _certificate(found: Any) -> dict[str, Any]:
    return {**found.to_dict(), "sentence": found.sentence()}


def _options(**more: Any) -> dict[str, Any]:
    return {
        "target": 0.95,
        "of": "answered",
        "confidence": 0.95,
        "learn_from": "teacher",
        "against": None,
        "rungs": [],
        "max_minutes": 30.0,
        "max_usd": None,
        "teacher_usd": None,
        "core_hour_usd": CORE_HOUR_USD,
        "calls_per_month": None,
        "base": "sentence-transformers/all-MiniLM-L6-v2",
        "seed": 0,
        "threads": 2,
        "keep_texts": True,
        "reference": "teacher",
        **more,
    }


def _money(teacher: float | None, student: float, coverage: float, build: float) -> dict[str, Any]:
    money = break_even(
        teacher_usd_per_call=teacher, student_usd_per_call=student, build_usd=build, coverage=coverage
    )
    return {
        "calls": money.volume,
        "reason": money.reason,
        "system_usd_per_call": money.system_usd_per_call,
        "series": [[at.volume, at.teacher_usd, at.student_usd] for at in money.series()],
    }


@_computed_once
def plain_label_facts() -> dict[str, Any]:
    """A certified plain label with 77 values, gold answers, a known price and hostile texts."""
    teacher = 0.000412
    found, grid, confidence, is_right = _certified(0.937, 2001, 0.95, seed=5)
    rng = np.random.default_rng(3)
    teacher_right = rng.random(2001) < 0.94
    student_right = np.where(is_right, teacher_right, rng.random(2001) < 0.3)
    gold = certify_gold(
        confidence,
        student_right,
        teacher_right,
        threshold=found.threshold,
        delta=0.05,
        margin=0.02,
        thresholds=grid,
    )
    pairs = [
        ("pending_transfer", "transfer_timing"),
        ("card_arrival", "card_delivery_estimate"),
        ("exchange_rate", "wrong_exchange_rate"),
    ]
    inputs = [
        *HOSTILE,
        (
            "I still have not received my new card, I ordered over a week ago and the app keeps"
            " saying that it is on its way."
        ),
        "Why was I charged twice for the same coffee?",
        (
            "How long does a transfer to Portugal take? It has been three days now and the money"
            " has left my account."
        ),
    ]
    disagreements = [
        {
            "id": f"call-{at:05d}",
            "field": "answer",
            "input": inputs[at % len(inputs)],
            "reference": pairs[at % 3][0],
            "student": pairs[at % 3][1],
            "confidence": 0.991 - 0.0027 * at,
        }
        for at in range(118)
    ]
    suspects = [
        {
            "id": f"call-{at + 900:05d}",
            "field": "answer",
            "input": inputs[(at * 3) % len(inputs)],
            "teacher": pairs[at % 3][1],
            "suggested": pairs[at % 3][0],
            "score": 0.03 + 0.02 * at,
        }
        for at in range(17)
    ]
    linear, frozen, tuned, distilled = 8.1e-5, 2.3e-3, 2.4e-3, 9.5e-4
    candidates = [
        _candidate("linear", linear, 0.842, 0.910, teacher),
        _candidate("frozen", frozen, 0.902, 0.930, teacher),
        _candidate("tuned", tuned, 0.951, 0.937, teacher),
        _candidate("distilled", distilled, 0.944, 0.934, teacher),
        _candidate("linear+frozen", linear + frozen, 0.940, 0.939, teacher),
        _candidate("linear+distilled", linear + distilled, 0.949, 0.938, teacher),
        _candidate("linear+tuned", linear + tuned, 0.956, 0.940, teacher),
        _candidate("frozen+tuned", frozen + tuned, 0.953, 0.939, teacher),
        _candidate("frozen+distilled", frozen + distilled, 0.946, 0.937, teacher),
        _candidate("tuned+distilled", tuned + distilled, 0.950, 0.938, teacher),
        _candidate("linear → frozen", linear + 0.22 * frozen, 0.921, 0.931, teacher),
        _candidate("linear → linear+frozen", linear + 0.19 * frozen, 0.938, 0.936, teacher),
        _candidate("linear → distilled", linear + 0.17 * distilled, 0.945, 0.935, teacher),
        _candidate(
            "linear → linear+distilled", linear + 0.17 * distilled, 0.950, 0.937, teacher, is_chosen=True
        ),
        _candidate("linear → linear+tuned", linear + 0.18 * tuned, 0.955, 0.939, teacher),
        _candidate("distilled → frozen+distilled", distilled + 0.1 * frozen, 0.947, 0.937, teacher),
    ]
    chosen = candidates[13]
    labels = _labels(TOPICS, 2001, 0.935, seed=8)
    labels[4]["label"] = HOSTILE[0]
    return {
        "name": "banking-intents",
        "options": _options(),
        "chosen": "linear → linear+distilled",
        "stop_reason": "every rung was tried",
        "warnings": [
            "14 near-duplicate calls of the certify split were left out, so that every input counts once"
        ],
        "deferred_fields": [],
        "data": {
            "n_calls": 10_003,
            "n_train": 6389,
            "n_select": 1599,
            "n_certify": 2001,
            "n_holdout": 0,
            "n_off_schema": 0,
            "n_exact_duplicates": 4,
            "n_groups": 9864,
            "mean_chars": 58.3,
        },
        "teacher": {
            "usd_per_call": teacher,
            "usd_reason": "recorded tokens times a price table",
            "models": ["gpt-4o-2024-08-06"],
            "gold_accuracy": {"value": 0.94, "low": 0.935, "high": 0.945, "n": 10_003, "share": 0.94},
            "ceiling": None,
        },
        "rungs": [
            _rung("lookup", 0, None, reason="no input repeats often enough for a table of answers to pay"),
            _rung(
                "linear",
                0.910,
                linear,
                fit_seconds=2.6,
                size_bytes=2_010_000,
                coverage=0.842,
                float_agreement=0.9994,
            ),
            _rung(
                "frozen",
                0.930,
                frozen,
                fit_seconds=31.0,
                size_bytes=23_500_000,
                coverage=0.902,
                float_agreement=0.9981,
                status="cached",
            ),
            _rung(
                "tuned",
                0.937,
                tuned,
                fit_seconds=612.0,
                size_bytes=23_600_000,
                coverage=0.951,
                float_agreement=0.9969,
            ),
            _rung(
                "distilled",
                0.934,
                distilled,
                fit_seconds=344.0,
                size_bytes=18_000_000,
                coverage=0.944,
                float_agreement=0.9975,
            ),
        ],
        "candidates": candidates,
        "stages": [{"rung": "linear", "share": 0.831}, {"rung": "linear+distilled", "share": 0.169}],
        "certificate": _certificate(found),
        "gold_certificate": {**gold.to_dict(), "sentence": " ".join(gold.sentences())},
        "non_inferiority": gold.to_dict()["noninferiority"],
        "fields": [
            {
                "name": "answer",
                "kind": "choice",
                "mode": "classify",
                "accuracy": 0.937,
                "gold_accuracy": 0.921,
                "certificate": _certificate(found),
                "labels": labels,
            }
        ],
        "calibration": _bins(confidence, is_right),
        "disagreements": disagreements,
        "suspects": suspects,
        "receipt": {
            "machine_seconds": 1012.0,
            "machine_usd": 0.0225,
            "teacher_usd": 4.12,
            "rungs": [
                {"name": "linear", "seconds": 2.6, "was_cached": False},
                {"name": "frozen", "seconds": 31.0, "was_cached": True},
                {"name": "tuned", "seconds": 612.0, "was_cached": False},
                {"name": "distilled", "seconds": 344.0, "was_cached": False},
            ],
        },
        "breakeven": _money(teacher, chosen["call_usd"], found.coverage, 0.0225),
        "next_steps": [
            {
                "kind": "label more",
                "text": (
                    "label 10,003 more calls: the distilled rung is predicted to err on 5.4 % of"
                    " calls instead of 6.6 % (4.9 % to 5.9 %)"
                ),
                "usd": 4.12,
            },
            {
                "kind": "higher target",
                "text": "a target of 0.97 is forecast to answer 86 % of calls",
                "usd": 0.0,
            },
        ],
        "base_models": [
            {
                "component": "distilled",
                "name": "sentence-transformers/all-MiniLM-L6-v2",
                "source": "package",
                "licence": "apache-2.0",
            }
        ],
        "packages": {"numpy": "2.1.0", "onnxruntime": "1.20.0"},
    }


@_computed_once
def record_facts() -> dict[str, Any]:
    """A certified record of four fields and a free text, without gold and without a price."""
    found, _, confidence, is_right = _certified(0.90, 640, 0.90, seed=31)
    inputs = [
        "Where is order AB-20417? It was due on Monday. I want my 49.90 back, today.",
        "退款什么时候到账？订单号 7730021，已经等了两个星期。",
        "The left pedal fell off. Third time. I am done with you people, call me.",
    ]
    kinds = {"queue": "choice", "urgent": "boolean", "order_id": "span", "refund_amount": "number"}
    modes = {"queue": "classify", "urgent": "classify", "order_id": "point", "refund_amount": "point"}
    values = {
        "queue": ["delivery", "refund", "technical", "billing", "complaint", "returns", "account", "other"],
        "urgent": ["false", "true"],
        "order_id": ["null", "given"],
        "refund_amount": ["null", "given"],
    }
    fields = []
    for at, (name, kind) in enumerate(kinds.items()):
        own, *_ = _certified(
            0.93 + 0.015 * at if name != "refund_amount" else 0.52, 640, 0.90, seed=60 + 10 * at
        )
        fields.append(
            {
                "name": name,
                "kind": kind,
                "mode": modes[name],
                "accuracy": 0.93 + 0.015 * at,
                "gold_accuracy": None,
                "certificate": _certificate(own),
                "labels": _labels(values[name], 640, 0.92, seed=at, is_certified=own.is_certified),
            }
        )
    accuracy = {"queue": 0.91, "urgent": 0.95, "order_id": 0.97, "refund_amount": 0.98, "record": 0.86}
    better = {"queue": 0.94, "urgent": 0.96, "order_id": 0.975, "refund_amount": 0.98, "record": 0.90}
    reference = [
        ("delivery", "refund", "queue"),
        ("true", "false", "urgent"),
        ("null", "7730021", "order_id"),
    ]
    return {
        "name": "support",
        "options": _options(target=0.90),
        "chosen": "linear → linear+frozen",
        "stop_reason": "stopped before tuned: needs about 1900 s, 1712 s of --max-minutes are left",
        "warnings": [],
        "deferred_fields": ["reason"],
        "data": {
            "n_calls": 3200,
            "n_train": 2020,
            "n_select": 520,
            "n_certify": 640,
            "n_holdout": 0,
            "n_off_schema": 12,
            "n_exact_duplicates": 0,
            "n_groups": 3188,
            "mean_chars": 171.0,
        },
        "teacher": {
            "usd_per_call": None,
            "usd_reason": "the log has neither costs nor token counts",
            "models": [],
            "gold_accuracy": None,
            "ceiling": {"value": 0.957, "low": 0.93, "high": 0.974, "n": 212, "share": 0.957},
        },
        "rungs": [
            _rung("lookup", 0, None, reason="no input repeats often enough for a table of answers to pay"),
            _rung(
                "linear",
                0.86,
                6.4e-4,
                fit_seconds=5.1,
                size_bytes=1_300_000,
                coverage=0.71,
                accuracy=accuracy,
            ),
            _rung(
                "frozen",
                0.90,
                5.2e-3,
                fit_seconds=41.0,
                size_bytes=23_700_000,
                coverage=0.78,
                float_agreement=0.998,
                accuracy=better,
            ),
            _rung("tuned", 0, None, reason="needs about 1900 s, 1712 s of --max-minutes are left"),
            _rung("distilled", 0, None, reason="its teacher, the tuned encoder, was not trained"),
        ],
        "candidates": [
            _candidate("linear", 6.4e-4, 0.71, 0.86, None),
            _candidate("frozen", 5.2e-3, 0.78, 0.90, None),
            _candidate("linear+frozen", 5.84e-3, 0.83, 0.905, None),
            _candidate("linear → linear+frozen", 2.7e-3, 0.83, 0.902, None, is_chosen=True),
        ],
        "stages": [{"rung": "linear", "share": 0.6}, {"rung": "linear+frozen", "share": 0.4}],
        "certificate": _certificate(found),
        "gold_certificate": None,
        "non_inferiority": None,
        "fields": fields,
        "calibration": _bins(confidence, is_right),
        "disagreements": [
            {
                "id": f"support-{at:04d}",
                "field": reference[at % 3][2],
                "input": inputs[at % 3],
                "reference": reference[at % 3][0],
                "student": reference[at % 3][1],
                "confidence": 0.97 - 0.01 * at,
            }
            for at in range(24)
        ],
        "suspects": [],
        "receipt": {
            "machine_seconds": 88.0,
            "machine_usd": 0.00196,
            "teacher_usd": None,
            "rungs": [
                {"name": "linear", "seconds": 5.1, "was_cached": False},
                {"name": "frozen", "seconds": 41.0, "was_cached": False},
            ],
        },
        "breakeven": _money(None, 3e-8, found.coverage, 0.00196),
        "next_steps": [
            {
                "kind": "another rung",
                "text": "try the tuned rung: about 32 minutes (--max-minutes)",
                "usd": 0.042,
            },
            {
                "kind": "label more",
                "text": (
                    "label 3,200 more calls: the linear rung is predicted to err on 11 % of calls"
                    " instead of 14 %"
                ),
                "usd": None,
            },
        ],
    }


@_computed_once
def useful_no_facts() -> dict[str, Any]:
    """Nothing certified: five answer choices, hardly better than chance, few calls."""
    rng = np.random.default_rng(2)
    confidence, is_right = rng.beta(2, 7, 980), rng.random(980) < 0.22
    select, select_right = rng.beta(2, 7, 700), rng.random(700) < 0.22
    grid = grid_from_select(select, select_right, target=0.95, delta=0.05, n_certify=980)
    found = certify_selective(confidence, is_right, target=0.95, delta=0.05, thresholds=grid)
    curve = fit_learning_curve([(500, 560, 700), (1000, 552, 700), (2000, 551, 700), (4000, 540, 700)])
    useful = explain_failure(
        found,
        n_off_schema=31,
        n_calls=8200,
        chance_error=0.79,
        student_error=0.78,
        curve=curve,
        n_train=6200,
        teacher_usd_per_call=0.00201,
        other_rungs=["tuned"],
    )
    steps = [{"kind": f"why: {one.kind}", "text": one.text, "usd": None} for one in useful.reasons]
    steps += [
        {"kind": one.kind, "text": one.text, "usd": one.cost_usd, "usd_reason": one.cost_reason}
        for one in useful.remedies
    ]
    forecast = [curve.predict(float(count)) for count in np.geomspace(500, 32_000, 24)]
    drawn = {
        "points": [
            {"n_calls": one.n_train, "n_errors": one.n_errors, "n_eval": one.n_eval} for one in curve.points
        ],
        "forecast": [[one.n_train, one.error, one.lower, one.upper] for one in forecast if one is not None],
        "reason": "; ".join(curve.warnings) or None,
    }
    order = _risk_coverage(select, select_right)
    return {
        "name": "commonsense-questions",
        "options": _options(max_minutes=5.0),
        "chosen": "frozen",
        "stop_reason": "stopped before tuned: needs about 2400 s, 231 s of --max-minutes are left",
        "warnings": ["31 answers are outside the schema and were left out of training"],
        "deferred_fields": [],
        "data": {
            "n_calls": 8200,
            "n_train": 6200,
            "n_select": 700,
            "n_certify": 980,
            "n_off_schema": 31,
            "mean_chars": None,
        },
        "teacher": {
            "usd_per_call": 0.00201,
            "usd_reason": None,
            "models": ["palm-540b"],
            "gold_accuracy": {"share": 0.71, "low": 0.70, "high": 0.72, "n": 8200},
            "ceiling": None,
        },
        "rungs": [
            _rung("lookup", 0, None, reason="only 0.1 % of calls repeat an earlier input"),
            _rung(
                "linear",
                0.2,
                4.1e-4,
                fit_seconds=9.0,
                size_bytes=3_100_000,
                coverage=0.0,
                risk_coverage=order,
                curve=drawn,
                accuracy={"answer": 0.197, "record": 0.197},
            ),
            _rung(
                "frozen",
                0.2,
                6.4e-3,
                fit_seconds=62.0,
                size_bytes=23_400_000,
                coverage=0.0,
                risk_coverage=order[5:],
                curve=None,
                accuracy={"answer": 0.221, "record": 0.221},
            ),
            _rung("tuned", 0, None, reason="needs about 2400 s, 231 s of --max-minutes are left"),
            _rung("distilled", 0, None, reason="its teacher, the tuned encoder, was not trained"),
        ],
        "candidates": [
            _candidate("linear", 4.1e-4, 0.0, 0.197, 0.00201),
            _candidate("frozen", 6.4e-3, 0.0, 0.221, 0.00201, is_chosen=True),
            _candidate("linear+frozen", 6.81e-3, 0.0, 0.219, 0.00201),
        ],
        "stages": [{"rung": "frozen", "share": 1.0}],
        "certificate": _certificate(found),
        "gold_certificate": None,
        "non_inferiority": None,
        "fields": [
            {
                "name": "answer",
                "kind": "choice",
                "mode": "classify",
                "accuracy": 0.22,
                "certificate": _certificate(found),
                "labels": _labels(["a", "b", "c", "d", "e"], 980, 0.22, seed=4, is_certified=False),
            }
        ],
        "calibration": _bins(confidence, is_right),
        "disagreements": [
            {
                "id": f"q-{at}",
                "field": "answer",
                "input": None,
                "reference": "gravity",
                "student": "park",
                "confidence": 0.6 - 0.01 * at,
            }
            for at in range(30)
        ],
        "suspects": [],
        "receipt": {
            "machine_seconds": 74.0,
            "machine_usd": 0.0016,
            "teacher_usd": 16.48,
            "rungs": [
                {"name": "linear", "seconds": 9.0, "was_cached": False},
                {"name": "frozen", "seconds": 62.0, "was_cached": False},
            ],
        },
        "breakeven": _money(0.00201, 7e-8, 0.0, 0.0016),
        "next_steps": steps,
    }


def bare_facts() -> dict[str, Any]:
    """Next to nothing known: every measurement missing."""
    return {
        "name": "bare",
        "certificate": None,
        "rungs": [{"name": "linear", "status": "skipped"}],
        "teacher": None,
    }


ALL_FACTS = {"plain": plain_label_facts, "record": record_facts, "no": useful_no_facts, "bare": bare_facts}
