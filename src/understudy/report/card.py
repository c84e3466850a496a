"""The model card: README.md of an artefact, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from understudy.drawing.markup import clean
from understudy.report.reading import Facts, number, part, rows, share, text, texts
from understudy.report.section_data import base_words
from understudy.report.summary import Summary, deferred_words, summarise
from understudy.units import format_bytes, format_count, format_duration, format_share, format_usd

__all__ = ["model_card"]

_SPECIAL = str.maketrans({char: f"\\{char}" for char in "\\`*_[]<>|#"})


def _md(words: object) -> str:
    """Text from facts on one line, with Markdown's signs escaped."""
    return " ".join(clean(words).translate(_SPECIAL).split())


def model_card(facts: Facts) -> str:
    """The card as Markdown.

    Parameters
    ----------
    facts
        As described in :mod:`understudy.ladder.result`; what is missing is called unknown.
    """
    summary = summarise(facts)
    blocks = [
        f"# {_md(summary.name)}",
        "A small model that answers this task in a large language model's place, and defers"
        " what it is not sure of."
        if summary.is_certified
        else (
            "Not certified: this folder holds what was found out, and every call still belongs to"
            " the teacher."
        ),
        _answers(facts),
        _certificate(facts, summary),
        _use(summary),
        _data(facts),
        _build(facts, summary),
        _costs(facts, summary),
        _provenance(facts),
        _limits(facts),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _rows(heads: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in body)])


def _answers(facts: Facts) -> str:
    body = []
    for field in rows(facts, "fields"):
        certificate = part(field, "certificate")
        is_written = field.get("mode") == "write"
        labels = [] if is_written else [_md(text(row, "label") or "") for row in rows(field, "labels")]
        shown = ", ".join(labels[:8]) + (f" and {len(labels) - 8} more" if len(labels) > 8 else "")
        held = (
            format_share(number(certificate, "coverage"))
            if certificate.get("is_certified")
            else "not certified"
        )
        shown = "written" if is_written else shown
        body.append([_md(text(field, "name") or "?"), _md(text(field, "kind") or "unknown"), shown, held])
    words = ["## What it answers"]
    if body:
        words.append(_rows(["field", "kind", "values seen", "answered by itself"], body))
    words += [
        _md(f"{text(field, 'name')}: two texts count as equal if the student's {text(field, 'equality')}.")
        for field in rows(facts, "fields")
        if text(field, "equality")
    ]
    if deferred := deferred_words(facts):
        words.append(_md(deferred))
    return "\n\n".join(words) if len(words) > 1 else ""


def _certificate(facts: Facts, summary: Summary) -> str:
    main = part(facts, "certificate")
    words = ["## Certificate", f"> {_md(summary.sentence)}"]
    if method := text(main, "method"):
        words.append(
            f"Method: {_md(method)}. {format_count(number(main, 'n'))} calls that no choice had seen."
        )
    gold = text(part(facts, "gold_certificate"), "sentence")
    if gold:
        words.append(f"Against gold answers, which is another matter: {_md(gold)}")
    elif summary.reference == "teacher":
        words.append("It is about matching the teacher. Nothing is certified about being right.")
    return "\n\n".join(words)


def _use(summary: Summary) -> str:
    if not summary.is_certified:
        return ""
    return (
        "## How to load\n\n```python\n"
        'import understudy\n\nmodel = understudy.load("path/to/this/folder")\n'
        'answer = model.answer("your input")\n'
        'print(answer.value if answer.is_answered else "ask the teacher")\n```\n\n'
        "Or, line by line: `understudy answer path/to/this/folder < inputs.jsonl >"
        " outputs.jsonl`. It needs numpy, and"
        " onnxruntime with tokenizers where it holds an encoder or a writer; never torch, scikit-learn or pickle."
    )


def _data(facts: Facts) -> str:
    data, teacher = part(facts, "data"), part(facts, "teacher")
    models = ", ".join(_md(one) for one in texts(teacher, "models")) or "unknown (the log does not name it)"
    body = [
        ["recorded calls", format_count(number(data, "n_calls"))],
        [
            "learnt from / chosen by / certified on",
            " / ".join(format_count(number(data, key)) for key in ("n_train", "n_select", "n_certify")),
        ],
        ["answers outside the schema, left out", format_count(number(data, "n_off_schema"))],
        ["teacher", models],
        ["teacher's accuracy by gold answers", format_share(share(part(teacher, "gold_accuracy"))[0])],
    ]
    if fingerprint := text(facts, "data_fingerprint"):
        body.append(["fingerprint of the data", f"`{_md(fingerprint)}`"])
    return "## Data\n\n" + _rows(["", ""], body)


def _build(facts: Facts, summary: Summary) -> str:
    body = [
        ["system", _md(summary.chosen or "unknown")],
        ["size", format_bytes(summary.size_bytes)],
        ["CPU time per answer", format_duration(summary.call_seconds)],
        ["why the climb stopped", _md(text(facts, "stop_reason") or "unknown")],
    ]
    return "## System\n\n" + _rows(["", ""], body)


def _costs(facts: Facts, summary: Summary) -> str:
    def thousand(usd: float | None, reason: str) -> str:
        return format_usd(1000 * usd) if usd is not None else f"unknown: {_md(reason)}"

    receipt = part(facts, "receipt")
    body = [
        ["1,000 calls, teacher alone", thousand(summary.teacher_usd, summary.teacher_usd_reason)],
        [
            "1,000 calls, with this model and the teacher on what it defers",
            thousand(summary.system_usd, summary.system_usd_reason),
        ],
        ["machine time of the build", format_duration(number(receipt, "machine_seconds"))],
        ["its price", format_usd(number(receipt, "machine_usd"))],
    ]
    return "## Costs\n\n" + _rows(["", ""], body)


def _provenance(facts: Facts) -> str:
    bases = rows(facts, "base_models")
    words = [f"- Base model: {_md(base_words(base))}" for base in bases]
    digests = [text(base, "weights_sha256") for base in bases]
    words += [f"- Its weights, sha256: `{_md(digest)}`" for digest in digests if digest]
    if not bases:
        words.append("- No pretrained model is in this folder, or its origin was not recorded.")
    words.append(
        "- Learnt from the teacher's answers: the terms of the teacher's provider apply to"
        " what may be done with it."
    )
    return "## Provenance and licence\n\n" + "\n".join(dict.fromkeys(words))


def _limits(facts: Facts) -> str:
    scope = (
        "The certificate holds for calls like the recorded ones, for exactly these files, and on average over"
        " answered calls: single classes may do worse (see report.html)."
    )
    change = "If the traffic, the prompt or the teacher changes, learn again."
    return "## Limits\n\n" + "\n".join(f"- {_md(one)}" for one in (scope, change, *texts(facts, "warnings")))
