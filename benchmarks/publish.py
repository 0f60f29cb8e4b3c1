"""What does publishing in bulk save over one message at a time?

New engines for each case, taken in turn so that a busy moment hits them alike; medians. `at_once` is how many
calls are under way together, as when many invocations publish one message each. SQLite keeps its file in the
temporary folder; with `synchronous=full` each of its commits waits for the disk.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from airless.core.message import Message
from airless.core.ports import Queue
from airless.engines import open_engine
from benchmarks.record import Table

TOPIC = "benchmark"
ENGINES = ("memory", "sqlite", "sqlite full")


@dataclass(frozen=True, slots=True)
class Way:
    """How messages are published: so many a call, so many calls at once."""

    a_call: int
    at_once: int = 1


WAYS = (Way(1), Way(1, at_once=64), Way(10), Way(100), Way(1_000))


def measure(*, quick: bool) -> Table:
    messages, runs = (1_000, 1) if quick else (10_000, 5)
    cases = [(engine, way) for engine in ENGINES for way in WAYS]
    taken_s: dict[tuple[str, Way], list[float]] = {case: [] for case in cases}
    for _ in range(runs):
        for case in cases:
            taken_s[case].append(asyncio.run(seconds(*case, messages)))
    rows = []
    for (engine, way), times in taken_s.items():
        took = median(times)
        rows.append(
            {
                "engine": engine,
                "messages_a_call": way.a_call,
                "calls_at_once": way.at_once,
                "messages_per_s": round(messages / took),
                "us_a_message": round(took / messages * 1e6, 1),
                "faster": round(median(taken_s[engine, WAYS[0]]) / took, 1),
            }
        )
    return Table(rows, libraries=("orjson",), notes={"messages": messages, "runs": runs})


async def seconds(engine_name: str, way: Way, count: int) -> float:
    """How long publishing takes, until all of it is durable. Raises RuntimeError where it isn't all there."""
    messages = [
        Message(TOPIC, {"order": number, "customer": "Ada", "total": 12.5}) for number in range(count)
    ]
    calls = [messages[start : start + way.a_call] for start in range(0, count, way.a_call)]
    with tempfile.TemporaryDirectory() as folder:
        async with await open_engine(url(engine_name, folder)) as engine:
            await engine.queue.publish_many([Message("first", {})])
            started = time.perf_counter()
            async with asyncio.TaskGroup() as group:
                for lane in range(way.at_once):
                    group.create_task(publish(engine.queue, calls[lane :: way.at_once]))
            took = time.perf_counter() - started
            there = (await engine.queue.depth(TOPIC)).messages
    if there != count:
        raise RuntimeError(f"{engine_name}: {there} messages are there of {count}")
    return took


async def publish(queue: Queue, calls: Sequence[Sequence[Message]]) -> None:
    for messages in calls:
        await queue.publish_many(messages)


def url(engine_name: str, folder: str) -> str:
    """The engine's URL, its file in `folder`."""
    if engine_name == "memory":
        return "memory://"
    return f"sqlite:///{folder}/queue.db{'?synchronous=full' if engine_name == 'sqlite full' else ''}"
