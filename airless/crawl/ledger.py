"""The run as it is recorded: what was started, how far its seeds are, how it ended; and its shards' sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from airless.core.errors import Conflict, EngineError
from airless.core.ports import Engine, StateWrite, Versioned
from airless.core.steps import peek
from airless.crawl.counts import Counts
from airless.crawl.layout import Layout
from airless.crawl.records import progress_of, read_document

WAITING = "waiting"
RUNNING = "running"
INTERRUPTED = "interrupted"
LIMITED = "limited"
FINISHED = "finished"

_TRIES = 20


@dataclass(slots=True)
class Record:
    """The run's document. `seeded` counts the start requests published, in so many `messages`; `all_seeded`: all.

    Of a crawl that others work on, `counts` are its counters when it had come to its end, at `ended_at` (epoch).
    """

    spider: str
    shards: int
    spread: int
    started_at: float
    status: str = RUNNING
    reason: str = ""
    seeded: int = 0
    messages: int = 0
    all_seeded: bool = False
    seconds: float = 0.0
    private_hosts: list[str] = field(default_factory=list)
    output: str | None = None
    seeds: list[str] = field(default_factory=list)
    counts: dict[str, Any] | None = None
    ended_at: float = 0.0


class Ledger:
    """Reads and writes the run's document. On this machine the crawl's main process is the only one that does."""

    def __init__(self, engine: Engine, job: str) -> None:
        self._engine = engine
        self._key = f"crawl/{job}/run"
        self._version: str | None = None

    async def load(self) -> Record | None:
        return self._read(await self._engine.state.load(self._key))

    async def look(self) -> Record | None:
        """As `load`, disturbing nobody: seeds of which the publishing was cut off are not published by this."""
        return self._read(await peek(self._engine.state, self._key))

    async def amend(self, change: Callable[[Record], None]) -> Record | None:
        """Change the record as it stands, whoever else writes it; for crawls that publish no seeds any more.

        A change that changes nothing writes nothing.
        """
        for _ in range(_TRIES):
            record = await self.look()
            if record is None:
                return None
            before = replace(record)
            change(record)
            if record == before:
                return record
            try:
                await self.save(record)
            except Conflict:
                continue
            return record
        raise Conflict(self._key)

    def _read(self, stored: Versioned | None) -> Record | None:
        if stored is None:
            return None
        self._version = stored.version
        try:
            return Record(**orjson.loads(stored.data))
        except (ValueError, TypeError) as error:
            raise EngineError(
                f"the state of this job can't be read: {error}; --restart begins anew"
            ) from error

    def write(self, record: Record) -> StateWrite:
        """The compare-and-set that makes `record` the run's; give its new version to `wrote`."""
        return StateWrite(self._key, orjson.dumps(_fields(record)), self._version)

    def wrote(self, version: str) -> None:
        self._version = version

    async def save(self, record: Record) -> None:
        self.wrote(await self._engine.state.commit(self.write(record)))


@dataclass(frozen=True, slots=True)
class Balance:
    """The accounts when nothing runs: the counters, and what waits as the queue itself has it."""

    counts: Counts
    waiting: int

    @property
    def adds_up(self) -> bool:
        return self.counts.waiting == self.waiting and self.waiting >= 0


async def shard_counts(engine: Engine, layout: Layout) -> dict[int, Counts]:
    """The counters of every shard, as committed."""
    found: dict[int, Counts] = {}
    async for key in engine.state.list(layout.shard_prefix):
        stored = await engine.state.load(key)
        if stored is not None:
            found[int(key.removeprefix(layout.shard_prefix))] = Counts.from_dict(
                read_document(stored.data)["counts"]
            )
    return found


async def balance(engine: Engine, layout: Layout) -> Balance:
    """Count what waits in two ways: by the counters, and by the queue's messages less what ended of them."""
    total = Counts()
    besides = 0
    async for key in engine.state.list(layout.shard_prefix):
        stored = await engine.state.load(key)
        if stored is None:
            continue
        doc: Mapping[str, Any] = read_document(stored.data)
        total.add(Counts.from_dict(doc["counts"]))
        besides += sum(progress.weight for progress in progress_of(dict(doc)).values())
    depth = await engine.queue.depth(layout.topic)
    return Balance(total, depth.weight + besides)


def _fields(record: Record) -> dict[str, Any]:
    return {name: getattr(record, name) for name in Record.__slots__}
