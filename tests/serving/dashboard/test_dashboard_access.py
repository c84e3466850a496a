"""Who gets in, and what keeps other sites out."""

from __future__ import annotations

import hashlib
import re
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.conftest import Served
from understudy.ledger.spool import Spool
from understudy.serving.dashboard.session import COOKIE, SESSION_S, LoginLimit, Sessions, shared_secret
from understudy.serving.problems import RequestProblem
from understudy.serving.settings import KeySettings, UpstreamSettings

Serve = Callable[..., Served]
UPSTREAM = UpstreamSettings("http://127.0.0.1:9/v1")


def a_key(name: str, **more: Any) -> KeySettings:
    return KeySettings(name, hashlib.sha256(f"secret-{name}".encode()).hexdigest(), **more)


BOSS = a_key("boss", is_admin=True)


@pytest.fixture
def guarded(serve: Serve) -> Served:
    """A server with an operator's key and another."""
    return serve(upstream=UPSTREAM, keys=(BOSS, a_key("shop")))


@pytest.fixture
def open_server(serve: Serve) -> Served:
    """A server without keys."""
    return serve(upstream=UPSTREAM)


def a_client(served: Served) -> httpx.Client:
    return httpx.Client(base_url=served.running.url, timeout=20)


def token_of(page: httpx.Response) -> str:
    return re.findall(r'name="form_token" value="(\w+)"', page.text)[0]


def log_in(client: httpx.Client, key: str) -> httpx.Response:
    token = token_of(client.get("/dashboard/login"))
    return client.post("/dashboard/login", data={"key": key, "form_token": token})


def test_without_a_session_there_is_only_the_login(guarded: Served) -> None:
    with a_client(guarded) as client:
        for path in ("/dashboard", "/dashboard/review"):
            reply = client.get(path)
            assert (reply.status_code, reply.headers["location"]) == (303, "/dashboard/login")
        for path in ("/dashboard/review", "/dashboard/review/undo", "/dashboard/logout"):
            assert client.post(path, data={"choice": "skip"}).status_code == 401
        assert client.get("/dashboard/login").status_code == 200
        assert client.get("/dashboard/assets/dashboard.css").status_code == 200
        assert client.get("/dashboard/assets/other.css").status_code == 404


def test_an_operator_logs_in_and_out(guarded: Served) -> None:
    with a_client(guarded) as client:
        reply = log_in(client, "secret-boss")
        assert reply.headers["location"] == "/dashboard"
        cookie = reply.headers["set-cookie"]
        for word in ("HttpOnly", "SameSite=strict", "Path=/dashboard", f"Max-Age={SESSION_S}"):
            assert word in cookie
        assert "secret-boss" not in cookie
        page = client.get("/dashboard")
        assert page.status_code == 200
        assert ">boss<" in page.text
        assert client.get("/dashboard/login").headers["location"] == "/dashboard"
        assert client.post("/dashboard/logout", data={"form_token": token_of(page)}).status_code == 303
        assert COOKIE not in client.cookies
        assert client.get("/dashboard").status_code == 303


def test_over_https_the_cookie_stays_on_https(guarded: Served) -> None:
    headers = {"x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.1"}
    with a_client(guarded) as client:
        token = token_of(client.get("/dashboard/login"))
        data = {"key": "secret-boss", "form_token": token}
        assert "Secure" in client.post("/dashboard/login", data=data, headers=headers).headers["set-cookie"]
        assert "Secure" not in client.post("/dashboard/login", data=data).headers["set-cookie"]


def test_other_keys_are_told_why(guarded: Served) -> None:
    with a_client(guarded) as client:
        reply = log_in(client, "secret-shop")
        assert reply.status_code == 403
        assert "operator" in reply.text
        reply = log_in(client, "wrong-key")
        assert reply.status_code == 401
        assert "wrong-key" not in reply.text
        assert COOKIE not in client.cookies


def test_too_many_attempts_are_stopped(guarded: Served) -> None:
    with a_client(guarded) as client:
        assert {log_in(client, f"wrong-{at}").status_code for at in range(10)} == {401}
        assert log_in(client, "secret-boss").status_code == 429
    now = [0.0]
    limit = LoginLimit(2, 60.0, clock=lambda: now[0])
    for _ in range(2):
        limit.check("a")
        limit.failed("a")
    with pytest.raises(RequestProblem):
        limit.check("a")
    limit.check("b")
    now[0] = 61.0
    limit.check("a")


@pytest.mark.parametrize("change", ["", "x", "boss", "2026.1.2"])
def test_made_up_sessions_are_none(guarded: Served, change: str) -> None:
    with a_client(guarded) as client:
        log_in(client, "secret-boss")
        cookie = client.cookies[COOKIE] + change if change != "boss" else "Ym9zcw==.9999999999." + "0" * 64
        is_same = not change
        client.cookies.clear()
        reply = client.get("/dashboard", headers={"cookie": f"{COOKIE}={cookie}"})
        assert (reply.status_code == 200) is is_same


