"""Step by step smaller: which version comes of which, what is measured of each, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from loud_decoder import SHAPE

from understudy.density.loss_law import LossLaw
from understudy.density.ruler import Ruler
from understudy.errors import ConfigError
from understudy.lm.compress import CompressSettings, compress, parse_steps
from understudy.lm.corpus import Corpus, CorpusSettings, prepare_corpus
from understudy.lm.decoder import build_decoder, load_decoder, quiet_transformers, shape_of
from understudy.lm.prune import PruneAim
from understudy.lm.schedule import Schedule
from understudy.lm.settings import TrainSettings
from understudy.lm.tokeniser import end_id, save_tokeniser
from understudy.lm.train import train
from understudy.lm.versions import NO_RULER, Version


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("compress-texts")
    for number in range(40):
        (folder / f"{number}.txt").write_text(f"file {number} says what file {number} says\n" * 6)
    return prepare_corpus(folder / "text", CorpusSettings(str(folder), 270, valid_share=0.3))


@pytest.fixture(scope="module")
def model(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learnt something, so that losing bits or layers costs something."""
    place = tmp_path_factory.mktemp("compress-model")
    built = build_decoder(DECODER, seed=0, end_token=end_id(corpus.tokeniser, corpus.end))
    data, _ = corpus.packed(32, 0)
    run = train(built, data, settings(60), place / "run")
    with quiet_transformers():
        load_decoder(run.checkpoint).save_pretrained(place / "model")
    save_tokeniser(corpus.tokeniser, place / "model", corpus.end)
    return place / "model"


DECODER = type(SHAPE)(
    vocab_size=270, d_model=32, n_layers=3, n_heads=4, n_kv_heads=2, d_ff=64, context_tokens=64
)


def settings(steps: int) -> TrainSettings:
    return TrainSettings(
        Schedule(steps, warm_up_steps=2), batch_sequences=4, sequence_tokens=32, precision="float32"
    )


RULER = Ruler(
    name="invented",
    loss_name="loss",
    score_name=None,
    law=LossLaw(20.0, 0.3, 20.0, 0.3, 0.1),
    sigmoid=None,
    chance=0.0,
    size_range=(1e4, 1e6),
    token_range=(1e4, 1e6),
    n_points=9,
    draws=tuple((20.0 + 0.1 * at, 0.3, 20.0, 0.3, 0.1, *[float("nan")] * 4) for at in range(40)),
    evidence=(),
    law_choice="given",
    rms_log_loss=None,
    rms_score=None,
)


@pytest.fixture(scope="module")
def versions(model: Path, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Version]:
    out = tmp_path_factory.mktemp("compressed")
    found = compress(
        model,
        corpus,
        CompressSettings(
            ("int8", "prune", "distil", "int4"),
            settings(40),
            aim=PruneAim(n_layers=2, d_ff=32),
            measured_sequences=6,
        ),
        out,
        ruler=RULER,
    )
    facts = json.loads((out / "compression.json").read_text(encoding="utf-8"))
    assert [one["step"] for one in facts] == ["original", "int8", "prune", "distil", "int4"]
    assert facts == json.loads(json.dumps([version.to_dict() for version in found]))
    return {version.step: version for version in found}


def loss(version: Version) -> float:
    assert version.loss is not None
    return version.loss.value


def size(version: Version) -> int:
    assert version.size_bytes is not None
    return version.size_bytes


def test_each_version_is_made_of_the_float_model_that_stood(versions: dict[str, Version]) -> None:
    made = {step: version.made_from for step, version in versions.items()}
    assert made == {
        "original": None,
        "int8": "original",
        "prune": "original",
        "distil": "prune",
        "int4": "distil",
    }
    assert versions["int8"].n_parameters == versions["original"].n_parameters == DECODER.n_parameters()
    assert versions["int4"].n_parameters == versions["prune"].n_parameters


