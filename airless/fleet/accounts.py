"""A crawl's accounts as its shards have committed them, read without disturbing who works on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

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

    `last_s` is when something was committed last (epoch; 0.0: never). `usage` is what those who work on the crawl have
    used of a cloud, as far as they have told.
    """

    counts: Counts = field(default_factory=Counts)
    published: int = 0
    ended: int = 0
    segments: list[str] = field(default_factory=list)
    hosts: int = 0
    last_s: float = 0.0
    usage: Usage = field(default_factory=Usage)


class AccountsReader:
    """Reads the accounts again and again, without listing the shards each time, which is what costs most.

    Each document that it has read says to whom that shard has sent something. Shards that only a seed led to are found
    by listing them, in the first reading, the second, the fourth, the eighth…
    """

    def __init__(self, engine: Engine, layout: Layout) -> None:
        self._engine = engine
        self._layout = layout
        self._known: set[str] = set()
        self._readings = 0

    async def read(self, *, listing: bool = False) -> Accounts:
        """What is committed. Each shard as of one moment, but not all of the same: a sum may be behind itself.

        Only a reading with `listing` is sure to know every shard.
        """
        self._readings += 1
        if listing or self._readings.bit_count() == 1:
            self._known.update([key async for key in self._engine.state.list(self._layout.shard_prefix)])
        documents: dict[str, dict[str, Any]] = {}
        while keys := sorted(self._known - documents.keys()):
            stored = await each(partial(peek, self._engine.state), keys, at_once=_AT_ONCE)
            for key, found in zip(keys, stored, strict=True):
                documents[key] = {} if found is None else read_document(found.data)
                self._known.update(self._layout.shard_key(to) for to, _ in documents[key].get("sent_to", ()))
        return _summed(documents[key] for key in sorted(documents) if documents[key])


async def read_accounts(engine: Engine, layout: Layout) -> Accounts:
    """What is committed now; see `AccountsReader`."""
    return await AccountsReader(engine, layout).read()


def _summed(documents: Iterable[Mapping[str, Any]]) -> Accounts:
    accounts = Accounts()
    for doc in documents:
        accounts.counts.add(Counts.from_dict(doc["counts"]))
        published, ended = doc["messages"]
        accounts.published += published
        accounts.ended += ended
        accounts.segments += doc["items"]
        accounts.hosts += len(doc["hosts"])
        accounts.last_s = max(accounts.last_s, doc.get("at", 0.0))
        if "usage" in doc:
            accounts.usage.add(Usage.from_dict(doc["usage"]))
    return accounts
