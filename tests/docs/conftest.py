"""A folder in which the pages' examples run: the example's calls, and a small artefact learnt from them."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SEEN = 1400


def split_example(folder: Path) -> None:
    """``seen.jsonl`` and ``unseen.jsonl``, as the README's tour makes them."""
    lines = (folder / "examples/support/calls.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "seen.jsonl").write_text("".join(lines[:SEEN]), encoding="utf-8")
    (folder / "unseen.jsonl").write_text("".join(lines[SEEN:]), encoding="utf-8")


@pytest.fixture(scope="session")
def learnt_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared once; tests get copies."""
    import understudy

    folder = tmp_path_factory.mktemp("tour")
    shutil.copytree(ROOT / "examples", folder / "examples")
    split_example(folder)
    with contextlib.chdir(folder):
        result = understudy.learn(
            "seen.jsonl",
            task="examples/support/task.toml",
            rungs=("linear",),
            target=0.8,
            of="all",
            out="artefacts/support",
        )
    assert result.is_certified, result.sentence
    return folder


@pytest.fixture
def tour(learnt_folder: Path, tmp_path: Path) -> Iterator[Path]:
    """A fresh copy as working folder, with ``understudy`` on the path."""
    folder = tmp_path / "tour"
    shutil.copytree(learnt_folder, folder)
    commands = tmp_path / "bin"
    commands.mkdir()
    script = commands / "understudy"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m understudy "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), str(folder)]))
        patch.syspath_prepend(str(folder))
        yield folder
