"""Results as a page: what was to be reached, what was measured, beside the peers, on which machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.claims import CLAIMS, Claim, Figures, share_text

__all__ = [
    "peer_table",
    "render_page",
    "serving_lines",
    "serving_section",
    "soak_lines",
    "verdict_table",
    "write_serving_section",
]

_PEERS = {
    "peer_tracer": "TRACER",
    "peer_model2vec": "model2vec",
    "peer_setfit_8shot": "SetFit, 8 a class",
    "peer_setfit_limited": "SetFit, all rows, few steps",
}
_OURS = {
    "banking_linear": "linear",
    "banking_frozen": "frozen",
    "banking_distilled": "distilled",
    "cover_quick": "learn, quick rungs",
}
_BUSY_CORES = 0.2
"""More than this many cores used by others while a row ran make its times doubtful."""
_HEAD = (
    "Written by `python benchmarks/ladder.py`; do not edit. Every row was measured on the same "
    "machine, one at a time, in a process of its own. Peers run in environments of their own (`python "
    "benchmarks/peers/setup.py`) and are called as their documentation says."
)
_HOW = (
    "Per answer: one text at a time, one thread. Cold start: from starting the interpreter to the "
    "first answer, median of three with warm disk caches. Process memory: resident after the first "
    "answer. Brackets are 95 % intervals (shares: Wilson; F1: bootstrap over records). F1 counts "
    "entities over the keys that the reference answers; banking77_qwen7b is the mean over five seeded "
    "80/20 splits."
)
_PEER_NOTES = (
    "TRACER's time includes embedding the calls, which its users have to bring; its size includes the "
    "encoder that it needs to answer texts. It was given only the target .95 and no gradient "
    "boosting, which makes it faster than its defaults. model2vec and SetFit have no gate, so no "
    "coverage. SetFit was limited as its name in the table says; all pairs of 10,003 "
    "calls (about 50 million) were not tried."
)


def _figure(value: Any, claim: Claim) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return f"{claim.show(value['share'])} [{claim.show(value['low'])}, {claim.show(value['high'])}]"
    return claim.show(value)


def verdict_table(figures: Figures) -> list[str]:
    """Markdown lines: one per claim."""
    out = ["| what | figure | reference | to reach | measured | verdict |", "|---|---|---|---|---|---|"]
    for claim in CLAIMS:
        floor = claim.floor(figures)
        to_reach = "-" if floor is None else f"{'≥' if claim.is_more_better else '≤'} {claim.show(floor)}"
        measured = _figure(claim.measured(figures), claim)
        cells = (claim.what, claim.figure, claim.reference or "-", to_reach, measured, claim.verdict(figures))
        out.append(f"| {' | '.join(cells)} |")
    return out


_COLUMNS: tuple[tuple[str, str, Any], ...] = (
    ("test accuracy", "accuracy", share_text),
    ("fit, s", "fit_s", "{:.1f}".format),
    ("fit, CPU s", "fit_cpu_s", "{:.1f}".format),
    ("size, MB", "size_bytes", lambda value: f"{value / 1e6:.1f}"),
    ("ms per answer", "ms_per_answer", "{:.3f}".format),
    ("cold start, s", "cold_s", "{:.2f}".format),
    ("serving process, MB", "resident_mb", "{:.0f}".format),
    ("fitting process, peak MB", "fit_peak_mb", "{:.0f}".format),
    ("coverage at 95 %", "coverage", share_text),
    ("agreement among answered", "agreement_answered", share_text),
)


def _number(figures: Mapping[str, Any], key: str) -> float | None:
    found = figures.get(key)
    if isinstance(found, Mapping):
        found = found["share"]
    return None if found is None else float(found)


def peer_table(figures: Figures) -> list[str]:
    """Markdown lines: our rungs and the peers, figure by figure."""
    rows = [(key, name) for key, name in (_OURS | _PEERS).items() if key in figures]
    heads = ["banking77_gold", *(head for head, _, _ in _COLUMNS)]
    out = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for key, name in rows:
        shown = name if key in _PEERS else f"**understudy {name}**"
        found = [(_number(figures[key], column), show) for _, column, show in _COLUMNS]
        out.append(
            f"| {' | '.join([shown, *('-' if value is None else show(value) for value, show in found)])} |"
        )
    return out


def ratio_table(figures: Figures) -> list[str]:
    """Markdown lines: our figure divided by the peer's, for each pair that has both."""
    peers = [key for key in _PEERS if key in figures]
    heads = ["ours / peer", *(head for head, _, _ in _COLUMNS)]
    out = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for own in (key for key in _OURS if key in figures):
        for peer in peers:
            cells = [f"{_OURS[own]} / {_PEERS[peer]}"]
            for _, column, _ in _COLUMNS:
                left, right = _number(figures[own], column), _number(figures[peer], column)
                cells.append("-" if left is None or not right else f"{left / right:.2g}")
            out.append(f"| {' | '.join(cells)} |")
    return out


