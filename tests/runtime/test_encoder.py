"""An exported encoder answers the same bits whatever its batch, threads or process."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from pathlib import Path

import numpy as np
import pytest

from tiny_encoder import WORDS
from understudy.errors import ArtefactError
from understudy.runtime.component import load_component
from understudy.runtime.encoder import EncoderComponent
from understudy.students.check import toy_task
from understudy.students.tuned import TunedStudent

MODES = frozenset({"classify", "multilabel", "point", "regress"})


def some_inputs(count: int, seed: int = 3) -> list[tuple[str, ...]]:
    random = np.random.default_rng(seed)
    return [
        (" ".join(random.choice(WORDS, size=random.integers(0, 30))) + f" AB{at}",) for at in range(count)
    ]


@pytest.fixture(scope="module")
def exported(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    inputs, targets = toy_task(MODES, count=40)
    student = TunedStudent(str(tiny_base), epochs=1, max_tokens=48).fit(inputs, targets)
    folder = tmp_path_factory.mktemp("encoder")
    student.export(folder)
    return folder


def bits(component: EncoderComponent, inputs: list[tuple[str, ...]], batch: int) -> list[bytes]:
    """Values, confidences and scores of every field, as bytes, per input."""
    out = [b""] * len(inputs)
    for at in range(0, len(inputs), batch):
        for found in component.predict(inputs[at : at + batch]):
            for row, value in enumerate(found.values):
                out[at + row] += repr(value).encode() + found.confidence[row].tobytes()
                if found.scores is not None:
                    out[at + row] += found.scores[row].tobytes()
    return out


def bits_of_folder(folder: Path) -> list[bytes]:
    return bits(load_component(folder), some_inputs(70), 7)


def test_bits_do_not_depend_on_batch_or_threads(exported: Path) -> None:
    spec = json.loads((exported / "component.json").read_text())
    inputs = some_inputs(70)
    alone = bits(EncoderComponent.load(exported, spec, threads=1), inputs, 1)
    for threads in (1, 4):
        component = EncoderComponent.load(exported, spec, threads=threads)
        for batch in (7, 64, 70):
            assert bits(component, inputs, batch) == alone


def test_bits_do_not_depend_on_process_or_folder(exported: Path, tmp_path: Path) -> None:
    elsewhere = shutil.copytree(exported, tmp_path / "copy")
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = pool.map(bits_of_folder, [exported, elsewhere] * 2)
    assert all(one == bits_of_folder(exported) for one in found)


def test_hard_inputs_are_answered_and_long_ones_counted(exported: Path) -> None:
    component = load_component(exported)
    assert isinstance(component, EncoderComponent)
    hard = [("",), ("🙂 \x00",), ("مرحبا",), ("\ud800",), ("dog " * 500_000,)]
    for found in component.predict(hard):
        assert np.isfinite(found.confidence).all()
    assert component.truncated_count == 1
    assert component.is_truncated(hard[-1])
    assert not component.is_truncated(hard[0])
    assert [len(found.values) for found in component.predict([])] == [0] * 4


def test_the_probe_shows_other_arithmetic(exported: Path) -> None:
    spec = json.loads((exported / "component.json").read_text())
    component = EncoderComponent.load(exported, spec)
    same = component.verify_probe()
    assert same is not None
    assert same.is_same
    assert same.largest_difference < 1e-6
    spec["probe"]["outputs"][0]["row"][0] += 50.0
    other = EncoderComponent.load(exported, spec).verify_probe()
    assert other is not None
    assert not other.is_same
    assert other.largest_difference > 1
    del spec["probe"]
    assert EncoderComponent.load(exported, spec).verify_probe() is None


@pytest.mark.parametrize("damage", ["model", "tokenizer", "heads"])
def test_damage_is_named(exported: Path, tmp_path: Path, damage: str) -> None:
    folder = shutil.copytree(exported, tmp_path / "damaged")
    spec = json.loads((folder / "component.json").read_text())
    if damage == "model":
        (folder / "model.onnx").write_bytes(b"not a model")
    elif damage == "tokenizer":
        (folder / "tokenizer.json").unlink()
    else:
        del spec["heads"]
        (folder / "component.json").write_text(json.dumps(spec))
    with pytest.raises(ArtefactError):
        load_component(folder)
