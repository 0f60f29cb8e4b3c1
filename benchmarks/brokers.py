"""What does the queue of an engine take and give, in bulk and one by one?

An engine on a server of its own is new for each run, and the engines take turns so that a busy moment hits them alike;
medians. `at_once` is how many publish and consume side by side. A message is consumed when it was received and settled.
Servers write what they are given to the disk as their documentation tells users to; SQLite has no server.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
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
_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Way:
    """How messages are handled: so many a call, so many calls at once, so many in all."""

    a_call: int
    at_once: int
    messages: int


# One at a time is slow, and each of them takes as long as the others.
WAYS = (Way(1, 1, 1_000), Way(1, 64, 5_000), Way(100, 1, 20_000), Way(100, 8, 20_000))
_QUICK = 50


def measure(*, quick: bool) -> Table:
    """A row an engine and a way; a line a case on standard error. Raises RuntimeError where not all came back."""
    runs, part = (1, _QUICK) if quick else (3, 1)
    cases = [(name, way) for name in ENGINES for way in WAYS]
    taken: dict[tuple[str, Way], list[tuple[float, float]]] = {case: [] for case in cases}
    for _ in range(runs):
        for name in ENGINES:
            with url_of(name) as url:
                for way in WAYS:
                    count = way.messages // part
                    publish_s, consume_s = asyncio.run(once(url, way, count))
                    rates = count / publish_s, count / consume_s
                    taken[name, way].append(rates)
                    _tell(name, way, *rates)
    rows: list[dict[str, Any]] = []
    for (name, way), runs_of_it in taken.items():
        published, consumed = (median(each) for each in zip(*runs_of_it, strict=True))
        rows.append(
            {
                "engine": name,
                "messages_a_call": way.a_call,
                "calls_at_once": way.at_once,
                "messages": way.messages // part,
                "published_per_s": round(published),
                "consumed_per_s": round(consumed),
            }
        )
    return Table(rows, libraries=("redis", "nats-py"), notes={"runs": runs})


@contextmanager
def url_of(name: str) -> Iterator[str]:
    """The URL of an engine that is empty, its server up if it has one."""
    with tempfile.TemporaryDirectory() as folder:
        if name not in BROKERS:
            yield f"sqlite:///{folder}/queue.db"
            return
        with BROKERS[name](Path(folder)) as server:
            yield server.url


async def once(url: str, way: Way, count: int) -> tuple[float, float]:
    """Seconds of publishing and of consuming `count` messages. Raises RuntimeError where not all came back."""
    messages = [
        Message(TOPIC, {"order": number, "customer": "Ada", "total": 12.5}) for number in range(count)
    ]
    calls = [messages[start : start + way.a_call] for start in range(0, count, way.a_call)]
    async with await open_engine(url) as engine:
        # What is made with the first message is no part of it.
        await engine.queue.publish_many([Message(TOPIC, {})])
        await _consume(engine.queue, 1)
        began = time.perf_counter()
        await asyncio.gather(
            *(_publish(engine.queue, calls[lane :: way.at_once]) for lane in range(way.at_once))
        )
        publish_s = time.perf_counter() - began
        left = count
        began = ended = time.perf_counter()

        async def consume() -> None:
            nonlocal left, ended
            while left > 0:
                # Who finds nothing any more waits for a while, which is no part of it.
                if got := await _consume(engine.queue, way.a_call):
                    left -= got
                    ended = time.perf_counter()

        async with asyncio.timeout(_LIMIT_S):
            await asyncio.gather(*(consume() for _ in range(way.at_once)))
    if left:
        raise RuntimeError(f"{url}: {count - left} messages came of {count}")
    return publish_s, ended - began


def _tell(name: str, way: Way, published_per_s: float, consumed_per_s: float) -> None:
    print(
        f"{name}, {way.a_call} a call, {way.at_once} at once: "
        f"{published_per_s:,.0f} published and {consumed_per_s:,.0f} consumed a second",
        file=sys.stderr,
        flush=True,
    )


async def _publish(queue: Queue, calls: Sequence[Sequence[Message]]) -> None:
    for messages in calls:
        await queue.publish_many(messages)


async def _consume(queue: Queue, most: int) -> int:
    got = await queue.receive(TOPIC, limit=most, lease_s=_LEASE_S, wait_s=0.2)
    await queue.settle([Settlement.done(delivery) for delivery in got])
    return len(got)
