from dataclasses import replace

import pytest
import torch
from tiny_decoder import MIXTURE
from transformers import AutoModelForCausalLM, AutoTokenizer

from understudy.errors import ArtefactError, ConfigError
from understudy.lm.corpus import CorpusSettings, prepare_corpus
from understudy.lm.decoder import StudentDecoder, build_decoder
from understudy.lm.job import Job, compare_shapes, run_job
from understudy.lm.presets import PRESETS, preset
from understudy.lm.schedule import Schedule
from understudy.lm.settings import TrainSettings

SETTINGS = TrainSettings(Schedule(3), batch_sequences=2, sequence_tokens=16, precision="float32")


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    for number in range(12):
        (folder / f"{number}.txt").write_text(f"file {number} says what file {number} says\n" * 6)
    return CorpusSettings(str(folder), vocab_size=270, train_tokens=2000, valid_tokens=100, valid_share=0.2)


def test_a_job_ends_in_a_folder_that_transformers_loads(texts, tmp_path):
    corpus = prepare_corpus(tmp_path / "text", texts)
    job = Job(replace(MIXTURE, vocab_size=270), SETTINGS, peak_flops=1e12, hour_usd=1.0)
    facts = run_job(job, corpus, tmp_path)
    model = AutoModelForCausalLM.from_pretrained(facts["model"])
    tokenizer = AutoTokenizer.from_pretrained(facts["model"])
    assert isinstance(model, StudentDecoder)
    asked = tokenizer("file 3", return_tensors="pt")
    words = {"attention_mask": torch.ones_like(asked["input_ids"]), "max_new_tokens": 4, "pad_token_id": 0}
    assert tokenizer.decode(model.generate(asked["input_ids"], **words)[0]).startswith("file 3")
    assert facts["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert facts["tokens"] == 3 * 2 * 16
    assert facts["cost_usd"] == pytest.approx(facts["seconds"] / 3600)
    assert 0 < facts["flops_share"] < 1
    assert len(facts["loads"]) == 2
    # A tenth of three steps is one.
    assert [load["counts"] for load in facts["end_loads"]] == [load["counts"] for load in facts["loads"]]


def test_a_corpus_is_made_once_and_not_mixed_up(texts, tmp_path):
    first = prepare_corpus(tmp_path, texts)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    again = prepare_corpus(tmp_path, texts)
    assert again.train.fingerprint == first.train.fingerprint
    assert stamps == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert first.valid.n_tokens == 100
    with pytest.raises(ConfigError, match="seed was 0, is 1"):
        prepare_corpus(tmp_path, replace(texts, seed=1))


def test_a_damaged_corpus_says_what_to_do(texts, tmp_path):
    prepare_corpus(tmp_path, texts)
    (tmp_path / "corpus.json").write_text('{"texts": ')
    with pytest.raises(ArtefactError, match="delete its folder"):
        prepare_corpus(tmp_path, texts)


def test_a_run_starts_from_weights_in_several_files(texts, tmp_path):
    corpus = prepare_corpus(tmp_path / "text", texts)
    shape = replace(MIXTURE, vocab_size=270)
    for seed in (0, 1):
        build_decoder(shape, seed=seed).save_pretrained(tmp_path / str(seed), max_shard_size="20KB")
    assert not (tmp_path / "0" / "model.safetensors").is_file()
    run_job(Job(shape, SETTINGS, start=tmp_path / "0"), corpus, tmp_path / "run")
    with pytest.raises(ConfigError, match="start was"):
        run_job(Job(shape, SETTINGS, start=tmp_path / "1"), corpus, tmp_path / "run")


def test_a_model_with_too_small_a_vocabulary_is_refused(texts, tmp_path):
    corpus = prepare_corpus(tmp_path / "text", texts)
    with pytest.raises(ConfigError, match="knows more tokens than the model"):
        run_job(Job(MIXTURE, SETTINGS), corpus, tmp_path)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_and_their_twins_are_of_equal_size(name):
    mixture, active, total = compare_shapes(preset(name)).values()
    assert active.n_parameters() == pytest.approx(mixture.n_parameters(is_active_only=True), rel=0.01)
    assert total.n_parameters() == pytest.approx(mixture.n_parameters(), rel=0.01)
    assert mixture.n_parameters() > 1.5 * active.n_parameters()


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(ConfigError, match="tiny, small, base"):
        preset("huge")
