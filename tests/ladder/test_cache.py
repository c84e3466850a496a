from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from understudy.calls.call import ABSENT
from understudy.errors import ConfigError
from understudy.ladder.cache import RungCache, content_key, load_predictions, save_predictions
from understudy.runtime.prediction import FieldPrediction


def test_work_is_done_once(tmp_path: Path) -> None:
    cache, calls = RungCache(tmp_path / "cache"), []

    def build(folder: Path) -> dict[str, int]:
        calls.append(folder)
        (folder / "file").write_text("x")
        return {"n": 1}

    first, second = cache.make("key", build), cache.make("key", build)
    assert len(calls) == 1
    assert (first.was_cached, second.was_cached) == (False, True)
    assert (second.folder / "file").read_text() == "x"


def test_half_an_entry_does_not_exist(tmp_path: Path) -> None:
    cache = RungCache(tmp_path)

    def build(folder: Path) -> dict[str, int]:
        (folder / "half").write_text("x")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        cache.make("key", build)
    assert cache.get("key") is None
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    left = tmp_path / ".abc.999999999"
    left.mkdir()
    RungCache(tmp_path).sweep()
    assert not left.exists()


def test_the_key_depends_on_every_part() -> None:
    assert content_key(a=1, b=2) == content_key(b=2, a=1)
    assert content_key(a=1, b=2) != content_key(a=1, b=3)


def test_predictions_round_trip_with_null_and_absent(tmp_path: Path) -> None:
    one = FieldPrediction(["x", None, ABSENT], np.array([0.1, 0.2, 0.3]), np.eye(3))
    two = FieldPrediction([1.5, 2.0, 3.0], np.array([0.5, 0.5, 0.5]))
    save_predictions(tmp_path / "p", [one, two])
    back = load_predictions(tmp_path / "p")
    assert back[0].values == ["x", None, ABSENT]
    assert back[0].scores is not None
    assert np.array_equal(back[0].scores, np.eye(3))
    assert back[1].scores is None


def test_a_cache_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cache"):
        RungCache(tmp_path / "file" / "below")
