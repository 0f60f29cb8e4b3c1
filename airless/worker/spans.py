"""What was worked on as spans of OpenTelemetry, where a collector is named (extra ``otel``).

The collector is named as for every program that knows OpenTelemetry: OTEL_EXPORTER_OTLP_ENDPOINT, or
OTEL_EXPORTER_OTLP_TRACES_ENDPOINT; headers, sampling and the service's name too (OpenTelemetry Environment Variable
Specification).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

logger = logging.getLogger("airless.worker")

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_NAME = "airless-worker"
_NS = 1_000_000_000

Attributes = Mapping[str, str | int]


class Spans(Protocol):
    """Where work is told of when it has ended. Times are epoch seconds."""

    def record(
        self, name: str, began_s: float, ended_s: float, attributes: Attributes, error: str | None = None
    ) -> None: ...

    def close(self) -> None:
        """Send what was recorded; it may take some seconds."""
        ...


class NoSpans:
    """Nobody asked for them."""

    def record(
        self, name: str, began_s: float, ended_s: float, attributes: Attributes, error: str | None = None
    ) -> None:
        return

    def close(self) -> None:
        return


class ExportedSpans:
    """Spans that a thread of the SDK sends to the collector."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("airless")

    def record(
        self, name: str, began_s: float, ended_s: float, attributes: Attributes, error: str | None = None
    ) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode

        span = self._tracer.start_span(
            name, kind=SpanKind.CONSUMER, attributes=attributes, start_time=int(began_s * _NS)
        )
        if error is not None:
            span.set_status(Status(StatusCode.ERROR, error.partition("\n")[0]))
        span.end(end_time=int(ended_s * _NS))

    def close(self) -> None:
        self._provider.shutdown()


def spans_of(environ: Mapping[str, str]) -> Spans:
    """Those that the environment asks for; without the extra it says so, and goes without."""
    if not any(environ.get(name) for name in _ENDPOINTS):
        return NoSpans()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError:
        logger.warning("a collector of spans is named, and goes without: pip install 'airless[otel]'")
        return NoSpans()
    resource = (
        Resource.create() if environ.get("OTEL_SERVICE_NAME") else Resource.create({SERVICE_NAME: _NAME})
    )
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return ExportedSpans(provider)
