"""A person's way through the dashboard, in a real browser; and the pictures of the documentation.

The pictures are written where UNDERSTUDY_SCREENSHOTS names a folder (docs/images).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.conftest import Served
from serving.dashboard.chromium import Browser, Page
from serving.dashboard.seeded import month
from serving.dashboard.test_dashboard_access import BOSS
from understudy.ledger.gold import gold_counts, last_gold
from understudy.ledger.queries import totals
from understudy.serving.settings import LedgerSettings

Serve = Callable[..., Served]
PICTURES = os.environ.get("UNDERSTUDY_SCREENSHOTS")


def figure(page: Page, name: str) -> str:
    """The value of a tile."""
    return str(
        page.run(
            f"[...document.querySelectorAll('.tile')].find(one => one.innerText.startsWith('{name}'))"
            ".querySelector('.tile-value').innerText"
        )
    )


def at(page: Page) -> str:
    """The call that is shown in the review."""
    return str(page.run("document.querySelector('.item')?.dataset.call"))


def judge_by_key(page: Page, key: str) -> None:
    """Press a key, and wait for the next call."""
    before = at(page)
    page.press(key)
    page.wait(
        f"document.querySelector('.item') && document.querySelector('.item').dataset.call !== '{before}'"
    )


def fits(page: Page, width: int) -> bool:
    """Whether nothing is wider than the window; a phone would zoom out, and say that all is well."""
    return bool(page.run(f"Math.max(document.documentElement.scrollWidth, innerWidth) <= {width}"))


def test_a_morning_with_the_dashboard(browser: Browser, shop: Served) -> None:
    page, base, ledger = browser.open(), shop.running.url, shop.server.ledger
    page.look(1280, "light")
    page.goto(f"{base}/dashboard")
    everything = totals(ledger)
    assert page.run("document.querySelector('.segments [aria-current]').innerText") == "30 d"
    assert figure(page, "Calls") == f"{everything.n_calls:,}"
    assert page.run("document.querySelectorAll('.chart').length") == 2
    assert page.run("document.querySelectorAll('.chart .wide .bars-at').length") == 60
    assert page.run("document.querySelectorAll('table.latest tbody tr').length") == 25
    assert (
        page.run("getComputedStyle(document.querySelector('.tile')).backgroundColor") == "rgb(255, 255, 255)"
    )

    page.click(".segments a:nth-child(2)")
    page.wait("location.search.includes('period=7d') && document.readyState === 'complete'")
    assert 0 < int(figure(page, "Calls").replace(",", "")) < everything.n_calls

    page.run("document.querySelector('.task-form select').value = 'support'")
    page.click(".task-form button")
    page.wait("location.search.includes('task=support') && document.readyState === 'complete'")
    assert "period=7d" in page.run("location.search")
    assert page.run("document.querySelector('h1').innerText") == "support"

    page.click(".bar nav a:nth-child(2)")
    page.wait("location.pathname === '/dashboard/review' && document.readyState === 'complete'")
    assert page.run("document.querySelectorAll('.answers .differs').length") >= 1
    judge_by_key(page, "1")
    judge_by_key(page, "2")
    judge_by_key(page, "s")
    assert gold_counts(ledger) == {"student": 1, "teacher": 1, "other": 0, "skip": 1}

    # Neither: the form opens, and its fields take letters that are keys elsewhere.
    before = at(page)
    page.press("3")
    page.wait("document.activeElement.matches('#other select')")
    page.run("document.querySelector('#other textarea').focus()")
    page.press("s")
    assert page.run("document.querySelector('#other textarea').value").startswith("s")
    page.run("document.querySelector('#other select').selectedIndex = 7")
    page.click("#other .main")
    page.wait(
        f"document.querySelector('.item') && document.querySelector('.item').dataset.call !== '{before}'"
    )
    label = last_gold(ledger, "local")
    assert label is not None
    assert (label.call_id, label.chosen) == (before, "other")
    assert '"queue": "complaint"' in (label.value or "")

    page.press("u")
    page.wait(f"document.querySelector('.item')?.dataset.call === '{before}'")
    assert gold_counts(ledger)["other"] == 0
    page.click("[data-key='2']")
    page.wait(
        f"document.querySelector('.item') && document.querySelector('.item').dataset.call !== '{before}'"
    )
    assert gold_counts(ledger)["teacher"] == 2
    assert "3 done" not in page.text()
    assert "4 done" in page.text()
    assert browser_is_content(page, base)


def test_it_fits_a_phone_and_keeps_dark(browser: Browser, shop: Served) -> None:
    page, base = browser.open(), shop.running.url
    for width, theme in ((390, "light"), (320, "dark"), (1280, "dark")):
        page.look(width, theme)
        for path in ("/dashboard", "/dashboard?period=90d", "/dashboard/review"):
            page.goto(f"{base}{path}")
            assert fits(page, width), (width, path)
            red = int(page.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]"))
            assert (red < 40) is (theme == "dark")
    assert browser_is_content(page, base)


def test_an_operator_logs_in_by_the_form(browser: Browser, serve: Serve, shop_artefact: Path) -> None:
    served = serve(shop_artefact, keys=(BOSS,))
    page = browser.open()
    page.goto(f"{served.running.url}/dashboard")
    assert page.run("location.pathname") == "/dashboard/login"
    page.run("document.querySelector('[name=key]').value = 'secret-boss'")
    page.click(".login button")
    page.wait("location.pathname === '/dashboard' && document.readyState === 'complete'")
    assert "No calls yet" in page.text()
    assert page.run("document.cookie") == ""
    page.click(".leave button")
    page.wait("location.pathname === '/dashboard/login'")
    page.goto(f"{served.running.url}/dashboard")
    assert page.run("location.pathname") == "/dashboard/login"


def browser_is_content(page: Page, base: str) -> bool:
    """Whether no policy was violated, no script broke, and nothing was asked of another host."""
    assert page.complaints() == []
    assert all(one.startswith((base, "data:")) for one in page.requested())
    return True


@pytest.mark.skipif(
    PICTURES is None, reason="writes the documentation's pictures; set UNDERSTUDY_SCREENSHOTS"
)
def test_pictures(
    browser: Browser, serve: Serve, shop_artefact: Path, shop_lines: list[dict[str, Any]], tmp_path: Path
) -> None:
    folder = Path(str(PICTURES))
    ledger = LedgerSettings(str(tmp_path / "month.db"), keeps_texts=True)
    served = serve(shop_artefact, ledger=ledger)
    task = served.server.registry.current.tasks["support"]
    served.server.ledger.insert(month(task, shop_lines[700:], time.time_ns() // 1_000_000, per_day=900))
    page, base = browser.open(), served.running.url
    for theme in ("light", "dark"):
        page.look(1280, theme)
        page.goto(f"{base}/dashboard")
        page.picture(folder / f"dashboard-{theme}.png", 1330)
        page.look(390, theme)
        page.goto(f"{base}/dashboard")
        page.picture(folder / f"dashboard-phone-{theme}.png", 1560)
    page.look(1280, "light")
    page.goto(f"{base}/dashboard/review")
    for key in "2122s212":
        judge_by_key(page, key)
    for theme in ("light", "dark"):
        page.look(1280, theme)
        page.goto(f"{base}/dashboard/review")
        page.press("3")
        page.wait("document.activeElement.matches('#other select')")
        page.run("document.activeElement.blur()")
        page.picture(folder / f"review-{theme}.png")
    page.look(390, "light")
    page.goto(f"{base}/dashboard/review")
    page.picture(folder / "review-phone-light.png")