def test_sessions_end_with_time_key_or_secret() -> None:
    now = [1000.0]
    sessions = Sessions([BOSS], b"secret", clock=lambda: now[0])
    cookie = sessions.open(BOSS)
    assert sessions.key_of(cookie) is BOSS
    assert Sessions([BOSS], b"secret", clock=lambda: now[0]).key_of(cookie) is BOSS  # another worker
    renewed = KeySettings("boss", "1" * 64, is_admin=True)
    demoted = KeySettings("boss", BOSS.sha256)
    for keys, secret in (([renewed], b"secret"), ([demoted], b"secret"), ([], b"secret"), ([BOSS], b"other")):
        assert Sessions(keys, secret, clock=lambda: now[0]).key_of(cookie) is None
    now[0] += SESSION_S
    assert sessions.key_of(cookie) is None


def test_all_workers_of_a_folder_share_one_secret(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(shared_secret(spool.folder))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(found[0]) == 32
    path = spool.folder / "dashboard.secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in spool.folder.iterdir() if "secret" in one.name] == ["dashboard.secret"]
    spool.close()


def test_forms_of_other_sites_are_refused(open_server: Served, guarded: Served) -> None:
    for served in (open_server, guarded):
        with a_client(served) as client:
            if served is guarded:
                log_in(client, "secret-boss")
            own = served.running.url
            good = {"form_token": token_of(client.get("/dashboard/review"))} if served is guarded else {}
            if not good:
                sessions = Sessions((), shared_secret(served.server.spool.folder))
                good = {"form_token": sessions.form_token(None)}
            address = "/dashboard/review/undo"
            assert client.post(address, data=good).status_code == 303
            assert (
                client.post(
                    address, data=good, headers={"origin": own, "sec-fetch-site": "same-origin"}
                ).status_code
                == 303
            )
            assert client.post(address, data={"task": ""}).status_code == 403
            assert client.post(address, data={"form_token": "0" * 64}).status_code == 403
            for headers in (
                {"origin": "https://evil.example"},
                {"origin": "null"},
                {"origin": "http://127.0.0.1:1"},
                {"sec-fetch-site": "cross-site"},
                {"sec-fetch-site": "same-site"},
                {"sec-fetch-site": "none"},
            ):
                assert client.post(address, data=good, headers=headers).status_code == 403, headers
            assert client.post(address, json=good).status_code == 400
            big = {**good, "more": "x" * 300_000}
            assert client.post(address, data=big).status_code == 413


def test_a_form_of_one_session_is_not_one_of_another(guarded: Served) -> None:
    with a_client(guarded) as client:
        early = token_of(client.get("/dashboard/login"))
        log_in(client, "secret-boss")
        assert client.post("/dashboard/logout", data={"form_token": early}).status_code == 403


def test_every_page_keeps_to_itself(guarded: Served) -> None:
    with a_client(guarded) as client:
        paths = ["/dashboard/login", "/dashboard/assets/review.js", "/dashboard/assets/none"]
        replies = [client.get(path) for path in paths]
        log_in(client, "secret-boss")
        replies += [client.get(path) for path in ("/dashboard", "/dashboard/review", "/dashboard?period=5y")]
    for reply in replies:
        policy = reply.headers["content-security-policy"]
        for word in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
            assert word in policy
        assert "unsafe" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "same-origin"
    for reply in replies:
        if "html" in reply.headers["content-type"]:
            assert reply.headers["cache-control"] == "no-store"
            assert not re.search(
                r'<style|<script>| style=| on\w+=|(src|href|action)="(https?:)?//', reply.text
            )


def test_without_keys_other_sites_and_names_are_kept_away(open_server: Served) -> None:
    with a_client(open_server) as client:
        assert client.get("/dashboard").status_code == 200
        assert client.get("/dashboard/login").headers["location"] == "/dashboard"
        assert client.get("/dashboard", headers={"host": "evil.example"}).status_code == 403
        assert client.get("/dashboard", headers={"origin": "https://evil.example"}).status_code == 403


def test_it_can_be_switched_off(serve: Serve, tmp_path: Path) -> None:
    from understudy.serving.worker import settings_of

    served = serve(upstream=UPSTREAM, has_dashboard=False)
    assert httpx.get(f"{served.running.url}/dashboard").status_code == 404
    assert not (served.server.spool.folder / "dashboard.secret").exists()
    options = {"upstream": "http://127.0.0.1:9/v1"}
    assert settings_of(options).has_dashboard
    assert not settings_of({**options, "has_no_dashboard": True}).has_dashboard