def _machine_lines(results: Sequence[Mapping[str, Any]]) -> list[str]:
    machine = results[-1]["machine"]
    memory = "" if machine["memory_gb"] is None else f", {machine['memory_gb']:.0f} GB of memory"
    versions = ", ".join(f"{name} {found}" for name, found in results[-1]["packages"].items())
    peers = ", ".join(
        f"{one['name'].removeprefix('peer_')} {one['figures']['version']}"
        for one in results
        if "version" in one["figures"]
    )
    return [
        (
            f"Machine: {machine['cores']} cores of {machine['processor'] or 'an unknown processor'}{memory}, "
            f"{machine['system']}. Python {machine['python']}, {versions}. Peers: {peers or 'not run'}."
        ),
    ]


def _notes(results: Sequence[Mapping[str, Any]], stale: Sequence[str]) -> list[str]:
    busy = [one["name"] for one in results if (one.get("others_cores") or 0.0) > _BUSY_CORES]
    out = []
    if busy:
        out.append(
            "Measured while other work ran on the machine, so their times are too long: "
            f"{', '.join(f'`{name}`' for name in busy)}."
        )
    if stale:
        out.append(
            f"Measured on an earlier state of the code: {', '.join(f'`{name}`' for name in stale)}. "
            "Run `python benchmarks/ladder.py` to bring them up to date."
        )
    failed = {one["name"]: one["error"] for one in results if one.get("error")}
    out += [f"`{name}` failed: {reason}" for name, reason in failed.items()]
    return out


_SENTENCES = (
    ("cover_quick", "sentence", "banking77_gold, quick rungs"),
    ("cover_full", "sentence", "banking77_gold, tuned rungs"),
    ("qwen_certificates", "teacher_sentence", "banking77_qwen7b, learnt from the teacher, agreement"),
    ("qwen_certificates", "teacher_gold_sentence", "banking77_qwen7b, learnt from the teacher, against gold"),
    ("qwen_certificates", "gold_sentence", "banking77_qwen7b, learnt from gold"),
    ("qwen_certificates", "gold_gold_sentence", "banking77_qwen7b, learnt from gold, against gold"),
    ("esnli_tuned", "sentence", "esnli_palm540b"),
    ("esnli_tuned", "sentence_at_85", "esnli_palm540b, target .85"),
    ("cqa_no", "sentence", "cqa_palm540b"),
)


def _sentences(figures: Figures) -> list[str]:
    found = [(name, figures.get(row, {}).get(key)) for row, key, name in _SENTENCES]
    return [f"- {name}: {sentence}" for name, sentence in found if sentence]


_SERVING = (
    ("requests per second, 16 at once", "per_second", "{:,.0f}".format),
    ("requests per CPU second of the server", "per_core_second", "{:,.0f}".format),
    ("added latency, median, one at a time, ms", "added_median_ms", "{:.2f}".format),
    ("99th percentile, 16 at once, ms", "p99_ms_at_16", "{:.1f}".format),
    ("resident memory, MB", "resident_mb", "{:.0f}".format),
    ("seconds until ready", "ready_s", "{:.1f}".format),
)


