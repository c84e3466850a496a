"""Spans of real calls, as an exporter gets them."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from serving.conftest import Served
from serving.test_openai_client import SURE, UNSURE, Upstream
from serving.test_operating import a_key, ask
from serving.upstream_app import chat_request
from understudy.errors import ConfigError, MissingDependencyError
from understudy.serving.settings import UpstreamSettings
from understudy.serving.tracing import Tracing, provider_name
from understudy.serving.watch import Watch

Serve = Callable[..., Served]
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def watch(exporter: InMemorySpanExporter) -> Watch:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Watch(Tracing(provider, address="127.0.0.1", port=8400))


def finished(served: Served, exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    """Spans so far, the oldest first, and none left out of the exporter."""
    served.rows()
    return sorted(exporter.get_finished_spans(), key=lambda span: span.start_time or 0)


def kinds_of(span: ReadableSpan) -> dict[str, Any]:
    assert span.attributes is not None
    return dict(span.attributes)


def test_a_student_s_call_is_one_span(
    plain_artefact: Path, upstream: Upstream, serve: Serve, spans: InMemorySpanExporter
) -> None:
    served = serve(plain_artefact, upstream_url=upstream[1], watch=watch(spans))
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    reply = httpx.post(f"{served.base_url}/chat/completions", json=chat_request(SURE), headers=headers)
    (span,) = finished(served, spans)
    assert (span.name, span.kind) == ("chat gpt-4o-mini", SpanKind.SERVER)
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == TRACE
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == PARENT
    known = kinds_of(span)
    row = served.rows()[0]
    assert known.pop("understudy.confidence") == pytest.approx(row.confidence)
    assert known == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "understudy/queue",
        "gen_ai.provider.name": "understudy",
        "server.address": "127.0.0.1",
        "server.port": 8400,
        "http.response.status_code": 200,
        "understudy.answered_by": "student",
        "understudy.task": "queue",
        "understudy.artefact_id": reply.headers["x-understudy-artefact"],
        "understudy.call_id": reply.headers["x-understudy-call"],
        "understudy.saving_nanousd": row.teacher_cost_nanousd - row.cost_nanousd,
    }


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_forwarded_call_has_a_child_whose_id_goes_upstream(
    plain_artefact: Path, upstream: Upstream, serve: Serve, spans: InMemorySpanExporter, is_streamed: bool
) -> None:
    scripted, url = upstream
    served = serve(plain_artefact, upstream_url=url, watch=watch(spans))
    scripted.script = [503]
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "a=b"}
    httpx.post(
        f"{served.base_url}/chat/completions", json=chat_request(UNSURE, stream=is_streamed), headers=headers
    )
    own, child = finished(served, spans)
    assert (child.name, child.kind) == ("chat gpt-4o-mini", SpanKind.CLIENT)
    assert child.parent is not None
    assert own.context is not None
    assert child.context is not None
    assert child.parent.span_id == own.context.span_id
    # Both tries are in one span, and carry it.
    sent = [seen[1]["traceparent"] for seen in scripted.seen]
    assert sent == [f"00-{TRACE}-{child.context.span_id:016x}-01"] * 2
    assert scripted.seen[0][1]["tracestate"] == "a=b"
    for span in (own, child):
        known = kinds_of(span)
        assert (known["gen_ai.usage.input_tokens"], known["gen_ai.usage.output_tokens"]) == (40, 3)
        assert known["gen_ai.provider.name"] == "127.0.0.1"
        assert "error.type" not in known
    assert kinds_of(own)["understudy.answered_by"] == "upstream"
    assert "understudy.saving_nanousd" not in kinds_of(own)
    if not is_streamed:
        assert kinds_of(own)["gen_ai.response.model"] == "gpt-4o-mini"


def test_a_named_task_asks_its_teacher_s_model(
    plain_artefact: Path, upstream: Upstream, serve: Serve, spans: InMemorySpanExporter
) -> None:
    served = serve(plain_artefact, upstream_url=upstream[1], watch=watch(spans))
    body = {"model": "understudy/queue", "messages": [{"role": "user", "content": UNSURE}]}
    httpx.post(f"{served.base_url}/chat/completions", json=body)
    own, child = finished(served, spans)
    assert (own.name, child.name) == ("chat understudy/queue", "chat gpt-4o-mini")


def test_what_fails_is_marked(
    plain_artefact: Path, upstream: Upstream, serve: Serve, spans: InMemorySpanExporter
) -> None:
    scripted, url = upstream
    served = serve(
        plain_artefact,
        upstream=UpstreamSettings(url, retries=0, read_s=0.3),
        watch=watch(spans),
        keys=(a_key("a"),),
    )
    scripted.script = ["hang", 400, "break"]
    assert ask(served, UNSURE, "wrong").status_code == 401
    assert ask(served, UNSURE, "secret-a").status_code == 504
    assert ask(served, UNSURE, "secret-a").status_code == 400
    ask(served, UNSURE, "secret-a", stream=True)
    found = [
        (span.kind.name, kinds_of(span)["error.type"], span.status.status_code)
        for span in finished(served, spans)
    ]
    assert found == [
        ("SERVER", "invalid_api_key", StatusCode.UNSET),
        ("SERVER", "upstream_timeout", StatusCode.ERROR),
        ("CLIENT", "upstream_timeout", StatusCode.ERROR),
        ("SERVER", "upstream_400", StatusCode.UNSET),
        ("CLIENT", "upstream_400", StatusCode.ERROR),
        ("SERVER", "upstream_broken", StatusCode.ERROR),
        ("CLIENT", "upstream_broken", StatusCode.ERROR),
    ]


def test_a_call_without_a_row_still_ends_its_span(
    plain_artefact: Path, serve: Serve, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    from understudy.ledger.errors import LedgerError

    served = serve(plain_artefact, watch=watch(spans))

    def full(_lines: object) -> None:
        raise LedgerError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(served.server.spool, "write", full)
        assert ask(served, SURE).status_code == 503
        patch.setattr(served.server.answerer, "answer", None)
        assert ask(served, SURE).status_code == 500
    found = [kinds_of(span)["error.type"] for span in finished(served, spans)]
    assert found == ["ledger_unavailable", "internal_error"]


def test_spans_hold_nothing_that_a_caller_wrote_but_the_model_s_name(
    plain_artefact: Path, upstream: Upstream, serve: Serve, spans: InMemorySpanExporter
) -> None:
    served = serve(plain_artefact, upstream_url=upstream[1], watch=watch(spans))
    for text in (f"{SURE} zanzibar", f"{UNSURE} zanzibar"):
        httpx.post(
            f"{served.base_url}/chat/completions",
            json=chat_request(text, user="zanzibar"),
            headers={"x-own": "zanzibar", "authorization": "Bearer zanzibar"},
        )
    httpx.post(f"{served.base_url}/zanzibar?zanzibar=1", content=b"zanzibar")
    # A lone surrogate in a name cannot be encoded, and is replaced.
    httpx.post(f"{served.base_url}/chat/completions", content=b'{"model": "\\ud800", "messages": []}')
    found = finished(served, spans)
    assert len(found) == 7
    assert not [span for span in found if "zanzibar" in span.to_json()]
    assert found[-1].name == "chat ?"
    assert found[-3].name == "request"


def test_without_telemetry_the_caller_s_parent_goes_upstream_as_it_came(
    plain_artefact: Path, upstream: Upstream, serve: Serve
) -> None:
    scripted, url = upstream
    served = serve(plain_artefact, upstream_url=url)
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    httpx.post(f"{served.base_url}/chat/completions", json=chat_request(UNSURE), headers=headers)
    assert scripted.seen[-1][1]["traceparent"] == headers["traceparent"]


def test_the_environment_configures_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    tracing = Tracing.from_environment(address="127.0.0.1", port=1)
    assert tracing._provider.resource.attributes["service.name"] == "shop"
    tracing.close()
    monkeypatch.delenv("OTEL_SERVICE_NAME")
    tracing = Tracing.from_environment(address="127.0.0.1", port=1)
    assert tracing._provider.resource.attributes["service.name"] == "understudy"
    tracing.close()
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(ConfigError, match="grpc"):
        Tracing.from_environment(address="127.0.0.1", port=1)


def test_spans_reach_a_collector(monkeypatch: pytest.MonkeyPatch, upstream: Upstream) -> None:
    """The exporter of the extra, against an endpoint that keeps what it gets."""
    scripted, url = upstream
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{url}/traces")
    tracing = Tracing.from_environment(address="127.0.0.1", port=1)
    tracing.begin("embeddings", {}, "small", 1).fail("server_busy", 429)
    tracing.close()
    assert scripted.seen[0][0] == "traces"
    assert b"embeddings small" in scripted.seen[0][2]


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match=r"understudy\[telemetry\]"):
        Tracing.from_environment(address="127.0.0.1", port=1)


def test_providers_have_the_convention_s_names() -> None:
    names = {host: provider_name(host) for host in ("api.openai.com", "me.openai.azure.com", "llm.local")}
    assert list(names.values()) == ["openai", "azure.ai.openai", "llm.local"]
