"""What does the queue of an engine take and give, in bulk and one by one?

An engine on a server of its own is new for each run, and the engines take turns so that a busy moment hits them alike;
medians. `at_once` is how many publish and consume side by side. A message is consumed when it was received and settled.
Servers write what they are given to the disk as their documentation tells users to; SQLite has no server.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from airless.core.message import Message
from airless.core.ports import Queue, Settlement
from airless.engines import open_engine
from benchmarks.record import Table
from tests.support.brokers import BROKERS

TOPIC = "benchmark"
ENGINES = ("sqlite", *BROKERS)
_LEASE_S = 60.0


@dataclass(frozen=True, slots=True)
class Way:
    """How messages are handled: so many a call, so many calls at once."""

    a_call: int
    at_once: int


WAYS = (Way(1, 1), Way(1, 64), Way(100, 1), Way(100, 8))


def measure(*, quick: bool) -> Table:
    """A row an engine and a way."""
    messages, runs = (200, 1) if quick else (10_000, 3)
    cases = [(name, way) for name in ENGINES for way in WAYS]
    taken: dict[tuple[str, Way], list[tuple[float, float]]] = {case: [] for case in cases}
    for _ in range(runs):
        for name in ENGINES:
            with url_of(name) as url:
                for way in WAYS:
                    # One at a time is slow, and each of them takes as long as the others.
                    count = messages // 10 if way == WAYS[0] else messages
                    publish_s, consume_s = asyncio.run(_once(url, way, count))
                    taken[name, way].append((count / publish_s, count / consume_s))
    rows: list[dict[str, Any]] = []
    for (name, way), rates in taken.items():
        published, consumed = (median(each) for each in zip(*rates, strict=True))
        rows.append(
            {
                "engine": name,
                "messages_a_call": way.a_call,
                "calls_at_once": way.at_once,
                "published_per_s": round(published),
                "consumed_per_s": round(consumed),
            }
        )
    return Table(rows, libraries=("redis", "nats-py"), notes={"messages": messages, "runs": runs})


@contextmanager
def url_of(name: str) -> Iterator[str]:
    """The URL of an engine that is empty, its server up if it has one."""
    with tempfile.TemporaryDirectory() as folder:
        if name not in BROKERS:
            yield f"sqlite:///{folder}/queue.db"
            return
        with BROKERS[name](Path(folder)) as server:
            yield server.url


async def _once(url: str, way: Way, count: int) -> tuple[float, float]:
    """Seconds of publishing and of consuming. Raises RuntimeError where not all came back."""
    messages = [
        Message(TOPIC, {"order": number, "customer": "Ada", "total": 12.5}) for number in range(count)
    ]
    calls = [messages[start : start + way.a_call] for start in range(0, count, way.a_call)]
    async with await open_engine(url) as engine:
        # What is made with the first message is no part of it.
        await engine.queue.publish_many([Message(TOPIC, {})])
        await _consume(engine.queue, 1)
        lanes = [calls[lane :: way.at_once] for lane in range(way.at_once)]
        publish_s = await _timed([lambda lane=lane: _publish(engine.queue, lane) for lane in lanes])
        left = [count]

        async def consume() -> None:
            while left[0] > 0:
                left[0] -= await _consume(engine.queue, way.a_call)

        consume_s = await _timed([consume] * way.at_once)
    if left[0]:
        raise RuntimeError(f"{url}: {count - left[0]} messages came of {count}")
    return publish_s, consume_s


async def _timed(lanes: Sequence[Callable[[], Awaitable[None]]]) -> float:
    began = time.perf_counter()
    await asyncio.gather(*(lane() for lane in lanes))
    return time.perf_counter() - began


async def _publish(queue: Queue, calls: Sequence[Sequence[Message]]) -> None:
    for messages in calls:
        await queue.publish_many(messages)


async def _consume(queue: Queue, most: int) -> int:
    got = await queue.receive(TOPIC, limit=most, lease_s=_LEASE_S, wait_s=0.2)
    await queue.settle([Settlement.done(delivery) for delivery in got])
    return len(got)
