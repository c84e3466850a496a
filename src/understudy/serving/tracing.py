"""OpenTelemetry spans of calls, named by the ``gen_ai`` semantic conventions; only with the extra ``telemetry``.

One SERVER span per call and, below it, one CLIENT span for the request upstream, which covers all its tries. Spans
hold names, numbers and the operator's addresses; never a text, a key or a header of a caller. Names of attributes
are those of the semantic conventions 1.37 and later (``gen_ai.provider.name``, no longer ``gen_ai.system``), which
are still marked as in development there; they are written out here because the package that lists them is not
stable.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from understudy._version import __version__
from understudy.calls.call import Usage
from understudy.errors import ConfigError, MissingDependencyError
from understudy.ledger.record import CallRecord

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

    from understudy.serving.in_work import CallInWork

__all__ = ["CallSpan", "Tracing", "provider_name"]

_OPERATIONS = {
    "chat/completions": "chat",
    "responses": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
}
_PROVIDERS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
}
_OWN_PROVIDER = "understudy"
_PARENT_HEADERS = ("traceparent", "tracestate")
_LONGEST_NAME = 200


def provider_name(host: str) -> str:
    """``gen_ai.provider.name`` of an upstream: the convention's word for hosts that it knows, else the host itself."""
    return "azure.ai.openai" if host.endswith(".openai.azure.com") else _PROVIDERS.get(host, host)


class Tracing:
    """Makes the spans of one process.

    Parameters
    ----------
    provider
        Where spans go; closed with this.
    address, port
        Where this server listens.
    """

    def __init__(self, provider: TracerProvider, *, address: str, port: int) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self.tracer = provider.get_tracer("understudy.serving", __version__)
        self.propagator = TraceContextTextMapPropagator()
        self._own = {"server.address": address, "server.port": port}

    @classmethod
    def from_environment(cls, *, address: str, port: int) -> Tracing:
        """As the standard ``OTEL_*`` variables say; by default OTLP over HTTP to ``http://localhost:4318``.

        Raises
        ------
        MissingDependencyError
            Without the extra ``telemetry``.
        ConfigError
            If they name an exporter or a protocol that is not had here.
        """
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise MissingDependencyError.of("opentelemetry-sdk", "telemetry") from error
        is_named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        )
        # The sampler (OTEL_TRACES_SAMPLER) and the limits are read by the provider, the batches by the processor.
        provider = TracerProvider(
            resource=Resource.create({} if is_named else {"service.name": "understudy"})
        )
        exporter = _exporter()
        if exporter is not None:
            provider.add_span_processor(BatchSpanProcessor(exporter))
        return cls(provider, address=address, port=port)

    def begin(self, path: str, headers: Mapping[str, str], model: str | None, began_ns: int) -> CallSpan:
        """The span of a call.

        Parameters
        ----------
        path
            Without ``/v1/``; only what the API names gets into the span.
        headers
            The caller's; its ``traceparent`` becomes the parent.
        model
            As asked for.
        began_ns
            Unix time.
        """
        from opentelemetry.trace import SpanKind

        operation = _OPERATIONS.get(path, "request")
        attributes: dict[str, Any] = {"gen_ai.operation.name": operation, **self._own}
        if model:
            attributes["gen_ai.request.model"] = _name(model)
        span = self.tracer.start_span(
            _span_name(operation, model),
            context=self.propagator.extract(headers),
            kind=SpanKind.SERVER,
            attributes=attributes,
            start_time=began_ns,
        )
        return CallSpan(self, span, operation)

    def close(self) -> None:
        """Send what waits; may take as long as the exporter's time limit."""
        self._provider.shutdown()


