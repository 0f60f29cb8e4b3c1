"""The shards that this process owns, as far as it has met them, and the hosts that it knows from them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterator

from airless.core.ports import Engine, Settlement
from airless.crawl.counts import Counts
from airless.crawl.failed import AT_A_CALL
from airless.crawl.layout import Layout
from airless.crawl.levels import Levels
from airless.crawl.pace import HostPace
from airless.crawl.records import read_failed
from airless.crawl.request import Request
from airless.crawl.schedule import HostQueue
from airless.crawl.sent import Sent
from airless.crawl.settings import Settings
from airless.crawl.shard import Shard
from airless.crawl.warm import WarmShards


class Shards:
    """Loads a shard when it is first needed; afterwards this process holds it. `owns` says which are ours.

    `loaded` are those in hand, by index. `sent` is what they published last. `strays` are settlements of
    messages that belong to no shard, `laid_aside` objects to keep of them (by name); the next commit takes
    both. `warm` are the shards that outlive this. `wary_at` says when somebody was here before and died, who
    may have asked any host just then.
    """

    def __init__(
        self,
        engine: Engine,
        layout: Layout,
        settings: Settings,
        *,
        owns: Callable[[int], bool],
        rng: random.Random,
        warm: WarmShards | None = None,
    ) -> None:
        self.layout = layout
        self.loaded: dict[int, Shard] = {}
        self._came_with: dict[int, Counts] = {}
        self.owned_indexes = [index for index in range(layout.shards) if owns(index)]
        self.levels: Levels | None = None
        self.strays: list[Settlement] = []
        self.laid_aside: dict[str, bytes] = {}
        self.sent = Sent()
        self.wary_at: float | None = None
        self._warm = warm
        self._engine = engine
        self._settings = settings
        self._owns = owns
        self._rng = rng

    def __iter__(self) -> Iterator[Shard]:
        return iter(list(self.loaded.values()))

    async def get(self, index: int) -> Shard:
        shard = self.loaded.get(index)
        if shard is None:
            if self._warm is not None:
                shard = await self._warm.take(self._engine, self.layout, index)
            else:
                shard = await Shard.load(self._engine, self.layout, index, self.sent)
            self.loaded[index] = shard
            self._came_with[index] = shard.counts.copy()
            if self.levels is not None:
                for depth, number in shard.levels.items():
                    self.levels.enter(depth, number)
        return shard

    async def bring_back(self, shard: Shard, reasons: Collection[str]) -> None:
        """Publish what has failed of a shard once more, as much of it as is read at once. See `Shard.bring_back`.

        Raises EngineError where it can't be read.
        """
        segments: dict[str, bytes] = {}
        # A commit that is made meanwhile may move the latest of it to a segment.
        while missing := [name for name in shard.failed.segments[:AT_A_CALL] if name not in segments]:
            segments.update(zip(missing, await read_failed(self._engine, missing), strict=True))
        for failure in shard.bring_back(segments, reasons):
            # What has come since is counted without what was there before.
            self._came_with[shard.index].bring_back(failure.reason)
            self.entered(shard, failure.request)

    def counted(self) -> Counts:
        """What has been counted since the shards came here."""
        counts = Counts()
        for index, shard in self.loaded.items():
            counts.add(shard.counts.since(self._came_with[index]))
        return counts

    def keep_warm(self) -> None:
        """Leave what is in hand, all of it committed, to the next who works here."""
        if self._warm is not None:
            for shard in self:
                self._warm.keep(shard)

    def let_go(self) -> None:
        """Have none in hand any more."""
        self.loaded.clear()
        self._came_with.clear()

    def touch(self, host: str) -> None:
        """Have the next commit remember a host."""
        for index in self._parts(host):
            if (shard := self.loaded.get(index)) is not None:
                shard.touched.add(host)
                shard.dirty = True

    async def load_stored(self) -> None:
        """Load every owned shard that has a state: who goes by levels must know of all that waits."""
        if len(self.owned_indexes) == 1:
            await self.get(self.owned_indexes[0])
            return
        async for key in self._engine.state.list(self.layout.shard_prefix):
            index = int(key.removeprefix(self.layout.shard_prefix))
            if self._owns(index):
                await self.get(index)

    def owned(self, index: int) -> Shard | None:
        """The shard, where it is ours and loaded."""
        shard = self.loaded.get(index)
        return shard if shard is not None and self._owns(index) else None

    def full(self, buffer: int) -> list[Shard]:
        """Those with at least that many requests in hand."""
        return [shard for shard in self.loaded.values() if shard.buffered >= buffer]

    def home(self, index: int) -> int:
        """The shard that records a message which belongs to none: its first request's, or one of ours."""
        return index if self._owns(index) else next(iter(self.owned_indexes), index)

    @property
    def dirty(self) -> bool:
        return any(shard.dirty for shard in self.loaded.values())

    def entered(self, shard: Shard, request: Request) -> None:
        """A request was admitted, and waits."""
        if self.levels is not None:
            shard.levels[request.depth] = shard.levels.get(request.depth, 0) + 1
            self.levels.enter(request.depth)

    def left(self, shard: Shard, request: Request) -> None:
        """A request has ended."""
        if self.levels is not None and shard.levels.get(request.depth):
            shard.levels[request.depth] -= 1
            if not shard.levels[request.depth]:
                del shard.levels[request.depth]
            self.levels.leave(request.depth)

    def new_host(self, host: str, *, probing: bool) -> HostQueue:
        """A host's queue, with what its shards remember of it."""
        pace = HostPace(self._settings.pace, self._rng)
        parts = self._parts(host)
        # Rounded up: where the parts can't be divided evenly, the shares must not exceed the whole.
        pace.share(math.ceil(self.layout.spread / max(1, sum(map(self._owns, parts)))))
        pages = 0
        unread: tuple[str, str] | None = None
        for index in parts:
            shard = self.loaded.get(index)
            remembered = shard.hosts.get(host) if shard else None
            if remembered:
                pages += int(remembered.get("pages", 0))
                if remembered.get("pace"):
                    pace.restore(remembered["pace"])
                if remembered.get("robots"):
                    site, known = remembered["robots"]
                    unread = str(site), str(known)
        if self.wary_at is not None:
            pace.started_elsewhere(self.wary_at)
        queue = HostQueue(host, pace, pages=pages, cap=self._settings.traps.host_pages)
        queue.probing = probing
        queue.wary = self.wary_at is not None
        queue.unread = unread
        return queue

    def _parts(self, host: str) -> list[int]:
        first = self.layout.shard_of(host, 0)
        return [(first + offset) % self.layout.shards for offset in range(self.layout.spread)]

    def remember(self, shard: Shard, queue: HostQueue, now: float) -> None:
        """Note what is worth remembering of a host; the page count only once the cap comes near."""
        record: dict[str, object] = {}
        pace = queue.pace.dump(now)
        if pace:
            record["pace"] = pace
        if queue.pages * 10 >= self._settings.traps.host_pages:
            record["pages"] = queue.pages
        if queue.unread is not None:
            record["robots"] = queue.unread
        shard.remember(queue.host, record or None)
