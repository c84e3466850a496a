import pytest

from understudy.density.compress import ModelVersion, compress_check
from understudy.errors import DataError

FULL = ModelVersion(1e9, score=0.42)


def test_quantising_without_loss_doubles_density_per_byte_twice(noisy_ruler):
    found = compress_check(noisy_ruler, FULL, ModelVersion(1e9, score=0.42, size_bytes=0.5e9), n_tokens=1e12)
    assert found.per_parameter.value == 1
    assert found.per_parameter.verdict == "not distinguishable"
    assert found.per_byte.value == pytest.approx(4)
    assert found.per_byte.verdict == "risen"
    assert found.size_ratio == 0.25
    assert found.rho_bytes_before == pytest.approx(found.before.reference.rho)
    assert found.rho_bytes_after == pytest.approx(4 * found.rho_bytes_before)


def test_pruning_that_costs_more_ability_than_size_lowers_density(noisy_ruler):
    found = compress_check(noisy_ruler, FULL, ModelVersion(0.8e9, score=0.34), n_tokens=1e12)
    assert found.per_parameter.value < 1
    assert found.per_parameter.verdict == "fallen"
    assert found.per_parameter.lower <= found.per_parameter.value <= found.per_parameter.upper
    assert found.per_parameter.value == pytest.approx(found.per_byte.value)
    assert found.effective.value == pytest.approx(0.8 * found.per_parameter.value)


def test_a_shared_ruler_makes_the_ratio_surer_than_its_parts(noisy_ruler):
    found = compress_check(noisy_ruler, FULL, ModelVersion(1e9, score=0.41), n_tokens=1e12)
    alone = found.after.reference
    assert found.effective.upper / found.effective.lower < alone.n_effective_upper / alone.n_effective_lower


def test_the_noise_of_few_questions_hides_a_small_change(noisy_ruler):
    after = ModelVersion(1e9, score=0.41)
    assert compress_check(noisy_ruler, FULL, after, n_tokens=1e12).effective.verdict == "fallen"
    noisy = compress_check(noisy_ruler, FULL, after, n_tokens=1e12, n_items=300)
    assert noisy.effective.verdict == "not distinguishable"


def test_what_cannot_be_measured_is_unknown_with_a_reason(noisy_ruler):
    found = compress_check(noisy_ruler, FULL, ModelVersion(1e9, score=0.2), n_tokens=1e12)
    assert found.per_parameter.value is None
    assert found.per_parameter.verdict == "unknown"
    assert found.reason.startswith("after: a score of 0.200")
    assert found.rho_bytes_after is None


def test_losses_do_as_well_as_scores(noisy_ruler):
    found = compress_check(
        noisy_ruler, ModelVersion(1e9, loss=0.95), ModelVersion(0.5e9, loss=0.96), n_tokens=1e12
    )
    assert found.per_parameter.verdict == "risen"


def test_impossible_bytes_are_refused():
    with pytest.raises(DataError, match="size_bytes"):
        ModelVersion(1e9, score=0.4, size_bytes=0)
