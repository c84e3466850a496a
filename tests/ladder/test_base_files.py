"""A base in a folder is told by what lies in it, so that no rung of older contents is taken from the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from understudy.ladder.base_files import base_identity
from understudy.ladder.options import LearnOptions
from understudy.ladder.prepare import rung_key


class _Log:
    """What a rung's key asks of a data set."""

    problems = ()

    def fingerprint(self) -> str:
        return "the same calls"


_DATA: Any = _Log()


def test_a_hub_id_is_its_own_name() -> None:
    assert base_identity("some/base") == "some/base"
    assert base_identity(None) is None


def test_a_folder_is_another_base_once_a_file_of_it_is_another(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"old weights")
    before = base_identity(str(tmp_path))
    assert before == base_identity(str(tmp_path))
    options = LearnOptions(base=str(tmp_path), writer_base=str(tmp_path))
    keys = [rung_key(name, _DATA, options) for name in ("frozen", "writer", "linear")]
    weights.write_bytes(b"new weights, and more of them")
    assert base_identity(str(tmp_path)) != before
    assert before is not None
    assert before.startswith(f"{tmp_path} ")
    changed = [rung_key(name, _DATA, options) for name in ("frozen", "writer", "linear")]
    assert [one == two for one, two in zip(keys, changed, strict=True)] == [False, False, True]
