"""Headless Chromium over its DevTools protocol: pages, keys, pictures. Needs the program and the package websockets."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --disable-dev-shm-usage --remote-debugging-port=0"
).split()
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Browser:
    """One process with a profile of its own."""

    def __init__(self, profile: Path) -> None:
        connect = pytest.importorskip("websockets.sync.client", reason="pip install websockets").connect
        program = os.environ.get("UNDERSTUDY_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
        if program is None:
            pytest.skip("no Chromium on this machine (set UNDERSTUDY_CHROMIUM to its path)")
        self._errors = (profile / "stderr").open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._errors, start_new_session=True,
        )  # fmt: skip
        self._open = contextlib.ExitStack()
        try:
            self._socket: Any = self._open.enter_context(
                connect(self._address(), max_size=None, compression=None)
            )
        except BaseException:
            self.close()
            raise
        self._ids = itertools.count(1)
        self.events: list[dict[str, Any]] = []

    def _address(self) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            self._errors.seek(0)
            if found := re.search(r"DevTools listening on (ws://\S+)", self._errors.read()):
                return found[1]
            time.sleep(0.05)
        pytest.skip("Chromium does not start on this machine")

    def call(self, method: str, session: str | None = None, **given: Any) -> dict[str, Any]:
        """One command and its result."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": given}
        self._socket.send(json.dumps({**message, **({"sessionId": session} if session else {})}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])
            if "method" in answer:
                self.events.append(answer)

    def open(self) -> Page:
        """A new page."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        return Page(self, self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])

    def close(self) -> None:
        """End it, and what it started."""
        self._open.close()
        if self._process.poll() is None:
            os.killpg(self._process.pid, 15)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, 9)
                self._process.wait(10)
        self._errors.close()


class Page:
    """One page of it."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def _call(self, method: str, **given: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **given)

    def goto(self, address: str) -> None:
        """Open an address and wait until it is there."""
        self.run("window.isOld = true")
        failed = self._call("Page.navigate", url=address).get("errorText")
        assert not failed, f"{address}: {failed}"
        self.wait("!window.isOld && document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """The value of an expression."""
        found = self._call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, f"{script}: {found['exceptionDetails']}"
        return found["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until an expression is true, across a change of page."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if self.run(condition):
                    return
            except AssertionError:  # between two documents
                pass
            time.sleep(0.02)
        pytest.fail(f"never became true: {condition}\n{self.text()[:2000]}")

    def text(self) -> str:
        """What a person would read."""
        return str(self.run("document.body.innerText"))

    def press(self, key: str) -> None:
        """Press and release a key."""
        text = {} if len(key) > 1 else {"text": key}
        self._call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self._call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def click(self, selector: str) -> None:
        """Click with the mouse in the middle of an element."""
        self.run(
            f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center', behavior: 'instant'}})"
        )
        box = self.run(
            f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def look(self, width: int, theme: str, height: int = 900) -> None:
        """Set width, theme and whether it is a phone."""
        is_phone = width < 500
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height,
            deviceScaleFactor=1, mobile=is_phone,
        )  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self._call("Emulation.setEmulatedMedia", media="screen", features=features)

    def picture(self, path: Path, height: int | None = None) -> None:
        """The page as PNG: all of it, or down to a height."""
        size = self._call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {
            "x": 0,
            "y": 0,
            "width": size["width"],
            "height": min(size["height"], height or 10**6),
            "scale": 1,
        }
        made = self._call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(made["data"]))

    def complaints(self) -> list[str]:
        """What the browser found wrong: violated policies, broken scripts, missing files."""
        entries = [one["entry"] for one in self._events("Log.entryAdded")]
        broken = [str(one) for one in self._events("Runtime.exceptionThrown")]
        return [one["text"] for one in entries if one["level"] == "error"] + broken

    def requested(self) -> set[str]:
        """Every address that was asked for."""
        return {one["request"]["url"] for one in self._events("Network.requestWillBeSent")}

    def _events(self, method: str) -> list[dict[str, Any]]:
        self.run("0")  # what was sent before this answer has come
        of_this = [one for one in self._browser.events if one.get("sessionId") == self._session]
        return [one["params"] for one in of_this if one["method"] == method]
