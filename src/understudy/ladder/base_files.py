"""What tells one base model from another: its name on the hub, or the contents of its folder.

A folder can be trained or downloaded anew under the same name, and a rung made of its old contents would be stale.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

__all__ = ["base_identity"]

_BLOCK_BYTES = 1 << 20


def base_identity(name: str | None) -> str | None:
    """`name` as it is; for a folder on this machine, followed by a hash of the names and contents of its files.

    Reads each file once per process, as long as its size and time of change stay the same.
    """
    if name is None or not (folder := Path(name).expanduser()).is_dir():
        return name
    digest = hashlib.sha256()
    for path in sorted(one for one in folder.iterdir() if one.is_file()):
        stat = path.stat()
        digest.update(f"{path.name} {_sha256(path, stat.st_size, stat.st_mtime_ns)}\n".encode())
    return f"{name} {digest.hexdigest()}"


@lru_cache(maxsize=256)
def _sha256(path: Path, _size_bytes: int, _changed_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
