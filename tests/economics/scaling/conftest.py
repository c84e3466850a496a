"""Published runs beside the project, and synthetic runs of a known law."""

from __future__ import annotations

from pathlib import Path

import pytest
from known_runs import TRUTH, grid_runs

from understudy.economics.scaling.law import ScalingLaw
from understudy.economics.scaling.runs import TrainingRuns, read_runs

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def truth() -> ScalingLaw:
    return TRUTH


@pytest.fixture(scope="session")
def clean_runs() -> TrainingRuns:
    """Thirty-six runs without noise."""
    return grid_runs(TRUTH, 6)


@pytest.fixture(scope="session")
def noisy_runs() -> TrainingRuns:
    """Thirty-six runs with 1 % of noise."""
    return grid_runs(TRUTH, 6, noise=0.01)


@pytest.fixture(scope="session")
def scaling_data() -> Path:
    """The folder of published points, where a machine has it."""
    folder = ROOT.parent / "shared" / "data" / "scaling"
    if not folder.is_dir():
        pytest.skip("the published points (shared/data/scaling) are not beside the project on this machine")
    return folder


@pytest.fixture(scope="session")
def chinchilla_runs(scaling_data: Path) -> TrainingRuns:
    """The 245 points that Epoch read from Hoffmann's figure 4."""
    path = scaling_data / "chinchilla_svg_extracted_epoch.csv"
    return read_runs(path, parameters="Model Size", flops="Training FLOP", loss="loss")