def test_files_shrink(versions: dict[str, Version]) -> None:
    assert size(versions["int8"]) < 0.5 * size(versions["original"])
    assert size(versions["int4"]) < 0.5 * size(versions["distil"])
    assert size(versions["distil"]) < size(versions["original"])


def test_loss_is_measured_on_what_would_be_served(versions: dict[str, Version]) -> None:
    assert loss(versions["int8"]) == pytest.approx(loss(versions["original"]), abs=0.05)
    assert loss(versions["int8"]) != loss(versions["original"])
    assert loss(versions["prune"]) > loss(versions["original"])
    assert loss(versions["distil"]) < loss(versions["prune"])
    change = versions["int4"].change
    assert change is not None
    assert change.value == pytest.approx(loss(versions["int4"]) - loss(versions["original"]))
    assert versions["original"].change is None


def test_every_version_has_a_speed_beside_the_original(versions: dict[str, Version]) -> None:
    for step, version in versions.items():
        assert version.speed is not None
        assert version.speed.tokens_per_cpu_second > 0
        assert (version.speed.times_reference is None) == (step == "original")


def test_density_is_before_and_after(versions: dict[str, Version]) -> None:
    first, pruned, distilled = (versions[step].density for step in ("original", "prune", "distil"))
    assert first.rho_before is None
    assert first.rho == pytest.approx(first.rho_bytes)
    assert pruned.rho_before == pytest.approx(first.rho)
    assert distilled.rho_before == pytest.approx(pruned.rho)
    assert pruned.check is not None
    assert pruned.check.effective.verdict == "fallen"
    eight = versions["int8"].density
    assert eight.rho_bytes is not None
    assert eight.rho is not None
    assert eight.rho_bytes > eight.rho


def test_a_pruned_folder_is_a_model_with_its_tokenizer(versions: dict[str, Version]) -> None:
    shape = shape_of(load_decoder(versions["distil"].folder))
    assert (shape.n_layers, shape.d_ff) == (2, 32)
    assert (versions["distil"].folder / "tokenizer.json").is_file()
    assert (versions["int4"].folder / "engine.json").is_file()


def test_without_a_ruler_density_is_unknown_and_says_so(model: Path, corpus: Corpus, tmp_path: Path) -> None:
    (found, _) = compress(
        model, corpus, CompressSettings(("prune",), settings(3), measured_sequences=2), tmp_path
    )
    assert (found.density.rho, found.density.reason) == (None, NO_RULER)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("prune,squeeze", "no such step"),
        ("", "no steps"),
        ("int8,int8", "twice"),
        ("distil,prune", "needs prune"),
    ],
)
def test_steps_that_make_no_sense_are_refused(words: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_steps(words)


@pytest.mark.parametrize("given", [{"confidence": 1.0}, {"measured_sequences": 0}])
def test_settings_out_of_range_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(given))):
        CompressSettings(("prune",), settings(3), **given)  # type: ignore[arg-type]


def test_a_distillation_does_not_go_on_with_another_loss(model: Path, corpus: Corpus, tmp_path: Path) -> None:
    def run(**changes: float) -> None:
        wanted = CompressSettings(("prune", "distil"), settings(3), measured_sequences=2, **changes)  # type: ignore[arg-type]
        compress(model, corpus, wanted, tmp_path)

    run()
    run()
    with pytest.raises(ConfigError, match="other settings"):
        run(temperature=2.0)
    with pytest.raises(ConfigError, match="other settings"):
        run(label_share=0.5)


@pytest.mark.parametrize("place", ["prune", "original"])
def test_the_model_is_not_written_over(model: Path, corpus: Corpus, tmp_path: Path, place: str) -> None:
    shutil.copytree(model, tmp_path / place)
    with pytest.raises(ConfigError, match="would be written"):
        compress(tmp_path / place, corpus, CompressSettings(("prune",), settings(3)), tmp_path)
    assert (tmp_path / place / "model.safetensors").is_file()
