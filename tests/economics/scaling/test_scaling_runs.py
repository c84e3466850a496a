import numpy as np
import pytest

from understudy.economics.scaling.outliers import drop_outliers
from understudy.economics.scaling.runs import TrainingRuns, read_runs
from understudy.errors import ConfigError, DataError

RUNS = TrainingRuns([1e8, 2e8, 4e8, 8e8], [1e7, 4e9, 8e9, 2e10], [5.0, 3.4, 3.1, 3.1])


def write(tmp_path, text):
    path = tmp_path / "runs.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_and_what_follows_from_them():
    assert len(RUNS) == 4
    assert RUNS.flops[1] == pytest.approx(6 * 2e8 * 4e9)
    assert RUNS.tokens_per_parameter.tolist() == [0.1, 20, 20, 25]
    again = TrainingRuns.from_flops(RUNS.parameters, RUNS.flops, RUNS.loss)
    np.testing.assert_allclose(again.tokens, RUNS.tokens)
    with pytest.raises(ValueError, match="read-only"):
        RUNS.loss[0] = 1


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([1e8], [1e9], [float("nan")]), "loss of the runs must be finite"),
        (([1e8, -1], [1e9, 1e9], [3, 3]), "parameters of the runs"),
        (([1e8], [0], [3]), "tokens of the runs"),
        (([1e8, 1e8], [1e9], [3, 3]), "differ in length"),
        (([[1e8]], [1e9], [3]), "one column"),
        ((["big"], [1e9], [3]), "not numbers"),
    ],
)
def test_bad_columns_are_named(columns, message):
    with pytest.raises(DataError, match=message):
        TrainingRuns(*columns)


def test_the_row_is_named():
    with pytest.raises(DataError, match="row 1") as caught:
        TrainingRuns([1e8, 1e8, 1e8], [1e9, 1e9, 1e9], [3, -1, -1])
    assert "1 more" in str(caught.value)


def test_flops_of_another_length():
    with pytest.raises(DataError, match="differ in length"):
        TrainingRuns.from_flops([1e8, 2e8], [1e18], [3.0, 3.0])


def test_read_csv(tmp_path):
    path = write(tmp_path, "size,data,flop,nats\n1e8,2e9,1.2e18,3.5\n2e8,4e9,4.8e18,3.2\n")
    by_tokens = read_runs(path, parameters="size", tokens="data", loss="nats")
    by_flops = read_runs(path, parameters="size", flops="flop", loss="nats")
    np.testing.assert_allclose(by_tokens.tokens, by_flops.tokens)


def test_csv_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_runs(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="no column 'tokens'"):
        read_runs(write(tmp_path, "parameters,loss\n1,2\n"))
    with pytest.raises(DataError, match="no rows"):
        read_runs(write(tmp_path, "parameters,tokens,loss\n"))
    with pytest.raises(DataError, match="column 'loss'"):
        read_runs(write(tmp_path, "parameters,tokens,loss\n1,2,low\n"))
    with pytest.raises(DataError, match="column 'loss'"):
        read_runs(write(tmp_path, "parameters,tokens,loss\n1,2\n"))
    with pytest.raises(ConfigError, match="tokens or its training FLOP"):
        read_runs(write(tmp_path, "parameters,tokens,loss\n1,2,3\n"), tokens=None)


def test_rules_say_what_they_drop():
    kept, dropped = drop_outliers(RUNS)
    assert kept is RUNS
    assert dropped.rows == ()
    kept, dropped = drop_outliers(RUNS, "highest-loss:1")
    assert (len(kept), dropped.rows) == (3, (0,))
    assert "1-th highest loss" in dropped.to_dict()["meaning"]
    kept, dropped = drop_outliers(RUNS, "tokens-per-parameter:21")
    assert dropped.rows == (0, 1, 2)


def test_ties_with_the_last_dropped_go_too():
    runs = TrainingRuns([1e8] * 3, [1e9] * 3, [4.0, 4.0, 3.0])
    assert drop_outliers(runs, "highest-loss:1")[1].rows == (0, 1)


@pytest.mark.parametrize("rule", ["highest", "highest-loss", "highest-loss:many", "mad:3"])
def test_unknown_rules_list_the_known_ones(rule):
    with pytest.raises(ConfigError, match="highest-loss:NUMBER"):
        drop_outliers(RUNS, rule)


def test_rules_that_leave_nothing():
    for rule in ("highest-loss:4", "highest-loss:9", "tokens-per-parameter:1e9"):
        with pytest.raises(DataError, match="leaves no run"):
            drop_outliers(RUNS, rule)
    for rule in ("highest-loss:1.5", "highest-loss:0"):
        with pytest.raises(ConfigError, match="whole number"):
            drop_outliers(RUNS, rule)
