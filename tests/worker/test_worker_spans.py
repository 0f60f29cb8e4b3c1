"""Spans of what workers do, as a collector gets them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from support.loopback import Loopback
from support.site import Site
from support.worker_command import crawl_to_its_end, job_of, nothing_on, worker_command

from airless.core.message import Message
from airless.crawl.settings import Settings
from airless.engines import open_engine


class Collector(Loopback):
    """Takes spans over HTTP, as OTLP has them."""

    def __init__(self) -> None:
        super().__init__(web.post("/v1/traces", self._take))
        self.spans: list[Any] = []
        self.services: set[str] = set()

    async def _take(self, request: web.Request) -> web.Response:
        sent = ExportTraceServiceRequest.FromString(await request.read())
        for resource in sent.resource_spans:
            of = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            self.services.add(of["service.name"])
            for scope in resource.scope_spans:
                self.spans += scope.spans
        return web.Response(body=b"", content_type="application/x-protobuf")


async def test_a_collector_gets_a_span_of_each_batch_and_message(engine_url: str, tmp_path: Path) -> None:
    with (
        Collector() as collector,
        Site(30) as site,
        worker_command(
            tmp_path,
            engine_url,
            "orders=worker.operators_on_workers:Keeping",
            "-n",
            1,
            environ={"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}"},
        ) as worker,
    ):
        async with await open_engine(engine_url) as engine:
            await engine.queue.publish_many([Message("orders", {"fail": True}, id="m1")])
            await nothing_on(engine, "orders")
        job = job_of("traced", site.url, settings=Settings(obey_robots=False))
        await crawl_to_its_end(engine_url, job, tmp_path / "items.jsonl")
        assert await asyncio.to_thread(worker.end) == 0
        assert collector.services == {"airless-worker"}
        spans = [({pair.key: pair.value for pair in span.attributes}, span) for span in collector.spans]
    crawled = [(told, span) for told, span in spans if span.name == "crawl"]
    assert sum(told["airless.fetched"].int_value for told, _ in crawled) == 30
    assert all(told["airless.run"].string_value == "traced" for told, _ in crawled)
    assert all(span.end_time_unix_nano > span.start_time_unix_nano for _, span in crawled)
    (given_up,) = [span for told, span in spans if span.name == "orders"]
    assert given_up.status.message == "poison"