def serving_lines(found: Mapping[str, Any]) -> list[str]:
    """Markdown lines of ``serving.py``: passing through beside LiteLLM, and students' answers."""
    own, peer, local = found["understudy"], found.get("litellm"), found["local"]
    head = f"One local upstream ({found['direct_median_ms']:.2f} ms by itself), the server under test on one core"
    out = [
        f"{head}; {found['seconds']:.0f} s each.",
        "",
        "| passing a request through | understudy | LiteLLM | ratio |",
        "|---|---|---|---|",
    ]
    for name, key, show in _SERVING:
        other = "not installed" if peer is None else show(peer[key])
        ratio = "-" if peer is None or not peer[key] else f"{own[key] / peer[key]:.2g}"
        out.append(f"| {name} | {show(own[key])} | {other} | {ratio} |")
    return [
        *out,
        "",
        "| a linear student's answer, ledger included | |",
        "|---|---|",
        f"| requests per second, 32 at once | {local['per_second']:,.0f} |",
        f"| requests per CPU second | {local['per_core_second']:,.0f} |",
        f"| at half that load: median, 99th percentile | {local['p50_ms_at_half']:.2f} ms, {local['p99_ms_at_half']:.1f} ms |",
        f"| resident memory | {local['resident_mb']:.0f} MB |",
    ]


def soak_lines(found: Mapping[str, Any]) -> list[str]:
    """Markdown lines of ``soak.py``."""
    by, p99 = found["rows_by"], found["p99_ms"]
    return [
        (
            f"{found['minutes']:.0f} minutes of mixed traffic before an upstream that is slow, refuses, breaks off and hangs "
            "at random, two workers (`benchmarks/soak.py`):"
        ),
        "",
        "| soak | |",
        "|---|---|",
        f"| calls accepted, rows in the ledger | {found['n_accepted']:,}, {found['n_rows']:,} |",
        f"| answered by the student, by upstream, by nobody | {by['student']:,}, {by['upstream']:,}, {by['failed']:,} |",
        f"| replies that were neither whole nor a clean failure | {sum(found['unclean'].values()):,} |",
        f"| memory of both workers, early and late | {found['memory_mb_early']:.0f} MB, {found['memory_mb_late']:.0f} MB |",
        f"| 99th percentile: student, upstream | {p99['local']:.0f} ms, {p99['deferred']:.0f} ms |",
    ]


def serving_section(cache: Path) -> str:
    """The section on serving, from the results kept in `cache`."""
    lines = ["## Serving", ""]
    parts = [("serving.json", serving_lines), ("soak.json", soak_lines)]
    for name, show in parts:
        if (cache / name).is_file():
            lines += [*show(json.loads((cache / name).read_text(encoding="utf-8"))), ""]
        else:
            lines += [f"Not measured: run `python benchmarks/{name.removesuffix('.json')}.py`.", ""]
    return "\n".join(lines)


def write_serving_section(page: Path, cache: Path) -> None:
    """Put the section on serving, which stands last, on the page; the rest of the page stays."""
    before = page.read_text(encoding="utf-8").partition("## Serving\n")[0]
    page.write_text(before + serving_section(cache), encoding="utf-8")


def render_page(results: Sequence[Mapping[str, Any]], stale: Sequence[str], cache: Path) -> str:
    """The whole page from the newest result of each row."""
    figures = {one["name"]: one["figures"] for one in results}
    lines = [
        "# Benchmarks",
        "",
        _HEAD,
        "",
        *_machine_lines(results),
        "",
        *(line for note in _notes(results, stale) for line in (note, "")),
        "## What was to be reached",
        "",
        *verdict_table(figures),
        "",
        _HOW,
        "",
        "## Beside the peers",
        "",
        *peer_table(figures),
        "",
        _PEER_NOTES,
        "",
        *ratio_table(figures),
        "",
        "## What the certificates say",
        "",
        *(_sentences(figures) or ["None was measured."]),
        "",
        serving_section(cache),
    ]
    return "\n".join(lines)
