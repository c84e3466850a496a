import json
from dataclasses import replace

import pytest
import torch
from tiny_decoder import DENSE, MIXTURE

from understudy.errors import ArtefactError, ConfigError, UnderstudyError
from understudy.lm.balance import BalanceSettings
from understudy.lm.checkpoint import list_checkpoints
from understudy.lm.decoder import build_decoder, expert_blocks, load_decoder
from understudy.lm.packing import PackedTokens
from understudy.lm.schedule import Schedule
from understudy.lm.settings import TrainSettings
from understudy.lm.shards import write_shards
from understudy.lm.tokeniser import train_tokeniser
from understudy.lm.train import next_token_loss, train, validation_loss

TEXTS = [f"number {n} is followed by {n + 1} and then by {n + 2}\n" * 4 for n in range(60)]
SETTINGS = TrainSettings(
    Schedule(12, warm_up_steps=2),
    batch_sequences=4,
    sequence_tokens=32,
    checkpoint_every=4,
    validate_every=6,
    validate_sequences=4,
    balance=BalanceSettings("bias", bias_rate=0.01),
    precision="float32",
)


class Killed(BaseException):
    """Stands for the signal; whatever the loop would do on the way out, it must not save."""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    tokeniser = train_tokeniser(TEXTS, vocab_size=300)
    return PackedTokens(write_shards(TEXTS, tokeniser, folder), sequence_tokens=32, seed=0)


def model_of(shape=MIXTURE):
    return build_decoder(replace(shape, vocab_size=300), seed=0)


def kill_at(step):
    def on_step(record, pace):
        if record.step == step:
            raise Killed

    return on_step


def losses(run):
    return [
        (record.loss, record.router_loss, record.gradient_norm, record.valid_loss) for record in run.records
    ]


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(model_of(), data, SETTINGS, folder, valid=data)


@pytest.mark.parametrize("step", [1, 4, 10])
def test_a_killed_run_goes_on_to_the_same_bits(data, whole, tmp_path, step):
    with pytest.raises(Killed):
        train(model_of(), data, SETTINGS, tmp_path, valid=data, on_step=kill_at(step))
    with (tmp_path / "steps.jsonl").open("a") as stream:
        stream.write('{"step": 1')  # and the kill came in the middle of a line
    run = train(model_of(), data, SETTINGS, tmp_path, valid=data)
    assert losses(run) == losses(whole[1])
    assert run.records == whole[1].records
    for one, other in zip(
        load_decoder(run.checkpoint).state_dict().values(),
        load_decoder(whole[1].checkpoint).state_dict().values(),
        strict=True,
    ):
        assert torch.equal(one, other)


def test_a_finished_run_is_not_run_again(data, whole):
    folder, first = whole
    again = train(model_of(), data, SETTINGS, folder, valid=data, on_step=kill_at(12))
    assert again.records == first.records
    assert again.pace is None


