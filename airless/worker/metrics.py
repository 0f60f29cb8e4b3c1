"""A worker's figures in Prometheus' format, over all of its processes (extra ``metrics``)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from airless.core.errors import EngineError
from airless.core.ports import Depth, Queue, TopicsBelow
from airless.crawl.topics import FRONTIER
from airless.engines import OpenEngine, open_engine
from airless.worker.crew import Crew
from airless.worker.tally import Standing

logger = logging.getLogger("airless.worker")

# Whoever scrapes often doesn't make the broker count each time.
_DEPTH_S = 5.0
_TOPICS = 100


class Metrics:
    """Text for a scrape. Its own engine, opened by the first, is asked how much waits."""

    def __init__(self, crew: Crew, url: str, topics: Sequence[str], *, crawls: bool) -> None:
        self._crew = crew
        self._url = url
        self._topics = topics
        self._crawls = crawls
        self._engine: OpenEngine | None = None
        self._depths: Mapping[str, Depth] = {}
        self._looked_at = float("-inf")

    async def __call__(self) -> bytes:
        now = time.monotonic()
        if now - self._looked_at >= _DEPTH_S:
            self._looked_at = now
            try:
                if self._engine is None:
                    self._engine = await open_engine(self._url)
                self._depths = await self._read(self._engine.queue)
            except EngineError as fault:
                logger.warning("what waits on the broker can't be told: %s", fault)
                self._depths = {}
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Figures(self._crew, self._depths))
        return generate_latest(registry)

    async def aclose(self) -> None:
        if self._engine is not None:
            await self._engine.aclose()

    async def _read(self, queue: Queue) -> dict[str, Depth]:
        topics = list(self._topics)
        if self._crawls:
            topics.append(FRONTIER)
            if isinstance(queue, TopicsBelow):
                topics += (await queue.topics(f"{FRONTIER}/*"))[:_TOPICS]
        return {topic: await queue.depth(topic) for topic in topics}


class _Figures(Collector):
    """One scrape."""

    def __init__(self, crew: Crew, depths: Mapping[str, Depth]) -> None:
        self._crew = crew
        self._depths = depths

    def collect(self) -> Iterator[Metric]:
        done = self._crew.done()
        messages = CounterMetricFamily(
            "airless_messages", "Messages by how they ended.", labels=["topic", "end"]
        )
        for labels, number in sorted(done.messages.items()):
            messages.add_metric(labels, number)
        yield messages
        pages = CounterMetricFamily(
            "airless_pages", "URLs by how they ended; retried ones come again.", labels=["outcome", "reason"]
        )
        for labels, number in sorted(done.pages.items()):
            pages.add_metric(labels, number)
        yield pages
        yield CounterMetricFamily("airless_items", "Items that pages gave.", value=done.items)
        yield CounterMetricFamily("airless_received_bytes", "Bytes of pages as they came.", value=done.bytes)
        yield CounterMetricFamily("airless_batches", "Batches of crawls that have ended.", value=done.batches)
        restarts = CounterMetricFamily(
            "airless_restarts", "Processes that took another's place.", labels=["why"]
        )
        for why, number in sorted(self._crew.restarts.items()):
            restarts.add_metric([why], number)
        yield restarts
        yield from self._standings()
        yield from self._waiting()

    def _standings(self) -> Iterator[Metric]:
        standings = {
            str(index): member.report.standing
            for index, member in sorted(self._crew.members.items())
            if member.report is not None and member.report.standing is not None
        }
        yield GaugeMetricFamily("airless_processes", "Processes at work.", value=len(standings))

        def gauge(name: str, text: str, field: str) -> Metric:
            family = GaugeMetricFamily(name, text, labels=["process"])
            for index, standing in standings.items():
                family.add_metric([index], _number(standing, field))
            return family

        yield gauge("airless_requests_in_flight", "Requests under way.", "requests")
        yield gauge("airless_batches_in_flight", "Batches of crawls under way.", "batches")
        yield gauge("airless_messages_leased", "Messages in hand.", "leased")
        yield gauge("airless_memory_bytes", "Memory of a process.", "memory_bytes")
        yield gauge("airless_broker_silent_seconds", "Since the broker last answered.", "silent_s")

    def _waiting(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily(
            "airless_queue_messages", "Messages on the broker, of the whole fleet.", labels=["topic", "state"]
        )
        for topic, depth in self._depths.items():
            waiting.add_metric([topic, "ready"], depth.ready)
            waiting.add_metric([topic, "delayed"], depth.delayed)
            waiting.add_metric([topic, "leased"], depth.leased)
        yield waiting


def _number(standing: Standing, field: str) -> float:
    return float(getattr(standing, field))
