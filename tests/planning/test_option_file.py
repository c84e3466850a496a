from pathlib import Path

import pytest

from understudy.errors import ConfigError, DataError
from understudy.planning.option_file import option_of, read_options

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "plan"


def test_the_shipped_example_reads():
    found = {option.name: option for option in read_options(EXAMPLES / "options.toml")}
    assert len(found) >= 4
    assert not [option.unknown for option in found.values() if option.unknown]


def test_a_listed_price_is_taken_and_overridden():
    tokens = {"read_tokens": 1_000, "written_tokens": 0}
    listed = option_of({"name": "a", "kind": "api", "model": "gpt-4o-mini", **tokens})
    assert listed.usd_per_call > 0
    own = option_of(
        {"name": "a", "kind": "api", "model": "gpt-4o-mini", "usd_per_million_in": 99.0, **tokens}
    )
    assert own.usd_per_call == pytest.approx(0.099)
    assert "overridden" in own.notes["usd_per_call"]
    unknown = option_of({"name": "a", "kind": "api", "model": "no-such-model-at-all", **tokens})
    assert "no list price for model no-such-model-at-all" in unknown.unknown


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"kind": "api"}, "needs a name"),
        ({"name": "a", "kind": "rent"}, "kind is one of api, hosted, own, edge"),
        ({"name": "a", "kind": "own", "usd_per_minute": 1}, "known: build_usd"),
        ({"name": "a", "kind": "own", "build_usd": "ten"}, "build_usd is a number"),
        ({"name": "a", "kind": "edge", "life_years": 3}, "needs calls_per_device_month"),
        ({"name": "a", "kind": "api", "usd_per_call": 1, "usd_per_million_in": 1}, "not both"),
        ({"name": "a", "kind": "api", "usd_per_call": 1, "read_tokens": 1}, "together"),
        ({"name": "a", "kind": "api", "model": 3}, "model is a name"),
    ],
)
def test_a_wrong_table_is_told_with_what_is_allowed(table, words):
    with pytest.raises(ConfigError, match=words):
        option_of(table)


def test_wrong_files_are_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_options(tmp_path / "none.toml")
    path = tmp_path / "x.toml"
    path.write_text("[[")
    with pytest.raises(DataError, match="no TOML"):
        read_options(path)
    path.write_text("[other]\nx = 1\n")
    with pytest.raises(ConfigError, match="nothing else"):
        read_options(path)
