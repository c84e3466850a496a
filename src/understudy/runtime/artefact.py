"""The artefact on disk: a folder with a manifest, hashed files and nothing that runs code when it is read.

Written under a temporary name and renamed; read only after every hash has been checked.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from understudy.errors import ArtefactError

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST_FILE",
    "hash_file",
    "publish_folder",
    "read_manifest",
    "write_manifest",
]

FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"
_UNHASHED = {MANIFEST_FILE}


def hash_file(path: Path) -> str:
    """SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Hash every file in `folder` and write the manifest, last."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in _UNHASHED)
    hashes = {path.relative_to(folder).as_posix(): hash_file(path) for path in files}
    text = json.dumps({"format": FORMAT_VERSION, **manifest, "files": hashes}, indent=1, ensure_ascii=False)
    (folder / MANIFEST_FILE).write_text(text + "\n", encoding="utf-8")


def publish_folder(built: Path, target: Path) -> None:
    """Move a finished folder to its final name; what stood there is replaced only once the new one is in place."""
    old = target.with_name(f".{target.name}.old-{os.getpid()}")
    if target.exists():
        target.rename(old)
    try:
        built.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    if old.exists():
        shutil.rmtree(old)


def read_manifest(folder: Path, *, verify: bool = True) -> dict[str, Any]:
    """The manifest of an artefact, after checking format and hashes.

    Raises
    ------
    ArtefactError
        If the folder is no artefact, is of a newer format, or a file is missing or was changed.
    """
    path = folder / MANIFEST_FILE
    if not folder.is_dir() or not path.is_file():
        raise ArtefactError(
            "this is not an artefact", given=str(folder), todo="give the folder that `understudy learn` wrote"
        )
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = int(manifest["format"])
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ArtefactError("the artefact's manifest cannot be read", given=f"{path}: {error}") from error
    if version > FORMAT_VERSION:
        raise ArtefactError(
            f"the artefact has format {version}, this version reads up to {FORMAT_VERSION}",
            todo="pip install --upgrade understudy",
        )
    if verify:
        _check_files(folder, manifest.get("files", {}))
    return manifest


def _check_files(folder: Path, hashes: Mapping[str, str]) -> None:
    for name, expected in hashes.items():
        path = folder / name
        if not path.is_file():
            raise ArtefactError(
                "a file of the artefact is missing",
                given=name,
                todo="copy the whole folder again, or learn again",
            )
        if hash_file(path) != expected:
            raise ArtefactError(
                "a file of the artefact was changed or damaged",
                given=name,
                todo="copy the whole folder again, or learn again; its certificate does not hold for other bytes",
            )
