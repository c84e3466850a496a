"""One run in two processes, on CPUs by gloo."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from forked import in_processes
from tiny_decoder import DENSE, MIXTURE
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from understudy.errors import ConfigError
from understudy.lm.balance import BalanceSettings
from understudy.lm.checkpoint import TrainingState, restore, write_checkpoint
from understudy.lm.decoder import build_decoder, load_decoder
from understudy.lm.objective import next_token_loss
from understudy.lm.packing import pack
from understudy.lm.processes import Lesson, check_shares, processes, share_of, whole
from understudy.lm.schedule import Schedule
from understudy.lm.settings import TrainSettings
from understudy.lm.train import train

TOKENS = torch.randint(0, 80, (24, 16), generator=torch.Generator().manual_seed(0))
SETTINGS = TrainSettings(
    Schedule(6, warm_up_steps=1),
    batch_sequences=4,
    sequence_tokens=16,
    checkpoint_every=2,
    validate_every=3,
    validate_sequences=4,
    precision="float32",
)


class Texts:
    fingerprint, seed, n_sequences = "random", 0, len(TOKENS)

    def take(self, numbers):
        return pack(TOKENS[list(numbers)], 0)

    def batch(self, number, size):
        return self.take([at % len(TOKENS) for at in range(number * size, (number + 1) * size)])


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def settings_for(kind):
    return replace(SETTINGS, balance=BalanceSettings(kind, bias_rate=0.01))


def whole_run(rank, folder, kind):
    train(build_decoder(MIXTURE, seed=0), Texts(), settings_for(kind), folder, valid=Texts())
    distributed.destroy_process_group()


@pytest.mark.parametrize("kind", ["switch", "bias"])
def test_two_processes_do_what_one_does_in_two_passes(kind, tmp_path):
    in_processes(2, whole_run, tmp_path / "two", kind)
    one = train(
        build_decoder(MIXTURE, seed=0),
        Texts(),
        replace(settings_for(kind), micro_sequences=2),
        tmp_path / "one",
        valid=Texts(),
    )
    # Read as a finished run: everything that the two wrote down together.
    two = train(build_decoder(MIXTURE, seed=0), Texts(), settings_for(kind), tmp_path / "two", valid=Texts())
    assert two.pace is None
    for ours, theirs in zip(two.records, one.records, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-5)
        assert ours.router_loss == pytest.approx(theirs.router_loss, rel=1e-5)
        assert ours.gradient_norm == pytest.approx(theirs.gradient_norm, rel=1e-4)
        assert [load.counts for load in ours.loads] == [load.counts for load in theirs.loads]
        assert sum(ours.loads[0].counts) == 4 * 16 * MIXTURE.experts.n_active
    assert two.records[-1].valid_loss == pytest.approx(one.records[-1].valid_loss, rel=1e-5)
    weights = (load_decoder(run.checkpoint).state_dict() for run in (two, one))
    for ours, theirs in zip(*(state.values() for state in weights), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def sharded(rank, folder):
    mesh = init_device_mesh("cpu", (2,))

    def pieces(seed):
        model = build_decoder(DENSE, seed=seed)
        for layer in model.model.layers:
            fully_shard(layer, mesh=mesh)
        lesson = fully_shard(Lesson(model, next_token_loss), mesh=mesh)
        return lesson, torch.optim.AdamW(model.parameters(), lr=0.01)

    def step(lesson, optimiser):
        part = Texts().take([rank, 2 + rank])
        (lesson(part) / part.n_labels).backward()
        optimiser.step()
        optimiser.zero_grad()

    lesson, optimiser = pieces(0)
    step(lesson, optimiser)
    state = TrainingState(1, 0.5, [])
    written = write_checkpoint(folder, lesson.model, optimiser, state, {}, keep=1, is_writer=rank == 0)
    distributed.barrier()
    again, its_optimiser = pieces(1)
    assert restore(written, again.model, its_optimiser).step == 1
    step(lesson, optimiser)
    step(again, its_optimiser)
    for ours, theirs in zip(again.parameters(), lesson.parameters(), strict=True):
        assert torch.equal(whole(ours), whole(theirs))
    # What was written is a model as it stands.
    plain = load_decoder(written).state_dict()
    assert plain["model.norm.weight"].shape == (DENSE.d_model,)
    distributed.destroy_process_group()


def test_weights_in_pieces_are_written_whole_and_cut_again(tmp_path):
    in_processes(2, sharded, tmp_path)


def test_each_process_takes_its_share_in_order():
    batch = Texts().take(range(4))
    shares = [share_of(batch, SimpleNamespace(num_processes=2, process_index=at)) for at in range(2)]
    assert torch.equal(torch.cat([share.tokens_BS for share in shares]), batch.tokens_BS)
    assert share_of(batch, SimpleNamespace(num_processes=1)) is batch


def test_a_step_that_cannot_be_shared_names_one_that_can():
    with pytest.raises(ConfigError, match="cannot be shared evenly") as caught:
        check_shares(6, 4)
    assert "--batch 8" in str(caught.value)
    check_shares(8, 4)


def test_processes_that_do_not_find_each_other_are_refused(monkeypatch):
    assert processes().num_processes == 1
    monkeypatch.setenv("WORLD_SIZE", "2")  # and a state that was made without it
    with pytest.raises(ConfigError, match="does not see the other processes"):
        processes()


def test_a_teacher_in_the_objective_is_no_part_of_what_is_trained():
    lesson = Lesson(build_decoder(DENSE, seed=0), torch.nn.Linear(3, 3))
    assert all(name.startswith("model.") for name, _ in lesson.named_parameters())
