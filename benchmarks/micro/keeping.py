"""What is kept of a page: the requests it led to, packed; its item, encoded; both, committed."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import orjson

from airless.core.codec import decode, encode
from airless.core.message import Message
from airless.core.ports import Commit, Delivery, Engine, Settlement
from airless.crawl import items
from airless.crawl.held import Held
from airless.crawl.layout import Layout
from airless.crawl.outgoing import BATCH_REQUESTS
from airless.crawl.packing import pack, unpack
from airless.crawl.request import Request
from airless.crawl.response import Response
from airless.crawl.shard import Shard
from airless.engines import open_engine
from benchmarks.micro.sample import SITE, Sample
from benchmarks.micro.timing import Case
from crawlers.site import SiteSpider

LAYOUT = Layout("micro", 64)
NEW_A_PAGE = 4
"""New URLs on a page that has any: a page of the site has so many children."""

COMMIT_PAGES = 1_000
_LEASE_S = 600.0
_PACKS = 50


def packing(sample: Sample, stack: ExitStack) -> list[Case]:
    """A URL into a frontier message and out of it; beside a bare array of URLs, the least that JSON takes."""
    batch = requests(range(BATCH_REQUESTS))
    urls = [request.url for request in batch]
    body = packed(batch)
    ways = {
        "airless pack": lambda: packed(batch),
        "airless unpack": lambda: unpack(decode(LAYOUT.topic, body, id="1").data),
        "orjson.dumps": lambda: orjson.dumps(urls),
        "orjson.loads": lambda: orjson.loads(body),
    }
    return [_repeated("pack", name, "URL", BATCH_REQUESTS, way) for name, way in ways.items()]


def encoding(sample: Sample, stack: ExitStack) -> list[Case]:
    """An item of the site spider as a line of JSON."""
    item = site_item(*next(iter(sample)))
    ways = {
        "airless items": lambda: items.encode(item),
        "orjson.dumps": lambda: orjson.dumps(item),
        "json.dumps": lambda: json.dumps(item),
    }
    return [_repeated("item", name, "item", 1, way, times=1_000) for name, way in ways.items()]


def committing(sample: Sample, stack: ExitStack) -> list[Case]:
    """A thousand pages that end together: items, new requests, what was seen, messages acknowledged.

    Each page has led to one new page, which is the average of a crawl that ends.
    """
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    runner = stack.enter_context(asyncio.Runner())
    line = items.encode(site_item(*next(iter(sample))))
    cases = []
    for name, url in (("memory", "memory://"), ("SQLite", f"sqlite:///{folder}/micro.db")):
        engine = runner.run(open_engine(url))
        stack.callback(lambda engine=engine: runner.run(engine.aclose()))  # type: ignore[misc]
        crawl = Committed(engine, line)
        prepare = partial(_prepared, runner, crawl)
        cases.append(Case("commit", name, "page", COMMIT_PAGES, prepare))
    return cases


class Committed:
    """A shard whose pages end a thousand at a time."""

    def __init__(self, engine: Engine, line: bytes) -> None:
        self._engine = engine
        self._line = line
        self._shard = Shard(LAYOUT, 0)
        self._dice = random.Random(1)
        self._settle: list[Settlement] = []

    async def visit(self) -> None:
        """Take the messages that the last commit published, and end the pages that they ask for."""
        taken = await self._engine.queue.receive(LAYOUT.topic, limit=COMMIT_PAGES, lease_s=_LEASE_S)
        self._settle = [Settlement.done(delivery) for delivery in taken]
        # It has one request more, so that it doesn't end: those that were received are settled as they came.
        held = Held(Delivery(LAYOUT.topic, b"", "", ""), "", 0, COMMIT_PAGES + 1)
        for position, request in enumerate(requests(range(COMMIT_PAGES))):
            self._shard.see(self._dice.getrandbits(64))
            self._shard.send(request)
            self._shard.end(held, position, [self._line])

    async def commit(self) -> None:
        await self._shard.merge(self._engine)
        part = self._shard.write()
        settle = [*part.settle, *self._settle]
        versions = await self._engine.commit(
            Commit(put=part.put, state=[part.state], publish=part.publish, settle=settle, delete=part.delete)
        )
        self._shard.version = versions[0]


def _prepared(runner: asyncio.Runner, crawl: Committed) -> Callable[[], object]:
    runner.run(crawl.visit())
    return lambda: runner.run(crawl.commit())


def site_item(url: str, body: bytes) -> Any:
    """What `airless crawl` writes for a page."""
    response = Response.from_bytes(url, body, request=Request(url), fetched_at=1_750_000_000.25)
    return next(iter(SiteSpider().parse(response)))


def requests(pages: range) -> list[Request]:
    """Requests for pages, as the pages above them found them."""
    found = []
    for page in pages:
        request = Request(SITE.url(page))
        request.depth = 5
        request.referrer = SITE.url(page // NEW_A_PAGE)
        found.append(request)
    return found


def packed(batch: list[Request]) -> bytes:
    """A frontier message on the wire."""
    message = Message(
        LAYOUT.topic, pack(batch), id="1", run_id=LAYOUT.job, ordering_key="0", weight=len(batch)
    )
    return encode(message)


def _repeated(
    stage: str, candidate: str, unit: str, units: int, way: Callable[[], object], times: int = _PACKS
) -> Case:
    def go() -> None:
        for _ in range(times):
            way()

    return Case(stage, candidate, unit, units * times, lambda: go)
