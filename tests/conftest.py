"""Options and data that several tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
# One thread each, set before torch or numpy is imported: the models of the tests are so small that threads would
# only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# The same examples in every run: a red suite must mean a change, not luck.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run tests that take more than ten seconds")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow; run with --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def example_calls() -> Path:
    """The calls that the project ships."""
    return ROOT / "examples" / "support" / "calls.jsonl"


@pytest.fixture(scope="session")
def example_task() -> Path:
    """Their task file."""
    return ROOT / "examples" / "support" / "task.toml"


@pytest.fixture(scope="session")
def shared_calls() -> Path:
    """Recorded calls beside the project, where a machine has them."""
    folder = ROOT.parent / "shared" / "data" / "calls"
    if not folder.is_dir():
        pytest.skip("the recorded calls (shared/data/calls) are not beside the project on this machine")
    return folder


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base encoder of two small layers, as a folder."""
    from tiny_encoder import write_tiny_encoder

    return write_tiny_encoder(tmp_path_factory.mktemp("tiny-base"))
