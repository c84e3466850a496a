"""What a run leaves when memory, disk or life ends: one clear error, and a checkpoint to go on from."""

import os
import resource
import signal
import time
from dataclasses import replace

import pytest
import torch
from forked import fork
from tiny_decoder import DENSE

from understudy.errors import UnderstudyError
from understudy.lm.checkpoint import list_checkpoints
from understudy.lm.decoder import build_decoder, load_decoder
from understudy.lm.objective import next_token_loss
from understudy.lm.packing import pack
from understudy.lm.schedule import Schedule
from understudy.lm.settings import TrainSettings
from understudy.lm.train import train

TOKENS = torch.randint(0, 80, (24, 16), generator=torch.Generator().manual_seed(0))
SETTINGS = TrainSettings(
    Schedule(6), batch_sequences=4, sequence_tokens=16, checkpoint_every=2, precision="float32"
)


class Texts:
    fingerprint, seed, n_sequences = "random", 0, len(TOKENS)

    def take(self, numbers):
        return pack(TOKENS[list(numbers)], 0)

    def batch(self, number, size):
        return self.take([at % len(TOKENS) for at in range(number * size, (number + 1) * size)])


class Stop(BaseException):
    """Enough was seen."""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def model_of():
    return build_decoder(DENSE, seed=0)


@pytest.mark.parametrize("kind", ["allocator", "python", "gpu"])
def test_no_memory_names_the_settings_to_lower_and_keeps_the_checkpoint(kind, tmp_path):
    n_calls = [0]

    def greedy(model, batch):
        n_calls[0] += 1
        if n_calls[0] == 4:
            if kind == "allocator":
                torch.empty(2**52)
            raise MemoryError if kind == "python" else torch.OutOfMemoryError
        return next_token_loss(model, batch)

    with pytest.raises(UnderstudyError, match="not enough memory") as caught:
        train(model_of(), Texts(), SETTINGS, tmp_path, objective=greedy)
    for words in ("passes of 4 sequences of 16 tokens", "--micro", "step-00000002 is kept"):
        assert words in str(caught.value)
    load_decoder(list_checkpoints(tmp_path / "checkpoints")[-1])
    done = train(model_of(), Texts(), SETTINGS, tmp_path)
    assert done.records == train(model_of(), Texts(), SETTINGS, tmp_path / "whole").records


def test_another_error_of_the_objective_is_not_taken_for_memory(tmp_path):
    def wrong(model, batch):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        train(model_of(), Texts(), SETTINGS, tmp_path, objective=wrong)


def test_a_full_disk_is_one_clear_error_and_the_checkpoint_before_stays(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(record, pace):
        if record.step == 3:  # from now on, no file may be longer than a record
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))

    try:
        with pytest.raises(UnderstudyError, match="could not be written down") as caught:
            train(model_of(), Texts(), SETTINGS, tmp_path, on_step=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "step-00000002 is kept" in str(caught.value)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000002"]
    done = train(model_of(), Texts(), SETTINGS, tmp_path)
    assert done.records == train(model_of(), Texts(), SETTINGS, tmp_path / "whole").records


def test_killed_while_it_writes_a_checkpoint(tmp_path):
    often = replace(SETTINGS, schedule=Schedule(400), checkpoint_every=1)
    child = fork(train, model_of(), Texts(), often, tmp_path)
    until = time.monotonic() + 60
    while time.monotonic() < until and not list(tmp_path.glob("checkpoints/step-*.part/*")):
        pass
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    for path in list_checkpoints(tmp_path / "checkpoints"):
        load_decoder(path)
    n_done = max([0, *(int(path.name[5:]) for path in list_checkpoints(tmp_path / "checkpoints"))])

    def stop(record, pace):
        if record.step == n_done + 2:
            raise Stop

    with pytest.raises(Stop):
        train(model_of(), Texts(), often, tmp_path, on_step=stop)
    lines = (tmp_path / "steps.jsonl").read_text().splitlines()
    assert len(lines) == n_done + 2
    assert not list(tmp_path.glob("checkpoints/*.part"))
