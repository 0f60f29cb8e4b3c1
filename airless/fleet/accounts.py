"""A crawl's accounts as its shards have committed them, read without disturbing who works on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from airless.core.at_once import each
from airless.core.ports import Engine
from airless.core.steps import peek
from airless.cost.usage import Usage
from airless.crawl.counts import Counts
from airless.crawl.layout import Layout
from airless.crawl.records import read_document

_AT_ONCE = 16


@dataclass(slots=True)
class Accounts:
    """The sums over all shards. `published` and `ended` count messages, `segments` names those of items, in order.

    `usage` is what those who work on the crawl have used of a cloud, as far as they have told.
    """

    counts: Counts = field(default_factory=Counts)
    published: int = 0
    ended: int = 0
    segments: list[str] = field(default_factory=list)
    hosts: int = 0
    usage: Usage = field(default_factory=Usage)


async def read_accounts(engine: Engine, layout: Layout) -> Accounts:
    """What is committed. Each shard as of one moment, but not all of the same: a sum may be behind itself."""
    keys = [key async for key in engine.state.list(layout.shard_prefix)]
    accounts = Accounts()
    for stored in await each(partial(peek, engine.state), keys, at_once=_AT_ONCE):
        if stored is None:
            continue
        doc = read_document(stored.data)
        accounts.counts.add(Counts.from_dict(doc["counts"]))
        published, ended = doc["messages"]
        accounts.published += published
        accounts.ended += ended
        accounts.segments += doc["items"]
        accounts.hosts += len(doc["hosts"])
        if "usage" in doc:
            accounts.usage.add(Usage.from_dict(doc["usage"]))
    return accounts
