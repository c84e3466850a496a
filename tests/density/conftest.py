"""Rulers that several tests share, and published points where a machine has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from families import family

from understudy.density.fit import fit_ruler
from understudy.density.ruler import Ruler

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def exact_ruler() -> Ruler:
    """Fitted on a family without noise: the truth itself."""
    return fit_ruler(family(), chance=0.25, irreducible=True, n_draws=0)


@pytest.fixture(scope="session")
def noisy_ruler() -> Ruler:
    """Fitted on one noisy family, with draws."""
    return fit_ruler(
        family(np.random.default_rng(3)), chance=0.25, irreducible=True, n_draws=60, name="invented"
    )


@pytest.fixture(scope="session")
def shared_scaling() -> Path:
    """Published scaling points beside the project."""
    folder = ROOT.parent / "shared" / "data" / "scaling"
    if not folder.is_dir():
        pytest.skip("published points (shared/data/scaling) are not beside the project on this machine")
    return folder
