"""A command called without what it needs says what that is, and shows a line that works."""

import pytest

from understudy.cli.main import main


@pytest.mark.parametrize(
    ("words", "needs", "example"),
    [
        (["plan", "forecast"], "needs --on", "--params 70e9 --on 2023-07-18"),
        (["plan", "report"], "needs SCENARIO", "examples/plan/scenario.toml"),
        (["density", "fit-ruler"], "CSV and --out", "family.csv --loss bpb"),
        (["density", "measure"], "RULER and --params", "measure ruler.json --score"),
        (["density", "trend"], "needs CSV", "models.csv --ruler ruler.json"),
        (["density", "compress-check"], "RULER, --before-params and --after-params", "--after-score 0.40"),
    ],
    ids=" ".join,
)
def test_what_is_missing_is_named_with_an_example(words, needs, example, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    told = capsys.readouterr().err
    assert stopped.value.code == 2
    assert told.startswith(f"understudy: {words[0]} {words[1]} needs ")
    assert needs in told
    assert f"for example: understudy {words[0]} {words[1]} " in told
    assert example in told
    assert "\n\n" not in told


@pytest.mark.parametrize("name", ["serve", "device", "fleet", "train", "breakeven"])
def test_a_bare_plan_says_what_to_give(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["plan", name])
    assert stopped.value.code == 2
    told = capsys.readouterr().err
    assert "  to do: give " in told
    assert "--" in told
