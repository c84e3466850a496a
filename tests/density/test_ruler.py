import json

import numpy as np
import pytest
from families import LAW, SIGMOID, family

from understudy.density.family import FamilyPoint, read_family
from understudy.density.fit import fit_ruler
from understudy.density.loss_law import LAWS, named_law
from understudy.density.measure import effective_draws
from understudy.density.ruler import FORMAT_VERSION, Ruler, load_ruler, save_ruler
from understudy.errors import ConfigError, DataError

TRUTHS = ((5e8, 5e10), (1e9, 5e10), (3e9, 1e11))


def coverage(n_families: int, seed: int, n_draws: int = 80) -> list[int]:
    """How often the 90 % interval of a size holds the truth, per true size and tokens."""
    rng = np.random.default_rng(seed)
    hits = [0] * len(TRUTHS)
    for at in range(n_families):
        ruler = fit_ruler(family(rng), chance=0.25, irreducible=True, n_draws=n_draws, seed=at)
        for which, (n, d) in enumerate(TRUTHS):
            draws = effective_draws(ruler, score=SIGMOID.score(LAW.loss(n, d)), n_tokens=d)
            low, high = np.quantile(draws, [0.05, 0.95], method="inverted_cdf")
            hits[which] += int(low <= n <= high)
    return hits


def test_intervals_hold_the_truth_in_invented_families():
    # 8 families: at 90 %, fewer than 5 hits has a chance of 0.5 %.
    assert min(coverage(8, seed=0, n_draws=50)) >= 5


@pytest.mark.slow
def test_intervals_hold_the_truth_in_many_invented_families():
    # 150 families: at 90 %, fewer than 124 hits has a chance of 0.3 %; small-sample bootstraps lose a little.
    assert min(coverage(150, seed=1)) >= 124


def test_a_clean_family_gives_itself(exact_ruler):
    assert exact_ruler.predict_score(7e9, 2e12) == pytest.approx(
        SIGMOID.score(LAW.loss(7e9, 2e12)), abs=0.005
    )
    assert exact_ruler.rms_log_loss < 1e-4
    assert exact_ruler.rms_score < 1e-3
    assert exact_ruler.size_range == (190e6, 1.3e9)


def test_the_choice_of_law_is_told_with_its_evidence():
    ruler = fit_ruler(family(np.random.default_rng(2), log_loss_noise=0.001), chance=0.25, n_draws=0)
    assert ruler.law.e > 0
    assert "fitted without them" in ruler.law_choice
    assert [one.has_irreducible for one in ruler.evidence] == [False, True]
    asked = fit_ruler(family(), chance=0.25, irreducible=False, n_draws=0)
    assert asked.law.e == 0
    assert "as asked" in asked.law_choice


def test_it_reads_back_what_it_wrote(noisy_ruler, tmp_path):
    save_ruler(noisy_ruler, tmp_path / "ruler.json")
    assert load_ruler(tmp_path / "ruler.json") == noisy_ruler


def test_a_ruler_of_losses_reads_back_too(tmp_path):
    points = [FamilyPoint(one.n_parameters, one.n_tokens, one.loss) for one in family()]
    ruler = fit_ruler(points, n_draws=5)
    assert ruler.sigmoid is None
    assert ruler.score_name is None
    save_ruler(ruler, tmp_path / "ruler.json")
    found = load_ruler(tmp_path / "ruler.json")
    assert found.to_dict() == ruler.to_dict()
    with pytest.raises(ConfigError, match="losses only"):
        found.predict_score(1e9, 1e12)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": FORMAT_VERSION + 1}, "unknown format version"),
        ({"format": "something"}, "no ruler"),
        ({"law": {"a": 1}}, "incomplete"),
        ({"size_range": [1]}, "incomplete"),
    ],
)
def test_other_formats_are_refused(noisy_ruler, change, words):
    with pytest.raises(DataError, match=words):
        Ruler.from_dict({**noisy_ruler.to_dict(), **change})


def test_damaged_and_missing_files_are_refused(tmp_path):
    (tmp_path / "ruler.json").write_text("{")
    with pytest.raises(DataError, match="no JSON"):
        load_ruler(tmp_path / "ruler.json")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_ruler(tmp_path / "none.json")
    with pytest.raises(DataError, match="no ruler"):
        Ruler.from_dict(json.loads("[1]"))


def test_a_given_law_takes_families_without_losses():
    law, source = named_law("hoffmann")
    points = [FamilyPoint(n, 2e12, None, score) for n, score in ((7e9, 0.44), (13e9, 0.54), (70e9, 0.70))]
    ruler = fit_ruler(points, chance=0.25, lower=0.25, law=law, law_source=source, n_draws=20)
    assert ruler.law == law
    assert "its uncertainty is in no interval" in ruler.law_choice
    assert ruler.rms_log_loss is None
    assert ruler.predict_score(13e9, 2e12) == pytest.approx(0.54, abs=0.03)


def test_laws_carry_their_source():
    assert all("arXiv" in source for _, source in LAWS.values())
    with pytest.raises(ConfigError, match="unknown loss law"):
        named_law("mine")


def test_models_without_a_score_still_tell_the_law():
    points = [
        FamilyPoint(one.n_parameters, one.n_tokens, one.loss, one.score if at % 2 else None)
        for at, one in enumerate(family(np.random.default_rng(5)))
    ]
    ruler = fit_ruler(points, chance=0.25, irreducible=True, n_draws=10)
    assert ruler.n_points == 16
    assert np.isfinite(ruler.draw_rows()).all()


def test_missing_losses_are_named():
    points = [FamilyPoint(1e8, 1e9, None, 0.3), *family()]
    with pytest.raises(DataError, match="every model of the family needs a loss"):
        fit_ruler(points)


@pytest.mark.parametrize("values", [(0, 1e9, 2.0, 0.5), (1e8, -1, 2.0, 0.5), (1e8, 1e9, 0.0, 0.5)])
def test_points_out_of_range_are_refused(values):
    with pytest.raises(DataError, match="above 0"):
        FamilyPoint(*values)


def test_percentages_are_refused():
    with pytest.raises(DataError, match="share from 0 to 1"):
        FamilyPoint(1e8, 1e9, 2.0, 54.0)


def test_tables_are_read_and_filtered(tmp_path):
    table = tmp_path / "family.csv"
    table.write_text("model,N,D,acc\na,7,2,0.5\nb,13,2,0.6\nc,,2,0.7\n")
    found = read_family(table, score_column="acc", name_column="model", n_scale=1e9, d_scale=1e12)
    assert [(one.name, one.n_parameters) for one in found] == [("a", 7e9), ("b", 13e9)]
    assert len(read_family(table, keep=[("model", "a")])) == 1
    with pytest.raises(ConfigError, match="no column 'loss'"):
        read_family(table, loss_column="loss")
    with pytest.raises(ConfigError, match="no column 'family'"):
        read_family(table, keep=[("family", "a")])
    table.write_text("N,D\nseven,2\n")
    with pytest.raises(DataError, match="line 2 of the table: N is no number"):
        read_family(table)
    table.write_text("N,D\n,\n")
    with pytest.raises(DataError, match="no model"):
        read_family(table)
    table.write_text("N,D\n")
    with pytest.raises(DataError, match="no rows"):
        read_family(table)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_family(tmp_path / "none.csv")
