"""The count of spending that processes share."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from serving.test_operating import a_key
from understudy.ledger.errors import LedgerError
from understudy.serving.budget import Budgets
from understudy.serving.problems import RequestProblem
from understudy.serving.spending import SharedSpending

DAY_S = 86_400


def add_often(folder: Path, count: int) -> None:
    spending = SharedSpending(folder, "k")
    for _ in range(count):
        spending.add(3, 7)


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=add_often, args=(tmp_path, 3_000)) for _ in range(2)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
        assert one.exitcode == 0
    spending = SharedSpending(tmp_path, "k")
    assert spending.of(3) == 2 * 3_000 * 7
    spending.close()


def test_days_and_names_are_apart(tmp_path: Path) -> None:
    one, other = SharedSpending(tmp_path, "a/../b\n"), SharedSpending(tmp_path, "\ud800")
    one.add(3, 5)
    assert (one.of(3), one.of(4), other.of(3)) == (5, 0, 0)
    one.add(4, 2)
    assert (one.of(3), one.of(4)) == (0, 2)
    one.add(3, 100)  # a process that has not seen midnight yet
    assert one.of(4) == 2
    one.raise_to(4, 9)
    one.raise_to(4, 1)
    assert one.of(4) == 9
    for spending in (one, other):
        spending.close()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="spending"):
        SharedSpending(tmp_path / "file" / "spool", "k")


def test_budgets_of_two_processes_and_of_another_machine(tmp_path: Path) -> None:
    now, ledger = [10.5 * DAY_S], {"k": 100}

    def known(name: str, since_ms: int) -> int:
        assert since_ms == int(now[0] // DAY_S) * DAY_S * 1000
        return ledger[name]

    key = a_key("k", usd_per_day=1_000 / 1e9)
    one = Budgets([key], known, tmp_path, lambda: now[0])
    other = Budgets([key], known, tmp_path, lambda: now[0])
    with pytest.raises(RequestProblem) as caught:  # the ledger has not been asked yet
        one.check(key)
    assert caught.value.status == 503
    for budgets in (one, other):
        budgets.take_up(*budgets.known())
    one.check(key)
    one.spend("k", 500)
    one.spend("k", None)
    one.spend(None, 10_000)
    other.check(key)
    other.spend("k", 500)
    for budgets in (one, other):
        with pytest.raises(RequestProblem) as caught:
            budgets.check(key)
        assert caught.value.retry_after_s == DAY_S / 2
    now[0], ledger["k"] = 11.0 * DAY_S, 0
    one.check(key)
    other.check(key)
    # Another machine spends, and the ledger comes to know.
    ledger["k"] = 1_000
    one.check(key)
    one.take_up(*one.known())
    for budgets in (one, other):
        with pytest.raises(RequestProblem):
            budgets.check(key)
        budgets.close()


def test_keys_without_a_limit_are_not_counted(tmp_path: Path) -> None:
    budgets = Budgets([a_key("free")], lambda name, since_ms: 1 // 0, tmp_path / "spool")
    budgets.check(a_key("free"))
    budgets.check(None)
    budgets.spend("free", 1)
    assert not budgets
    assert not (tmp_path / "spool").exists()
