"""What a spider starts with is published once, wherever an earlier run was interrupted."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from airless.core.codec import decode
from airless.core.errors import ConfigError
from airless.core.ports import Delivery
from airless.crawl.discovery import Discovery
from airless.crawl.layout import Layout
from airless.crawl.ledger import Ledger, Record
from airless.crawl.packing import unpack
from airless.crawl.request import Follow, Request
from airless.crawl.scope import Scope
from airless.crawl.seeding import Seeding
from airless.crawl.settings import Settings
from airless.crawl.spider import Spider
from airless.engines.sqlite import SqliteEngine

LAYOUT = Layout("job", 8)


class Numbered(Spider):
    """Starts with 1,200 requests on 40 hosts."""

    waits_at = -1

    def __init__(self) -> None:
        super().__init__()
        self.waiting = asyncio.Event()

    async def start(self) -> AsyncIterator[Request | Follow]:
        for number in range(1_200):
            if number == self.waits_at:
                self.waiting.set()
                await asyncio.Event().wait()
            yield Request(url(number))


def url(number: int) -> str:
    return f"http://h{number % 40}.example/{number}"


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[SqliteEngine]:
    async with await SqliteEngine.open(f"sqlite:///{tmp_path}/seeds.db") as engine:
        yield engine


async def begin(
    engine: SqliteEngine, spider: Spider, *, sitemaps: bool = False
) -> tuple[Seeding, Record, Ledger]:
    ledger = Ledger(engine, "job")
    record = await ledger.load()
    if record is None:
        record = Record("numbered", 8, 1, 0.0)
        await ledger.save(record)
    discovery = Discovery(Settings(), Scope.of((), ("*",)), LAYOUT, lambda index: None)
    return Seeding(engine, LAYOUT, discovery, ledger, spider, sitemaps=sitemaps), record, ledger


def data_of(delivery: Delivery) -> dict[str, Any]:
    return decode(delivery.topic, delivery.body, id=delivery.id, attempt=delivery.attempt).data


async def published(engine: SqliteEngine) -> list[Request]:
    deliveries = await engine.queue.receive(LAYOUT.topic, limit=10_000, lease_s=60)
    return [request for delivery in deliveries for request in unpack(data_of(delivery))]


async def test_every_start_request_goes_to_its_shard_as_a_seed(engine: SqliteEngine) -> None:
    seeding, record, _ = await begin(engine, Numbered())
    await seeding.run(record)
    assert (record.seeded, record.all_seeded) == (1_200, True)
    deliveries = await engine.queue.receive(LAYOUT.topic, limit=10_000, lease_s=60)
    found = []
    for delivery in deliveries:
        data = data_of(delivery)
        assert delivery.ordering_key == str(data["shard"])
        for request in unpack(data):
            assert request.seed
            assert LAYOUT.shard_of(f"h{int(request.url.rsplit('/')[-1]) % 40}.example", 0) == data["shard"]
            found.append(request.url)
    assert sorted(found) == sorted(map(url, range(1_200)))
    assert await Ledger(engine, "job").load() == record


async def test_many_seeds_of_a_host_fill_whole_messages(engine: SqliteEngine) -> None:
    class OneHost(Spider):
        async def start(self) -> AsyncIterator[Request | Follow]:
            for number in range(3_500):
                yield Request(f"http://a.example/{number}")

    seeding, record, _ = await begin(engine, OneHost())
    await seeding.run(record)
    deliveries = await engine.queue.receive(LAYOUT.topic, limit=10_000, lease_s=60)
    found = [[request.url for request in unpack(data_of(delivery))] for delivery in deliveries]
    assert [len(urls) for urls in found] == [200, 200, 100, *[200] * 5, *[200] * 10]
    assert [url for urls in found for url in urls] == [f"http://a.example/{n}" for n in range(3_500)]
    assert [data_of(delivery)["from"][1] for delivery in deliveries] == list(range(18))
    assert record.messages == 18


async def test_seeds_that_carry_much_go_in_smaller_batches(engine: SqliteEngine) -> None:
    class Laden(Numbered):
        async def start(self) -> AsyncIterator[Request | Follow]:
            async for request in super().start():
                assert isinstance(request, Request)
                request.meta = {"n": 1}
                yield request

    spider = Laden()
    spider.waits_at = 60
    seeding, record, _ = await begin(engine, spider)
    task = asyncio.create_task(seeding.run(record))
    await spider.waiting.wait()
    task.cancel()
    await asyncio.wait([task])
    assert record.seeded == 60


async def test_what_is_all_published_is_not_published_again(engine: SqliteEngine) -> None:
    for _ in range(2):
        seeding, record, _ = await begin(engine, Numbered())
        await seeding.run(record)
    assert len(await published(engine)) == 1_200


@pytest.mark.parametrize("at", [0, 1, 499, 500, 501, 1_000, 1_199])
async def test_a_start_that_is_cancelled_while_it_waits_goes_on_where_it_was(
    engine: SqliteEngine, at: int
) -> None:
    spider = Numbered()
    spider.waits_at = at
    seeding, record, ledger = await begin(engine, spider)
    task = asyncio.create_task(seeding.run(record))
    await spider.waiting.wait()
    task.cancel()
    await asyncio.wait([task])
    assert record.seeded == (0 if at < 500 else 500)
    await ledger.save(record)
    seeding, record, _ = await begin(engine, Numbered())
    await seeding.run(record)
    assert sorted(request.url for request in await published(engine)) == sorted(map(url, range(1_200)))


@pytest.mark.parametrize("steps", [*range(1, 40, 3)])
async def test_a_start_that_is_cancelled_at_any_step_publishes_each_once(
    engine: SqliteEngine, steps: int
) -> None:
    seeding, record, ledger = await begin(engine, Numbered())
    task = asyncio.create_task(seeding.run(record))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await ledger.save(record)
    seeding, record, _ = await begin(engine, Numbered())
    await seeding.run(record)
    assert set(Counter(request.url for request in await published(engine)).items()) == {
        (url(number), 1) for number in range(1_200)
    }


async def test_a_commit_that_is_under_way_ends_before_the_cancelling_does(
    engine: SqliteEngine, tmp_path: Path
) -> None:
    seeding, record, ledger = await begin(engine, Numbered())
    other = sqlite3.connect(tmp_path / "seeds.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    task = asyncio.create_task(seeding.run(record))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.sleep(0.05)
    assert not task.done()
    other.execute("COMMIT")
    other.close()
    await asyncio.wait([task])
    assert task.cancelled()
    assert record.seeded == 500
    await ledger.save(record)
    assert len(await published(engine)) == 500


async def test_a_follow_starts_with_each_of_its_links(engine: SqliteEngine) -> None:
    class Following(Spider):
        async def start(self) -> AsyncIterator[Request | Follow]:
            yield Follow(["http://a.example/1", "http://a.example/2#part"], callback="page", meta={"n": 1})

    seeding, record, _ = await begin(engine, Following())
    await seeding.run(record)
    found = await published(engine)
    assert [(r.url, r.callback, r.meta) for r in found] == [
        ("http://a.example/1", "page", {"n": 1}),
        ("http://a.example/2", "page", {"n": 1}),
    ]


async def test_each_origins_robots_file_is_asked_for_its_sitemaps_once(engine: SqliteEngine) -> None:
    class Two(Spider):
        start_urls = (
            "http://a.example/1",
            "http://a.example/2",
            "https://a.example/",
            "http://b.example:81/",
        )

    seeding, record, _ = await begin(engine, Two(), sitemaps=True)
    await seeding.run(record)
    asked = sorted(request.url for request in await published(engine) if not request.seed)
    assert asked == [
        "http://a.example/robots.txt",
        "http://b.example:81/robots.txt",
        "https://a.example/robots.txt",
    ]


async def test_a_start_that_is_no_url_is_told(engine: SqliteEngine) -> None:
    class Wrong(Spider):
        async def start(self) -> AsyncIterator[Request | Follow]:
            yield Request("/relative")

    seeding, record, _ = await begin(engine, Wrong())
    with pytest.raises(ConfigError, match="'/relative' is no URL to start from"):
        await seeding.run(record)
