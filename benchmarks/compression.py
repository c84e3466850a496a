"""What pruning and distilling a small decoder is worth, against training one of that size from scratch.

    python benchmarks/compression.py [--out FOLDER] [--seeds 0 1 2] [--teacher-steps N] [--steps N] [--rate R]
        [--all-steps] [--threads T]

A decoder of 2.6 million parameters is trained on the standard library's sources and cut to less than half (4 of 6
layers, half of the channels). Of each seed (of drawn weights, and order of the text) the small shape is then trained in
five ways:

- ``pruned + distilled``: from the pruned weights, towards the large model's logits (forward KL);
- ``pruned + text``: from the pruned weights, on next tokens;
- ``scratch + distilled``: from drawn weights, towards the large model's logits;
- ``scratch + text``: from drawn weights, on next tokens;
- ``scratch + text, all steps``: the same for as many steps as the large model and the small one had together; only
  with ``--all-steps``, for it takes as long as the others.

The first four have equal steps, equal batches and one learning rate. Held-out loss is on files that none has seen; of
each way the difference to ``scratch + text`` is given with an interval of 95 % over seeds (Student's t, so wide with
three), pairing runs of one seed. There is one large model, so the interval says nothing of another one's. What a step
costs is not equal: towards logits, the large model reads along.

Results of each run are kept in FOLDER, so that a run that was cut goes on. The table of sizes, speeds and densities of
one compressed model is printed by ``understudy lm compress``.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from understudy.lm.corpus import Corpus
    from understudy.lm.settings import TrainSettings

SEQUENCE, BATCH, MEASURED = 128, 8, 256
BASE = "scratch + text"
ALL_STEPS = f"{BASE}, all steps"


def main() -> None:
    """Train what is not there yet, then print a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out/compression"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--teacher-steps", type=int, default=300)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--all-steps", action="store_true", help="also the way that takes longest")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    bench = _Bench(options)
    found: dict[str, dict[int, dict[str, Any]]] = {}
    names = ["pruned + distilled", BASE, "pruned + text", "scratch + distilled"]
    # The question first, of all seeds; then what its answer is made of.
    jobs = [(seed, name) for pair in (names[:2], names[2:]) for seed in options.seeds for name in pair]
    jobs += [(seed, ALL_STEPS) for seed in options.seeds if options.all_steps]
    for seed, name in jobs:
        found.setdefault(name, {})[seed] = bench.run(name, seed)
    _table({"large": {0: bench.facts}, "pruned, not trained on": {0: bench.pruned_facts()}, **found})


