"""The machine and the versions that figures hold for, without names of hosts, people or folders."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["describe_machine", "package_versions", "source_fingerprint"]

_PACKAGES = ("numpy", "onnxruntime", "scikit-learn", "tokenizers", "torch", "transformers")


def describe_machine() -> dict[str, Any]:
    """Cores, processor family, memory, Python."""
    family: str | None = None
    memory_gb: float | None = None
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        family = next(
            (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), None
        )
        memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (OSError, ValueError):
        family = platform.processor() or None
    return {
        "cores": os.cpu_count(),
        "processor": family,
        "memory_gb": memory_gb,
        "system": platform.system(),
        "python": platform.python_version(),
    }


def package_versions() -> dict[str, str]:
    """Versions in this environment of what the figures depend on."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def source_fingerprint(*folders: Path) -> str:
    """First 12 hex digits of a hash over the Python files below `folders` (and over the interpreter's
    version).
    """
    digest = hashlib.sha256(sys.version.split()[0].encode())
    for folder in folders:
        for path in sorted([folder] if folder.is_file() else folder.rglob("*.py")):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
