"""The public surface, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import understudy

HEAVY = ("torch", "transformers", "sklearn", "scipy", "polars", "onnx", "cleanlab", "genai_prices", "pickle")


def loaded_after(code: str) -> set[str]:
    script = (
        f"{code}\nimport sys\nprint(' '.join(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_all_is_sorted_and_every_name_is_there() -> None:
    assert list(understudy.__all__) == sorted(understudy.__all__)
    for name in understudy.__all__:
        assert getattr(understudy, name) is not None


def test_answering_loads_neither_torch_nor_scikit_learn() -> None:
    loaded = loaded_after("import understudy, understudy.runtime.stream; understudy.load")
    assert not loaded & set(HEAVY) - {"pickle"}  # numpy itself loads pickle


def test_help_loads_next_to_nothing() -> None:
    loaded = loaded_after("import understudy.cli.main")
    assert not loaded & {*HEAVY, "numpy", "rich", "onnxruntime"} - {"pickle"}


def test_the_encoder_runtime_loads_neither_torch_nor_scikit_learn() -> None:
    loaded = loaded_after("import understudy.runtime.encoder")
    assert not loaded & set(HEAVY) - {"pickle"}
