"""Finds text to train on: files of a folder, or, where none is given, the interpreter's own standard library.

The standard library is on every machine that runs this, needs no network, and is a few million tokens of one
kind. Its tests, code pages and installed packages are left out; machines then differ by their Python version alone.
Knows no tokens.
"""

from __future__ import annotations

import os
import random
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

from understudy.errors import ConfigError, DataError

__all__ = ["find_files", "read_texts", "split_files", "standard_library"]

_NOT_OURS = frozenset(
    {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__", "lib2to3", "encodings"}
)
_SUFFIXES = (".py", ".txt", ".md", ".rst")


def standard_library() -> Path:
    """Folder of the running interpreter's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def find_files(folder: Path | None = None, *, suffixes: Sequence[str] = _SUFFIXES) -> list[Path]:
    """List the text files under `folder`, sorted by path; the standard library's sources for ``None``.

    Raises
    ------
    ConfigError
        If there is no such folder, or fewer than two such files (one to train on and one to validate with).
    """
    root = standard_library() if folder is None else folder
    wanted = (".py",) if folder is None else tuple(suffixes)
    if not root.is_dir():
        raise ConfigError("there is no such folder of texts", given=str(root))
    left_out = _NOT_OURS if folder is None else frozenset()
    found: list[Path] = []
    for here, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in left_out]
        found += [Path(here, name) for name in names if name.endswith(wanted)]
    if len(found) < 2:
        raise ConfigError(
            "a folder of texts needs two files at least, one to train on and one to validate with",
            given=f"{root}: {len(found)} files",
            todo=f"the files that count end in {', '.join(wanted)}",
        )
    return sorted(found)


def split_files(
    files: Sequence[Path], *, valid_share: float = 0.05, seed: int = 0
) -> tuple[list[Path], list[Path]]:
    """Split whole files at random into train and valid; each gets one at least.

    Raises
    ------
    ConfigError
        If `valid_share` is not between 0 and 1.
    """
    if not 0 < valid_share < 1:
        raise ConfigError("valid_share must be between 0 and 1", given=f"valid_share = {valid_share!r}")
    shuffled = list(files)
    random.Random(seed).shuffle(shuffled)
    n_valid = min(max(1, round(valid_share * len(shuffled))), len(shuffled) - 1)
    return shuffled[n_valid:], shuffled[:n_valid]


def read_texts(files: Sequence[Path]) -> Iterator[str]:
    """Read the files one by one, as UTF-8; empty files, and those in another encoding, are passed over.

    Raises
    ------
    DataError
        If none could be read.
    """
    n_read = 0
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if text.strip():
            n_read += 1
            yield text
    if not n_read:
        raise DataError("no file holds text in UTF-8", given=f"{len(files)} files")
