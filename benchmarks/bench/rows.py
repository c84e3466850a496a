"""The rows of the benchmark: their names, what runs them, what a change of which makes them stale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.data import ROOT

__all__ = ["ROWS", "Row"]

_APART = ("__pycache__", "cli", "ledger", "serving", "teachers")
BENCHMARKS = ROOT / "benchmarks"


@dataclass(frozen=True, slots=True)
class Row:
    """One measured thing, run in a process of its own.

    Attributes
    ----------
    name
        Unique; ``--only`` takes it or a beginning of it.
    script
        Relative to ``benchmarks/``.
    arguments
        Before ``--data`` and ``--work``.
    peer
        Whose environment runs it; ``None``: this project.
    needs
        The file of recorded calls; ``None``: none.
    """

    name: str
    script: str
    arguments: tuple[str, ...] = ()
    peer: str | None = None
    needs: str | None = None

    def fingerprinted(self) -> tuple[Path, ...]:
        """Files whose change makes the row stale: its script, and for our own rows the whole package."""
        own = (BENCHMARKS / self.script,)
        package = ROOT / "src" / "understudy"
        # What serves answers over HTTP and keeps the books has no part in any row.
        learning = (path for path in sorted(package.iterdir()) if path.name not in _APART)
        return own if self.peer is not None else (*own, *learning)


_GOLD, _QWEN = "banking77_gold.jsonl", "banking77_qwen7b.jsonl"

ROWS: tuple[Row, ...] = (
    Row("banking_linear", "ours/rungs.py", ("linear",), needs=_GOLD),
    Row("banking_frozen", "ours/rungs.py", ("frozen",), needs=_GOLD),
    Row("banking_linear_frozen", "ours/rungs.py", ("linear_frozen",), needs=_GOLD),
    Row("linear_artefact", "ours/learn.py", ("linear_artefact",), needs=_GOLD),
    Row("cover_quick", "ours/learn.py", ("cover_quick",), needs=_GOLD),
    Row("throughput", "ours/other.py", ("throughput",), needs=_GOLD),
    Row("qwen_linear", "ours/other.py", ("qwen_linear",), needs=_QWEN),
    Row("qwen_certificates", "ours/learn.py", ("qwen_certificates",), needs=_QWEN),
    Row("cqa_no", "ours/learn.py", ("cqa_no",), needs="cqa_palm540b.jsonl"),
    Row("product_linear", "ours/other.py", ("product_linear",), needs="product_extract_gpt4.jsonl"),
    Row("million", "million.py"),
    Row("peer_tracer", "peers/run_tracer.py", peer="tracer", needs=_GOLD),
    Row("peer_model2vec", "peers/run_model2vec.py", peer="model2vec", needs=_GOLD),
    Row("peer_setfit_8shot", "peers/run_setfit.py", ("--shots", "8", "--max-steps", "300"), "setfit", _GOLD),
    Row("peer_setfit_limited", "peers/run_setfit.py", ("--max-steps", "600"), "setfit", _GOLD),
    Row("banking_tuned", "ours/rungs.py", ("tuned",), needs=_GOLD),
    Row("banking_distilled", "ours/rungs.py", ("distilled",), needs=_GOLD),
    Row("cascade", "ours/rungs.py", ("cascade",), needs=_GOLD),
    Row("product_tuned", "ours/other.py", ("product_tuned",), needs="product_extract_gpt4.jsonl"),
    Row("cover_full", "ours/learn.py", ("cover_full",), needs=_GOLD),
    Row("esnli_tuned", "ours/learn.py", ("esnli_tuned",), needs="esnli_palm540b.jsonl"),
)
"""In the order in which they run: quick ones first, and rows that share fitted rungs after those that fit
them.
"""
