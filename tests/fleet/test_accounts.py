"""Reading a crawl's accounts again and again: what each reading asks of the engine, and that it misses no shard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from support.functions import Fleet
from support.web import Web

from airless.fleet.accounts import AccountsReader, read_accounts


class Listings:
    """Counts how often the state of an engine is listed."""

    def __init__(self, engine: Any) -> None:
        self.number = 0
        self._list = engine.state.list
        engine.state.list = self

    def __call__(self, prefix: str) -> AsyncIterator[str]:
        self.number += 1
        return self._list(prefix)


async def test_shards_are_seldom_listed() -> None:
    fleet = Fleet()
    engine = fleet.engine()
    listings = Listings(engine)
    reader = AccountsReader(engine, fleet.layout)
    for _ in range(64):
        await reader.read()
    assert listings.number == 7  # the readings 1, 2, 4, … 64
    await reader.read(listing=True)
    assert listings.number == 8


async def test_a_shard_that_another_sends_something_to_is_read_without_being_listed() -> None:
    fleet = Fleet(shards=64)
    fleet.job = replace(fleet.job, private_hosts=frozenset({"127.0.0.1", "localhost"}))
    with Web() as web:
        there = web.url("/there", host="localhost")
        web.pages["/"] = f'<a href="{there}">there</a>'
        web.pages["/there"] = "there"
        await fleet.begin(web.url("/"))
        engine, host = fleet.engine(), fleet.process()
        listings = Listings(engine)
        reader = AccountsReader(engine, fleet.layout)
        await fleet.invoke(host, await fleet.receive())
        assert [(await reader.read()).counts.fetched for _ in range(2)] == [1, 1]
        await fleet.run(host)
        await host.aclose()
    listings.number = 0
    accounts = await reader.read()
    assert (accounts.counts.fetched, len(fleet.documents()), listings.number) == (2, 2, 0)
    listed = await read_accounts(engine, fleet.layout)
    assert (accounts.segments, accounts.published) == (listed.segments, listed.published)
