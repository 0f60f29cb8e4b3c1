"""Commits in groups: everything applied since the last one becomes durable together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airless.core.clock import Clock
from airless.core.ports import Commit, Engine
from airless.crawl.schedule import Schedule
from airless.crawl.shard import Shard
from airless.crawl.shards import Shards
from airless.crawl.workers import Workers

if TYPE_CHECKING:
    from airless.cost.usage import Usage

VISITS = 4_000
ITEM_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often is committed: every `interval_s` at the latest, and at first, from `first_s` on, more often.

    In between, after that `share` of the time since it began: with a share of 1 who dies loses half of what he did.
    `eager` commits also as soon as a worker has nothing to do: others may wait for what was found. Without it that
    is done only when nothing at all is under way, which is right where each commit costs money and what it publishes
    comes to a later invocation anyhow.
    """

    interval_s: float = 0.25
    # At first others wait for what a process finds, and it has little to commit.
    first_s: float = 0.03
    eager: bool = True
    share: float = 0.25


OFTEN = Cadence()


class Commits:
    """Writes what the shards have gathered: for a worker with nothing to do, for a large group, or in time.

    `committed` is called after each commit, with whether it published something, `committing` before each. `spent` says
    what was used of a cloud since it was last asked.
    """

    def __init__(
        self,
        engine: Engine,
        shards: Shards,
        schedule: Schedule,
        workers: Workers,
        clock: Clock,
        committed: Callable[[bool], None],
        cadence: Cadence = OFTEN,
        *,
        committing: Callable[[], None] = lambda: None,
        spent: Callable[[], Usage] | None = None,
    ) -> None:
        self._engine = engine
        self._shards = shards
        self._schedule = schedule
        self._workers = workers
        self._clock = clock
        self._committed = committed
        self._cadence = cadence
        self._committing = committing
        self._spent = spent
        self._change = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._under_way = False
        self._visits = 0
        self._item_bytes = 0

    @property
    def pending(self) -> bool:
        """Something is not durable yet."""
        return self._under_way or self._waiting

    @property
    def _waiting(self) -> bool:
        return bool(self._shards.strays) or self._shards.dirty

    def visited(self, visits: int, items: Sequence[bytes]) -> None:
        """So many visits were applied, and gave these items."""
        self._visits += visits
        self._item_bytes += sum(map(len, items))
        # Nobody is woken for a visit that can wait for the others of its group, or while a commit is made: its end
        # wakes them.
        if self._under_way:
            return
        if self._timer is None or self._visits >= VISITS or self._item_bytes >= ITEM_BYTES:
            self._change.set()

    def changed(self) -> None:
        """Something else was applied, or a worker waits."""
        self._change.set()

    def close(self) -> None:
        """Make no more commits; the last one is whoever closes's."""
        self._closing = True
        self._change.set()

    async def run(self) -> None:
        """Commit as needed, until closed."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            await self._change.wait()
            self._change.clear()
            if self._closing:
                return
            if not self._waiting:
                continue
            now = loop.time()
            cadence = self._cadence
            due = now + min(cadence.interval_s, max(cadence.first_s, (now - began) * cadence.share))
            self._timer = loop.call_at(due, self._change.set)
            try:
                while not self._wanted() and loop.time() < due:
                    await self._change.wait()
                    self._change.clear()
                    if self._closing:
                        return
            finally:
                self._timer.cancel()
                self._timer = None
            await self.commit()

    async def commit(self) -> None:
        """Make everything that was applied until now durable."""
        self._under_way = True
        self._visits = self._item_bytes = 0
        for shard in self._shards:
            # One that was settled may be somebody else's by now, who has merged what this one knows of.
            if shard.dirty:
                await shard.merge(self._engine)
        self._committing()
        commit, changed = self._collect()
        if changed or commit.settle:
            versions = await self._engine.commit(commit)
            for shard, version in zip(changed, versions, strict=True):
                shard.committed(version)
        self._under_way = False
        self._committed(bool(commit.publish))
        self._change.set()

    def _wanted(self) -> bool:
        if not self._schedule.size and self._nobody_is_busy():
            return True
        return self._visits >= VISITS or self._item_bytes >= ITEM_BYTES

    def _nobody_is_busy(self) -> bool:
        return self._workers.idle if self._cadence.eager else not self._workers.under_way

    def _collect(self) -> tuple[Commit, list[Shard]]:
        changed = [shard for shard in self._shards if shard.dirty]
        now = self._clock.now()
        put, self._shards.laid_aside = self._shards.laid_aside, {}
        settle, self._shards.strays = self._shards.strays, []
        publish, states, delete = [], [], []
        for shard in changed:
            for host in shard.touched:
                self._shards.remember(shard, self._schedule.host(host), now)
            shard.touched.clear()
            if self._spent is not None and shard is changed[0]:
                shard.use(self._spent())
            shard.committed_s = now
            part = shard.write()
            put.update(part.put)
            publish += part.publish
            settle += part.settle
            delete += part.delete
            states.append(part.state)
        return Commit(put=put, state=states, publish=publish, settle=settle, delete=delete), changed
