"""Pages of a crawl that failed for good: told of, and tried again.

Who has them tried again calls upon each shard, which takes them from its record in the commit that publishes them. The
calls go out with the run's document, which counts them, in one commit: whoever dies in between, and however often it
is done, each page that failed is tried again once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, replace
from typing import Any

from airless.core.clock import Clock
from airless.core.errors import ConfigError, Conflict
from airless.core.message import Message, derived_id
from airless.core.ports import Commit, DeadLetters, Engine
from airless.core.steps import peek
from airless.crawl.failed import AT_A_CALL, RETRY, Failed, Failure
from airless.crawl.job import job_named
from airless.crawl.layout import Layout
from airless.crawl.ledger import RUNNING, Ledger, Record
from airless.crawl.orders import CANCELLED, orders_of
from airless.crawl.received import ORIGIN, SEEDS
from airless.crawl.records import read_document, read_failed
from airless.fleet.standing import Standing, standing_of

_TRIES = 20


@dataclass(frozen=True, slots=True)
class Retried:
    """What comes back: pages that had failed, by reason, and messages that were given up; and how the crawl stands."""

    pages: dict[str, int]
    messages: int
    standing: Standing


async def retry(engine: Engine, name: str, clock: Clock, reasons: Collection[str] = ()) -> Retried:
    """Have a crawl try again what has failed, for one of the reasons where some are given, and what was given up.

    Raises ConfigError where there is no such crawl, it was cancelled, or its beginning was cut off.
    """
    job = await job_named(engine, name)
    if job is None:
        raise ConfigError(f"there is no job {name!r} on this engine: airless crawls lists those that are")
    if (await orders_of(engine, job.layout)).stop == CANCELLED:
        raise ConfigError(f"{name!r} was cancelled: what would come back would be dropped")
    pages = await _publish(engine, job.layout, reasons)
    messages = 0
    if not reasons and isinstance(engine.queue, DeadLetters):
        messages = await engine.queue.redrive(job.layout.topic)
    return Retried(pages, messages, await standing_of(engine, name, clock))


async def failures(engine: Engine, layout: Layout) -> AsyncIterator[Failure]:
    """The requests of a crawl that have failed, shard by shard."""
    keys = [key async for key in engine.state.list(layout.shard_prefix)]
    for key in keys:
        doc = await _document(engine, key)
        failed = Failed.from_dict(doc)
        for name in failed.segments:
            (segment,) = await read_failed(engine, [name])
            for line in segment.splitlines():
                yield Failure.from_line(line)
        for line in failed.tail:
            yield Failure.from_line(line)


async def _publish(engine: Engine, layout: Layout, reasons: Collection[str]) -> dict[str, int]:
    """Call upon the shards that have such failures: how many there are, by reason."""
    ledger = Ledger(engine, layout.job)
    for _ in range(_TRIES):
        # Not only looked at: calls of somebody who died are sent by this.
        record = await ledger.load()
        if record is None or not record.all_seeded:
            raise ConfigError(f"the beginning of {layout.job!r} is not over: airless resume goes on with it")
        calls, pages = await _calls(engine, layout, record, reasons)
        if not calls:
            return {}
        messages = record.messages + len(calls)
        ahead = replace(record, messages=messages, status=RUNNING, reason="", counts=None, ended_at=0.0)
        try:
            await engine.commit(Commit(publish=calls, state=[ledger.write(ahead)]))
        except Conflict:
            continue
        return pages
    raise Conflict(layout.run_key)


async def _calls(
    engine: Engine, layout: Layout, record: Record, reasons: Collection[str]
) -> tuple[list[Message], dict[str, int]]:
    """The messages that call for what has failed, and how much that is by reason."""
    calls: list[Message] = []
    pages: Counter[str] = Counter()
    async for key in engine.state.list(layout.shard_prefix):
        doc = await _document(engine, key)
        failures = doc["counts"]["failures"]
        some = {reason: n for reason, n in failures.items() if not reasons or reason in reasons}
        failed = Failed.from_dict(doc)
        if not some or not (failed.segments or failed.tail):
            continue
        pages.update(some)
        index = int(key.removeprefix(layout.shard_prefix))
        for _ in range(max(1, math.ceil(len(failed.segments) / AT_A_CALL))):
            calls.append(_call(layout, index, reasons, record.messages + len(calls)))
    return calls, dict(sorted(pages.items()))


def _call(layout: Layout, index: int, reasons: Collection[str], number: int) -> Message:
    """A message that is numbered among the seeds, so that a double of it is known however late it comes."""
    return Message(
        topic=layout.topic,
        data={RETRY: sorted(reasons), "shard": index, ORIGIN: [SEEDS, number]},
        id=derived_id(f"{layout.job}/retry", number),
        run_id=layout.job,
        ordering_key=str(index),
        weight=0,
    )


async def _document(engine: Engine, key: str) -> dict[str, Any]:
    stored = await peek(engine.state, key)
    return {"counts": {"failures": {}}} if stored is None else read_document(stored.data)
