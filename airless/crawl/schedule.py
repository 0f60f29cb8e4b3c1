"""Whose turn it is: a queue for each host, so that a slow or a hot host never holds up the others."""

from __future__ import annotations

import heapq
import math
from bisect import insort
from collections import deque
from collections.abc import Callable, Sequence

from airless.crawl.held import Entry, Held
from airless.crawl.pace import HostPace
from airless.crawl.request import Request
from airless.crawl.robots import Rules

HostRules = tuple[str, float, Rules]
"""How the URLs begin for which the rules count, up to their path's "/", and until when they do."""

# Idle hosts are forgotten beyond this number, so that a broad crawl's memory is bounded.
_REMEMBERED_HOSTS = 10_000
# How far ahead turns are counted on: some of those in front may need none.
_FORESEEN_S = 900.0


class HostQueue:
    """What waits for one host, and that host's pace. Highest priority first, then nearest to the seeds.

    While `probing`, before the host's robots.txt is known, one request at a time may be under way. `pages` is
    how many it gave; no more are under way than are left of its `cap`. `rules` is what the gate remembers of it.
    `wary`: somebody who left no word may have asked the host just before. `unread` is an origin whose robots.txt
    can't be had, and what is known of it (`RobotsCache.dump`).
    """

    __slots__ = (
        "_lanes",
        "_order",
        "blocked_until",
        "cap",
        "crawl_delay_s",
        "host",
        "pace",
        "pages",
        "probing",
        "queued",
        "rules",
        "size",
        "unread",
        "wary",
    )

    def __init__(self, host: str, pace: HostPace, *, pages: int = 0, cap: float = math.inf) -> None:
        self.host = host
        self.pace = pace
        self.pages = pages
        self.cap = cap
        self.blocked_until = 0.0
        self.crawl_delay_s = 0.0
        self.probing = False
        self.wary = False
        self.unread: tuple[str, str] | None = None
        self.queued = False
        self.rules: HostRules | None = None
        self.size = 0
        self._lanes: dict[tuple[int, int], deque[Entry]] = {}
        self._order: list[tuple[int, int, deque[Entry]]] = []

    @property
    def spent(self) -> bool:
        """The host has given as many pages as it may."""
        return self.pages >= self.cap

    def push(self, entries: Sequence[Entry]) -> None:
        priority = depth = None
        for entry in entries:
            request = entry.request
            # What comes together mostly goes together.
            if request.depth != depth or request.priority != priority:
                depth, priority = request.depth, request.priority
                lane = self._lane(request)
            lane.append(entry)
        self.size += len(entries)

    def push_back(self, entry: Entry) -> None:
        """Put an entry back in front: its turn had come but the host could not take it."""
        self._lane(entry.request).appendleft(entry)
        self.size += 1

    def take(self, now: float, deepest: float = math.inf) -> Entry | None:
        """The next entry no further than `deepest` from the seeds, its start told to the pace; None if none may."""
        for place in self._order:
            if place[1] <= deepest:
                break
        else:
            return None
        pace = self.pace
        under_way = pace.in_flight
        if under_way and (self.probing or self.pages + under_way >= self.cap):
            return None
        if now < self.blocked_until or not pace.start(now):
            return None
        lane = place[2]
        entry = lane.popleft()
        if not lane:
            del self._lanes[place[:2]]
            self._order.remove(place)
        self.size -= 1
        return entry

    def ready_at(self, now: float) -> float:
        """When the next request may start; infinite while something else has to happen first."""
        pace = self.pace
        under_way = pace.in_flight
        if under_way and (self.probing or self.pages + under_way >= self.cap):
            return math.inf
        at = pace.ready_at(now)
        return at if at > self.blocked_until else self.blocked_until

    def entries(self) -> list[Entry]:
        """Everything that waits here, in the order of its turns."""
        return [entry for _, _, lane in self._order for entry in lane]

    def take_all(self) -> list[Entry]:
        """Everything that waits here, taken out."""
        entries = self.entries()
        self._lanes.clear()
        self._order.clear()
        self.size = 0
        return entries

    def _lane(self, request: Request) -> deque[Entry]:
        key = (-request.priority, request.depth)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = deque()
            insort(self._order, (*key, lane))
        return lane

    def drain_s(self, now: float) -> float:
        """About how long what waits here will last: at the least, a turn of the pace for each."""
        at = self.ready_at(now)
        gap_s = max(0.01, at - now) if at < math.inf else 0.05
        return self.size * gap_s / self.pace.limit


Turn = tuple[HostQueue, Entry]


