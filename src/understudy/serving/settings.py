"""What an operator may set: frozen dataclasses read from ``serve.toml``; unknown keys are errors.

Keys of upstreams come from the environment or a file, never from the file of settings, so that it can be shared.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from understudy.economics.prices import TeacherPrice, parse_teacher_price
from understudy.errors import ConfigError

__all__ = [
    "KeySettings",
    "LedgerSettings",
    "Mode",
    "ServeSettings",
    "TaskSettings",
    "UpstreamSettings",
    "read_settings",
]

Mode = Literal["serve", "shadow", "record"]
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """A large model's endpoint.

    Attributes
    ----------
    url
        With the version's path: ``https://api.openai.com/v1``.
    key_env, key_file
        Where its key comes from; without either, none is sent.
    is_key_passed
        Whether the caller's own ``Authorization`` header is passed on instead.
    connect_s, read_s
        Time limits: to connect; between two bytes of the answer.
    retries
        Tries after the first, for failures that cannot have been answered (429, 502, 503, 504, no connection).
    price
        ``0.002`` dollars a call or ``0.15/0.60`` per million tokens; without, the model's list price.
    """

    url: str
    key_env: str | None = None
    key_file: Path | None = None
    is_key_passed: bool = False
    connect_s: float = 5.0
    read_s: float = 120.0
    retries: int = 2
    price: str | None = None

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ConfigError(
                "an upstream's address must begin with http:// or https://",
                given=self.url,
                todo="for example https://api.openai.com/v1",
            )
        if self.retries < 0 or self.connect_s <= 0 or self.read_s <= 0:
            raise ConfigError("an upstream's limits must be positive", given=self.url)
        self.teacher_price()

    def teacher_price(self) -> TeacherPrice | None:
        """The price that was given, or ``None``."""
        return None if self.price is None else parse_teacher_price(self.price)

    def key(self) -> str | None:
        """The key, read anew each time so that a rotated one is found.

        Raises
        ------
        ConfigError
            If it should be there and is not.
        """
        if self.key_file is not None:
            try:
                return self.key_file.read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ConfigError(
                    "the file with the upstream's key cannot be read", given=str(error)
                ) from error
        if self.key_env is None:
            return os.environ.get("OPENAI_API_KEY") if "api.openai.com" in self.url else None
        if not os.environ.get(self.key_env):
            raise ConfigError(f"the upstream's key is not in the environment: {self.key_env} is not set")
        return os.environ[self.key_env]


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """Where calls are written down.

    Attributes
    ----------
    url
        A SQLite file or a PostgreSQL URL.
    spool
        Folder of the write-ahead spool; ``None``: beside a SQLite file, else ``understudy-spool``.
    is_fsynced
        Whether an answer waits until the disk has its record (else until the operating system has it).
    keeps_texts, is_masked
        Whether requests and answers are stored, and whether e-mail addresses, numbers and keys in them are masked.
    keep_days
        Age at which stored texts are removed.
    """

    url: str = "understudy-ledger.db"
    spool: Path | None = None
    is_fsynced: bool = True
    keeps_texts: bool = False
    is_masked: bool = True
    keep_days: float = 30.0

    @property
    def is_remote(self) -> bool:
        """Whether the database is a server of its own."""
        return "://" in self.url.removeprefix("sqlite:///")

    def spool_folder(self) -> Path:
        """Where the spool lies."""
        if self.spool is not None:
            return self.spool
        path = self.url.removeprefix("sqlite:///")
        return Path("understudy-spool") if self.is_remote else Path(f"{path}-spool")


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """An artefact to serve.

    Attributes
    ----------
    artefact
        Its folder.
    name
        What clients call it (``understudy/NAME``); ``None``: the task's own name.
    teacher_model
        Model that deferred calls by that name go to; ``None``: the one that the log named.
    has_logprobs
        Whether the student answers requests for log-probabilities with its own; otherwise they go upstream.
    """

    artefact: Path
    name: str | None = None
    teacher_model: str | None = None
    has_logprobs: bool = False


@dataclass(frozen=True, slots=True)
class KeySettings:
    """A caller's key.

    Attributes
    ----------
    name
        For the ledger.
    sha256
        Of the key, in hexadecimal; the key itself is stored nowhere.
    tasks
        Tasks that it may use; empty for all, and then for passing through too.
    usd_per_day
        What it may spend upstream from midnight UTC on; ``None`` for no limit.
    is_admin
        Whether it may reload and roll back.
    """

    name: str
    sha256: str
    tasks: tuple[str, ...] = ()
    usd_per_day: float | None = None
    is_admin: bool = False

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256):
            raise ConfigError(
                f"sha256 of key {self.name!r} is not 64 hexadecimal digits",
                todo="print one: python -c 'import hashlib,sys; print(hashlib.sha256(sys.argv[1].encode()).hexdigest())' KEY",
            )


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """All of it.

    Attributes
    ----------
    tasks
        What is served.
    upstream, fallback
        Who answers the rest; who does when the first cannot.
    ledger
        Where calls are written down.
    keys
        Callers' keys; empty: everybody who reaches the port, which must be a loopback address then.
    host, port
        Address to listen at.
    mode
        ``serve``; ``shadow``: upstream answers everything, students only say what they would have said; ``record``:
        upstream answers, nothing else.
    when_alone
        What to do with an unsure call that nobody else can answer: ``fail``, or ``answer`` and mark the reply.
    audit_share
        Share of the answers of students, in [0, 1], that upstream is asked about too, afterwards; costs what asking
        costs.
    has_headers
        Whether replies carry ``x-understudy-...`` headers.
    has_dashboard
        Whether there are pages at ``/dashboard``.
    body_bytes, body_s, most_at_once
        Limits: of a request's size, of the time to send it, of requests in work.
    """

    tasks: tuple[TaskSettings, ...] = ()
    upstream: UpstreamSettings | None = None
    fallback: UpstreamSettings | None = None
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    keys: tuple[KeySettings, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8400
    mode: Mode = "serve"
    when_alone: Literal["fail", "answer"] = "fail"
    audit_share: float = 0.0
    has_headers: bool = True
    has_dashboard: bool = True
    body_bytes: int = 8_000_000
    body_s: float = 30.0
    most_at_once: int = 512

    def __post_init__(self) -> None:
        if self.mode not in ("serve", "shadow", "record"):
            raise ConfigError("an unknown mode", given=self.mode, todo="one of serve, shadow, record")
        if self.when_alone not in ("fail", "answer"):
            raise ConfigError("when_alone is unknown", given=self.when_alone, todo="fail or answer")
        if isinstance(self.audit_share, bool) or not 0 <= self.audit_share <= 1:
            raise ConfigError("audit_share must be from 0 to 1", given=repr(self.audit_share))
        if self.audit_share and self.upstream is None:
            raise ConfigError("audits need an upstream to ask", todo="--upstream URL, or audit_share = 0")
        if not 0 < self.port < 65_536:
            raise ConfigError("a port lies between 1 and 65,535", given=str(self.port))
        if not self.tasks and self.upstream is None:
            raise ConfigError(
                "there is nothing to serve", todo="give an artefact, an upstream (--upstream URL), or both"
            )
        if self.mode != "serve" and self.upstream is None:
            raise ConfigError(f"mode {self.mode} needs an upstream", todo="--upstream URL")
        if self.host not in _LOOPBACK and not self.keys:
            raise ConfigError(
                "an address that others can reach needs keys",
                given=self.host,
                todo="add [[key]] to serve.toml (see docs/serving.md), or listen on 127.0.0.1",
            )


def read_settings(path: Path) -> ServeSettings:
    """Read ``serve.toml``.

    Raises
    ------
    ConfigError
        If it cannot be read, or a key is unknown or of a wrong type.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError("the settings cannot be read", given=f"{path}: {error}") from error
    server = dict(given.pop("server", {}))
    parts: dict[str, Any] = {
        "tasks": tuple(_section(TaskSettings, one, "task") for one in given.pop("task", ())),
        "keys": tuple(_section(KeySettings, one, "key") for one in given.pop("key", ())),
    }
    for name, kind in (
        ("upstream", UpstreamSettings),
        ("fallback", UpstreamSettings),
        ("ledger", LedgerSettings),
    ):
        if name in given:
            parts[name] = _section(kind, given.pop(name), name)
    if given:
        raise ConfigError(
            f"unknown sections in {path.name}: {', '.join(sorted(given))}",
            todo="known: server, upstream, fallback, ledger, task, key",
        )
    made: ServeSettings = _section(ServeSettings, {**server, **parts}, "server")
    return made


def _section(kind: type[Any], given: Mapping[str, Any], name: str) -> Any:
    known = {one.name: str(one.type) for one in fields(kind)}
    if unknown := sorted(set(given) - set(known)):
        raise ConfigError(
            f"unknown keys in [{name}]: {', '.join(unknown)}", todo=f"known: {', '.join(sorted(known))}"
        )
    values = {
        key: Path(value) if "Path" in known[key] else tuple(value) if isinstance(value, list) else value
        for key, value in given.items()
    }
    try:
        return kind(**values)
    except TypeError as error:
        raise ConfigError(f"[{name}] is incomplete or has a wrong type", given=str(error)) from error