def test_training_learns_and_its_record_says_how(data, whole):
    folder, run = whole
    assert run.records[-1].loss < run.records[0].loss - 0.5
    assert [record.step for record in run.records] == list(range(1, 13))
    assert [record.step for record in run.records if record.valid_loss is not None] == [6, 12]
    assert run.records[-1].valid_loss == pytest.approx(
        validation_loss(load_decoder(run.checkpoint), data, SETTINGS)
    )
    lines = [json.loads(line) for line in (folder / "steps.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in lines] == [record.loss for record in run.records]
    load = run.records[-1].loads[1]
    assert sum(load.counts) == 4 * 32 * MIXTURE.experts.n_active
    assert run.records[0].loads[0].gate_cosine == pytest.approx(1, abs=1e-6)
    assert run.records[-1].loads[0].gate_cosine < 0.999
    biases = [block.router.bias for block in expert_blocks(load_decoder(run.checkpoint))]
    assert all(bias.abs().sum() > 0 for bias in biases)
    assert [path.name for path in list_checkpoints(folder / "checkpoints")] == [
        "step-00000008",
        "step-00000012",
    ]


def test_a_damaged_checkpoint_is_one_clear_error_and_the_one_before_is_usable(data, whole, tmp_path):
    with pytest.raises(Killed):
        train(model_of(), data, SETTINGS, tmp_path, valid=data, on_step=kill_at(9))
    older, newest = list_checkpoints(tmp_path / "checkpoints")
    weights = newest / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ArtefactError, match="damaged") as caught:
        train(model_of(), data, SETTINGS, tmp_path, valid=data)
    assert older.name in str(caught.value)
    assert str(newest) in str(caught.value)
    for path in newest.iterdir():
        path.unlink()
    newest.rmdir()
    assert losses(train(model_of(), data, SETTINGS, tmp_path, valid=data)) == losses(whole[1])


def test_a_half_written_checkpoint_does_not_count(data, whole, tmp_path):
    with pytest.raises(Killed):
        train(model_of(), data, SETTINGS, tmp_path, valid=data, on_step=kill_at(5))
    half = tmp_path / "checkpoints" / "step-00000008.part"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    assert losses(train(model_of(), data, SETTINGS, tmp_path, valid=data)) == losses(whole[1])
    assert not half.exists()


def test_other_settings_do_not_go_on_with_a_run(data, whole):
    folder, _ = whole
    other = replace(SETTINGS, learning_rate=1e-3)
    with pytest.raises(ConfigError, match=r"settings\.learning_rate was 0\.003, is 0\.001"):
        train(model_of(), data, other, folder)
    with pytest.raises(ConfigError, match=r"shape\.experts"):
        train(model_of(DENSE), data, SETTINGS, folder)


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_checkpoint(data, tmp_path):
    seen = []

    def spoilt(model, pack):
        loss = next_token_loss(model, pack)
        seen.append(loss)
        return loss * float("nan") if len(seen) == 7 else loss

    model = model_of()
    with pytest.raises(UnderstudyError, match="diverged") as caught:
        train(model, data, SETTINGS, tmp_path, objective=spoilt)
    assert "step 7" in str(caught.value)
    assert "step-00000004 is kept" in str(caught.value)
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    (kept,) = list_checkpoints(tmp_path / "checkpoints")
    assert load_decoder(kept).lm_head.weight.isfinite().all()


@pytest.mark.parametrize("shape", [DENSE, MIXTURE], ids=["dense", "mixture"])
def test_passes_of_a_step_add_up(data, tmp_path, shape):
    quiet = replace(SETTINGS, schedule=Schedule(2), balance=BalanceSettings("none", z_weight=0.0))
    at_once = train(model_of(shape), data, quiet, tmp_path / "one")
    in_parts = train(model_of(shape), data, replace(quiet, micro_sequences=3), tmp_path / "two")
    for one, other in zip(at_once.records, in_parts.records, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-5)
        assert one.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-4)
        assert [load.counts for load in one.loads] == [load.counts for load in other.loads]


def test_every_kind_of_balancing_trains(data, tmp_path):
    shape = replace(MIXTURE, experts=replace(MIXTURE.experts, gate="sigmoid", capacity_factor=1.0))
    for kind in ("switch", "none"):
        settings = replace(SETTINGS, schedule=Schedule(2), balance=BalanceSettings(kind))
        run = train(model_of(shape), data, settings, tmp_path / kind)
        assert run.records[-1].router_loss > 0
        assert run.records[0].loads[0].n_dropped > 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"batch_sequences": 0}, "batch_sequences"),
        ({"micro_sequences": 0}, "micro_sequences"),
        ({"sequence_tokens": 1}, "sequence_tokens"),
        ({"betas": (0.9, 1.0)}, "betas"),
        ({"seed": -1}, "seed"),
        ({"precision": "float8"}, "precision"),
    ],
)
def test_bad_settings_are_refused_by_name(changes, field):
    with pytest.raises(ConfigError, match=f"^{field} must be"):
        replace(SETTINGS, **changes)