class CallSpan:
    """The span of one call, and the one of its request upstream."""

    def __init__(self, tracing: Tracing, span: Span, operation: str) -> None:
        self._tracing, self._span, self._operation = tracing, span, operation
        self._upstream: Span | None = None

    def ask_upstream(self, headers: Mapping[str, str], call: CallInWork, url: str) -> dict[str, str]:
        """Begin the span of the request upstream; the headers to send, with this span as the parent."""
        from opentelemetry.trace import SpanKind, set_span_in_context

        model = call.model
        if call.found is not None and call.found.is_named:
            model = call.found.task.teacher_model
        attributes: dict[str, Any] = {"gen_ai.operation.name": self._operation, **_address(url)}
        if model:
            attributes["gen_ai.request.model"] = _name(model)
        self._upstream = self._tracing.tracer.start_span(
            _span_name(self._operation, model),
            context=set_span_in_context(self._span),
            kind=SpanKind.CLIENT,
            attributes=attributes,
        )
        sent = {name: value for name, value in headers.items() if name not in _PARENT_HEADERS}
        self._tracing.propagator.inject(sent, context=set_span_in_context(self._upstream))
        return sent

    def upstream_answered(
        self, url: str, status: int, usage: Usage | None, said: Any, error: str | None
    ) -> None:
        """The upstream's reply has come to its end.

        Parameters
        ----------
        url
            Of the upstream that answered, which may be the second.
        status
            Of its reply.
        usage
            Tokens, where it told them.
        said
            The parsed reply, of which only the model's name is taken.
        error
            What is wrong with it, in a short word.
        """
        span, self._upstream = self._upstream, None
        if span is None:
            return
        model = said.get("model") if isinstance(said, Mapping) else None
        span.set_attributes({**_address(url), "http.response.status_code": status, **_tokens(usage)})
        for one in (span, self._span):
            if isinstance(model, str):
                one.set_attribute("gen_ai.response.model", _name(model))
            one.set_attribute("gen_ai.provider.name", provider_name(urlsplit(url).hostname or ""))
        if error is not None:
            _mark(span, error, is_error=True)
        span.end()

    def end(self, record: CallRecord) -> None:
        """The call has its row."""
        usage = Usage(record.input_tokens, record.output_tokens, record.cached_tokens)
        known: dict[str, Any] = {
            "understudy.call_id": record.id,
            "understudy.answered_by": record.answered_by,
            "understudy.task": record.task,
            "understudy.confidence": record.confidence,
            "understudy.artefact_id": record.artefact_id,
            **_tokens(usage),
        }
        if record.answered_by in ("student", "uncertified"):
            # The reply names the model that was asked for; the span names who answered.
            known["gen_ai.response.model"] = f"understudy/{record.task}"
            known["gen_ai.provider.name"] = _OWN_PROVIDER
        is_known = record.cost_nanousd is not None and record.teacher_cost_nanousd is not None
        if record.answered_by == "student" and is_known:
            known["understudy.saving_nanousd"] = (record.teacher_cost_nanousd or 0) - (
                record.cost_nanousd or 0
            )
        self._span.set_attributes({name: value for name, value in known.items() if value is not None})
        self._close(record.error, record.status)

    def fail(self, code: str, status: int) -> None:
        """The call ended without a row; nothing if the span is over."""
        if self._span.is_recording():
            self._close(code, status)

    def _close(self, code: str | None, status: int) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:  # its reply never came to an end
            _mark(upstream, code or "unknown", is_error=True)
            upstream.end()
        self._span.set_attribute("http.response.status_code", status)
        if code is not None:
            # A server's span is an error only where the server is at fault.
            _mark(self._span, code, is_error=status >= 500)
        self._span.end()


def _exporter() -> SpanExporter | None:
    name = os.environ.get("OTEL_TRACES_EXPORTER", "otlp").strip() or "otlp"
    if name == "none":
        return None
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter()
    protocol = os.environ.get(
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    )
    if name != "otlp" or protocol != "http/protobuf":
        raise ConfigError(
            "spans cannot be sent in this way",
            given=f"OTEL_TRACES_EXPORTER={name}, protocol {protocol}",
            todo="use otlp with http/protobuf, console, or none",
        )
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise MissingDependencyError.of("opentelemetry-exporter-otlp-proto-http", "telemetry") from error
    return OTLPSpanExporter()


def _span_name(operation: str, model: str | None) -> str:
    return f"{operation} {_name(model)}" if model else operation


def _name(text: str) -> str:
    """Short, and free of the half characters that the exporter's encoding refuses."""
    return text[:_LONGEST_NAME].encode("utf-8", "replace").decode()


def _address(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"server.address": host, "server.port": port, "gen_ai.provider.name": provider_name(host)}


def _tokens(usage: Usage | None) -> dict[str, int]:
    """Counts that are known; a student reads and writes no tokens, and none are told."""
    if usage is None:
        return {}
    given = {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
    }
    return {name: count for name, count in given.items() if count is not None}


def _mark(span: Span, code: str, *, is_error: bool) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("error.type", code)
    if is_error:
        span.set_status(Status(StatusCode.ERROR))
