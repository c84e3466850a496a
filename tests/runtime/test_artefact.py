"""What is on disk: hashed, refused when damaged, replaced in one step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from understudy.errors import ArtefactError
from understudy.runtime.artefact import MANIFEST_FILE, publish_folder, read_manifest, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "one"
    (made / "components").mkdir(parents=True)
    (made / "components" / "weights.bin").write_bytes(bytes(range(256)))
    write_manifest(made, {"name": "t"})
    return made


def test_a_whole_artefact_is_read(folder: Path) -> None:
    assert read_manifest(folder)["name"] == "t"


def test_a_flipped_byte_is_refused(folder: Path) -> None:
    path = folder / "components" / "weights.bin"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ArtefactError, match="changed or damaged") as caught:
        read_manifest(folder)
    assert caught.value.exit_code == 5


def test_a_missing_file_is_refused(folder: Path) -> None:
    (folder / "components" / "weights.bin").unlink()
    with pytest.raises(ArtefactError, match="missing"):
        read_manifest(folder)


def test_a_newer_format_is_refused(folder: Path) -> None:
    path = folder / MANIFEST_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(ArtefactError, match="format 99"):
        read_manifest(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json", '{"format": "x"}'])
def test_a_broken_manifest_is_refused(folder: Path, text: str) -> None:
    (folder / MANIFEST_FILE).write_text(text)
    with pytest.raises(ArtefactError):
        read_manifest(folder)


def test_something_else_is_no_artefact(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="not an artefact"):
        read_manifest(tmp_path / "nothing")


def test_publishing_replaces_what_stood_there(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "final"
    target.mkdir()
    (target / "old.txt").write_text("old")
    publish_folder(folder, target)
    assert not folder.exists()
    assert read_manifest(target)["name"] == "t"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["final"]