class _Bench:
    """The large model, and small ones made of it or beside it."""

    def __init__(self, options: argparse.Namespace) -> None:
        from understudy.lm.config import DecoderConfig
        from understudy.lm.corpus import CorpusSettings, prepare_corpus
        from understudy.lm.decoder import build_decoder, load_decoder

        self.options = options
        n_tokens = (options.teacher_steps + options.steps) * BATCH * SEQUENCE
        self.corpus = prepare_corpus(
            options.out / "text", CorpusSettings(vocab_size=1024, train_tokens=n_tokens)
        )
        _, valid = self.corpus.packed(SEQUENCE, 0)
        n = min(MEASURED, valid.n_sequences)
        self.measured = valid.take([at * valid.n_sequences // n for at in range(n)])
        shape = DecoderConfig(1024, 192, 6, 6, 2, 512, 256)
        place = options.out / "large"
        self.facts = self._do(place, lambda: build_decoder(shape, seed=0), options.teacher_steps, 0)
        self.large = load_decoder(place / "model")

    def run(self, name: str, seed: int) -> dict[str, Any]:
        """Train the small shape in one of the ways, unless that was done; give what it came to."""
        from understudy.lm.decoder import build_decoder, shape_of
        from understudy.lm.recover import towards_logits
        from understudy.lm.train import next_token_loss

        steps = self.options.steps + (self.options.teacher_steps if name == ALL_STEPS else 0)
        objective = towards_logits(self.large) if "distilled" in name else next_token_loss
        place = (
            self.options.out / f"seed-{seed}" / name.replace(", ", "-").replace(" + ", "-").replace(" ", "-")
        )

        def make() -> PreTrainedModel:
            small = self.pruned()
            return small if name.startswith("pruned") else build_decoder(shape_of(small), seed=seed)

        facts = self._do(place, make, steps, seed, objective=objective)
        print(f"seed {seed}, {name}: {facts['loss']:.4f}", file=sys.stderr, flush=True)
        return facts

    def pruned(self) -> PreTrainedModel:
        """The large model cut, not yet trained on."""
        from understudy.lm.importance import measure_importance
        from understudy.lm.prune import PruneAim, prune

        data, _ = self.corpus.packed(SEQUENCE, 0)
        importance = measure_importance(self.large, [data.batch(number, BATCH) for number in range(8)])
        return prune(self.large, importance, PruneAim(n_layers=4, d_ff=256))

    def pruned_facts(self) -> dict[str, Any]:
        """What it comes to."""
        return {**self._measure(self.pruned()), "cpu_seconds": 0.0}

    def _do(
        self, place: Path, make: Callable[[], PreTrainedModel], steps: int, seed: int, **more: Any
    ) -> dict[str, Any]:
        from understudy.lm.decoder import load_decoder

        done = place / "facts.json"
        asked = {"steps": steps, "rate": self.options.rate}
        if not done.is_file():
            facts = _train(place, make(), self.corpus, _settings(steps, self.options.rate, seed), **more)
            facts |= asked | self._measure(load_decoder(place / "model"))
            done.write_text(json.dumps(facts), encoding="utf-8")
        facts = dict(json.loads(done.read_text(encoding="utf-8")))
        # Files of earlier versions do not say their rate.
        if any(facts.get(name, value) != value for name, value in asked.items()):
            sys.exit(f"{place} was trained otherwise than {asked}: give the same options, or another --out")
        return facts

    def _measure(self, model: PreTrainedModel) -> dict[str, Any]:
        from understudy.lm.decoder import shape_of
        from understudy.lm.quality import mean_loss, model_losses

        loss = mean_loss(model_losses(model, self.measured)).value
        return {"loss": loss, "parameters": shape_of(model).n_parameters()}


def _settings(steps: int, rate: float, seed: int) -> TrainSettings:
    from understudy.lm.schedule import Schedule
    from understudy.lm.settings import TrainSettings

    return TrainSettings(
        Schedule(steps, warm_up_steps=steps // 10),
        learning_rate=rate,
        batch_sequences=BATCH,
        sequence_tokens=SEQUENCE,
        seed=seed,
        precision="float32",
    )


def _train(
    folder: Path, model: PreTrainedModel, corpus: Corpus, settings: TrainSettings, **more: Any
) -> dict[str, Any]:
    """Train and write the model; processor time is that since the run was last begun."""
    from understudy.lm.decoder import load_decoder, quiet_transformers
    from understudy.lm.tokeniser import save_tokeniser
    from understudy.lm.train import train

    began = time.process_time()
    data, _ = corpus.packed(SEQUENCE, settings.seed)
    run = train(model, data, settings, folder, **more)
    with quiet_transformers():
        load_decoder(run.checkpoint).save_pretrained(folder / "model")
    save_tokeniser(corpus.tokeniser, folder / "model", corpus.end)
    return {"cpu_seconds": time.process_time() - began}


def _table(found: dict[str, dict[int, dict[str, Any]]]) -> None:
    print("| model | parameters | held-out loss, by seed | less scratch + text (95 %) | CPU s |")
    print("|---|---|---|---|---|")
    base = found[BASE]
    for name, by_seed in found.items():
        losses = ", ".join(f"{facts['loss']:.3f}" for facts in by_seed.values())
        gaps = [facts["loss"] - base[seed]["loss"] for seed, facts in by_seed.items()]
        seconds = statistics.median(facts["cpu_seconds"] for facts in by_seed.values())
        parameters = next(iter(by_seed.values()))["parameters"]
        gap = _interval(gaps) if len(gaps) == len(base) and name != BASE else ""
        print(f"| {name} | {parameters:,} | {losses} | {gap} | {seconds:.0f} |")


def _interval(gaps: Sequence[float]) -> str:
    from scipy import stats

    mean = statistics.fmean(gaps)
    if len(gaps) < 2:
        return f"{mean:+.3f}"
    half = stats.t.ppf(0.975, len(gaps) - 1) * statistics.stdev(gaps) / math.sqrt(len(gaps))
    return f"{mean:+.3f} ({mean - half:+.3f} to {mean + half:+.3f})"


if __name__ == "__main__":
    main()
