"""The run's record survives as it was written, and what waits is counted in two ways."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.crawling import Crawl
from support.pages import linking

from airless.core.errors import Conflict, EngineError
from airless.core.ports import Settlement, StateWrite
from airless.crawl.layout import Layout
from airless.crawl.ledger import FINISHED, Ledger, Record, balance, shard_counts
from airless.engines.memory import MemoryEngine


@pytest.fixture
async def engine() -> AsyncIterator[MemoryEngine]:
    async with MemoryEngine() as engine:
        yield engine


def record() -> Record:
    return Record("shop:Shop", 64, 2, 1_700_000_000.0, private_hosts=["10.0.0.1"], seeds=["http://10.0.0.1/"])


async def test_a_record_is_read_as_it_was_written(engine: MemoryEngine) -> None:
    ledger = Ledger(engine, "job")
    assert await ledger.load() is None
    written = record()
    await ledger.save(written)
    written.seeded, written.status = 500, FINISHED
    await ledger.save(written)
    assert await Ledger(engine, "job").load() == written
    assert await Ledger(engine, "other").load() is None


async def test_of_two_writers_the_second_loses(engine: MemoryEngine) -> None:
    first, second = Ledger(engine, "job"), Ledger(engine, "job")
    await first.save(record())
    await second.load()
    await first.save(record())
    with pytest.raises(Conflict):
        await second.save(record())


@pytest.mark.parametrize("data", [b"not JSON", b"[]", b"{}", b'{"spider": "s", "no such field": 1}'])
async def test_a_record_that_is_damaged_is_told(engine: MemoryEngine, data: bytes) -> None:
    await engine.state.commit(StateWrite(Layout("job", 1).run_key, data, None))
    with pytest.raises(EngineError, match="--restart begins anew"):
        await Ledger(engine, "job").load()


async def test_the_balance_counts_what_waits_by_the_counters_and_by_the_queue() -> None:
    pages = {
        f"http://a.example/{n}": linking(
            f"http://a.example/{n + 1}", f"http://a.example/x{n}", latency_s=0.01
        )
        for n in range(40)
    }
    crawl = Crawl(pages)
    await crawl.seed("http://a.example/0")
    await crawl.run(until=lambda: len(crawl.fetcher.asked) > 5)
    accounts = await balance(crawl.engine, crawl.layout)
    assert accounts.adds_up
    assert accounts.waiting == accounts.counts.waiting > 0
    by_shard = await shard_counts(crawl.engine, crawl.layout)
    assert sum(counts.discovered for counts in by_shard.values()) == accounts.counts.discovered
    await crawl.run()
    accounts = await balance(crawl.engine, crawl.layout)
    assert accounts.adds_up
    assert accounts.waiting == 0


async def test_a_message_that_went_missing_shows_in_the_balance() -> None:
    pages = {f"http://a.example/{n}": linking(f"http://a.example/{n + 1}") for n in range(500)}
    crawl = Crawl(pages)
    await crawl.seed("http://a.example/0")
    await crawl.run(until=lambda: len(crawl.fetcher.asked) > 3)
    lost = await crawl.batch()
    await crawl.engine.queue.settle([Settlement.done(delivery) for delivery in lost])
    assert not (await balance(crawl.engine, crawl.layout)).adds_up