class Schedule:
    """Entries by host, handed out in turns: one a host a round, each when its host's pace allows."""

    def __init__(self, new_host: Callable[[str], HostQueue]) -> None:
        self._new_host = new_host
        self._hosts: dict[str, HostQueue] = {}
        self._ready: deque[HostQueue] = deque()
        self._later: list[tuple[float, int, HostQueue]] = []
        self._ticket = 0
        self._now = 0.0
        self._forget_at = _REMEMBERED_HOSTS
        self.size = 0

    @property
    def hosts(self) -> int:
        return len(self._hosts)

    def host(self, name: str) -> HostQueue:
        queue = self._hosts.get(name)
        if queue is None:
            if len(self._hosts) >= self._forget_at:
                self._forget_idle()
                # Where most hosts can't be forgotten, looking through them again has to be rare.
                self._forget_at = max(_REMEMBERED_HOSTS, 2 * len(self._hosts))
            queue = self._hosts[name] = self._new_host(name)
        return queue

    def add(self, host: str, *entries: Entry) -> None:
        queue = self.host(host)
        queue.push(entries)
        self.size += len(entries)
        self.wake(queue)

    def put_back(self, queue: HostQueue, entry: Entry) -> None:
        """Return an entry whose turn has to come again."""
        queue.push_back(entry)
        self.size += 1
        self.wake(queue)

    def wake(self, queue: HostQueue) -> None:
        """Something changed for this host: a request ended, or what held it has gone."""
        if queue.size and not queue.queued:
            queue.queued = True
            self._ready.append(queue)

    def wake_all(self) -> None:
        """Requests further from the seeds than before may start."""
        for queue in self._hosts.values():
            self.wake(queue)

    def take(self, now: float, number: int = 1, deepest: float = math.inf) -> list[Turn]:
        """The next entries that may start now, no further than `deepest` from the seeds; so many at the most."""
        self._now = now
        turns: list[Turn] = []
        later = self._later
        while later and later[0][0] <= now:
            self._ready.append(heapq.heappop(later)[2])
        ready = self._ready
        while ready and len(turns) < number:
            queue = ready.popleft()
            entry = queue.take(now, deepest)
            if entry is not None:
                turns.append((queue, entry))
                pace = queue.pace
                # One that has as much under way as it may is looked at again when something of it has ended.
                if queue.size and pace.in_flight < pace.limit:
                    ready.append(queue)
                else:
                    queue.queued = False
            else:
                self._look_later(queue, now)
        self.size -= len(turns)
        return turns

    def may_start(self, now: float) -> bool:
        """Whether the pace of a host lets something start now."""
        ready = self._ready
        while ready:
            if ready[0].size and ready[0].ready_at(now) <= now:
                return True
            self._look_later(ready.popleft(), now)
        return False

    def _look_later(self, queue: HostQueue, now: float) -> None:
        """Look at the host again when its time has come, or something of it has ended."""
        if queue.size and now < (at := queue.ready_at(now)) < math.inf:
            self._ticket += 1
            heapq.heappush(self._later, (at, self._ticket, queue))
        else:
            queue.queued = False

    @property
    def has_ready(self) -> bool:
        """A host waits to be looked at; whether its pace allows anything is another question."""
        return bool(self._ready)

    def next_at(self) -> float:
        """When `take` may have something again, as far as time alone decides; infinite if it doesn't."""
        return self._later[0][0] if self._later else math.inf

    def take_all(self, queue: HostQueue) -> list[Entry]:
        """Everything that waits for one host, taken out."""
        self.size -= queue.size
        return queue.take_all()

    def under_way(self) -> list[HostQueue]:
        """The hosts that requests are on their way to."""
        return [queue for queue in self._hosts.values() if queue.pace.in_flight]

    def waits_s(self, now: float) -> dict[Held, float]:
        """How long each message with requests here has to wait until one of them may start.

        Those behind others of their host have to wait for the turns of these too, as long as that can be told.
        """
        waits: dict[Held, float] = {}
        for queue in self._hosts.values():
            if not queue.size:
                continue
            first_s, gap_s = max(0.0, queue.ready_at(now) - now), queue.pace.gap_s
            for place, entry in enumerate(queue.entries()):
                wait_s = first_s + min(place * gap_s, _FORESEEN_S)
                waits[entry.held] = min(wait_s, waits.get(entry.held, math.inf))
        return waits

    def late(self, now: float, after_s: float) -> dict[str, float]:
        """The hosts that can't take one request more within `after_s`, and when they can."""
        late: dict[str, float] = {}
        for queue in self._hosts.values():
            at = queue.ready_at(now)
            if now + after_s < at < math.inf:
                late[queue.host] = at + min(queue.size * queue.pace.gap_s, _FORESEEN_S)
        return late

    def drain(self) -> list[Entry]:
        """Everything that waits, taken out."""
        return [entry for queue in self._hosts.values() for entry in self.take_all(queue)]

    def let_go(self) -> None:
        """Forget all hosts."""
        self._hosts.clear()
        self._ready.clear()
        self._later.clear()

    def _forget_idle(self) -> None:
        idle = [q.host for q in self._hosts.values() if not q.size and not q.queued and not q.pace.in_flight]
        for host in idle[: len(idle) // 2 + 1]:
            if self._hosts[host].pace.dump(self._now) is None:
                del self._hosts[host]
