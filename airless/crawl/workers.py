"""Workers: each takes a request whose turn it is, then the next, until there is none. No page is a task."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

from airless.core.clock import Clock
from airless.crawl.budget import Budget, Unlimited
from airless.crawl.held import Entry
from airless.crawl.levels import Levels
from airless.crawl.places import Places
from airless.crawl.schedule import HostQueue, Schedule, Turn


class Workers:
    """Gives turns to workers as hosts and the budget allow, until `stop` or the deadline (epoch seconds).

    There are as many workers as find something to do, up to the `limit`; those that are too many go after their turn.
    `waits` counts how often one found nothing more. `places` are shared with the other crawlers of the process.
    """

    def __init__(
        self,
        schedule: Schedule,
        budget: Budget,
        clock: Clock,
        *,
        limit: int,
        levels: Levels | None,
        deadline_s: float,
        places: Places | None = None,
    ) -> None:
        self.limit = limit
        self.waits = 0
        self._number = 0
        self._schedule = schedule
        self._budget = budget
        self._limited = not isinstance(budget, Unlimited)
        self._clock = clock
        self._levels = levels
        self._deadline_s = deadline_s
        self._place = None if places is None else places.join(self.pump)
        self._deepest = math.inf
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._drained = asyncio.Event()
        self._stopped = False
        self.stopping = asyncio.Event()
        self.on_idle: Callable[[], None] = lambda: None
        self.under_way = 0

    @property
    def idle(self) -> bool:
        """There may be more workers than have something to do."""
        return self._number < self.limit

    @property
    def starved(self) -> bool:
        """Nothing is under way, and the budget lets nothing start."""
        return not self.under_way and self._budget.spent

    @property
    def held_back(self) -> bool:
        """As many are under way as may be, or nearly so."""
        return self.under_way >= 0.9 * self.limit

    def begin(self, group: asyncio.TaskGroup, turn: Callable[[HostQueue, Entry], Awaitable[None]]) -> None:
        """Have workers from now on; `turn` is what they do, as tasks of the `group`."""
        self._group, self._turn = group, turn
        self.pump()

    async def _work(self, taken: Turn | None) -> None:
        """One worker: takes turns until there is none, or until it is one too many."""
        while taken is not None:
            await self._turn(*taken)
            taken = next(iter(self.following()), None)
        self._number -= 1
        if self.stopping.is_set():
            return
        if self._number >= self.limit:
            # What its turn made possible is left to others.
            self.pump()
            return
        self.waits += 1
        self._set_timer()
        self.on_idle()

    def following(self, number: int = 1, *, waited: bool = False) -> list[Turn]:
        """The next turns of so many workers; fewer where they have to wait.

        None where there are too many workers, unless they have `waited`.
        """
        if self._stopped or (self._number > self.limit and not waited) or self._budget.spent:
            return []
        now = self._clock.now()
        if now >= self._deadline_s:
            self.stop()
            return []
        deepest = math.inf if self._levels is None else self._deepest_now(self._levels)
        wanted = number
        if self._place is not None:
            number = self._place.room(wanted)
        turns = self._schedule.take(now, number, deepest)
        if self._place is not None and len(turns) == number < wanted and self._schedule.may_start(now):
            self._place.wait()
        if self._limited:
            self._cut(turns, now)
        self.under_way += len(turns)
        if self._place is not None:
            self._place.take(len(turns))
        if not waited and self.idle and len(turns) == wanted and self._schedule.has_ready:
            # More became free than these workers can take.
            self.pump()
        return turns

    def ended(self, number: int, counting: int) -> None:
        """So many turns are over; those that count used up their place in the budget."""
        for _ in range(number - counting):
            self._budget.give_back()
        self.under_way -= number
        if self._place is not None:
            self._place.give_back(number)
        if not self.under_way and self._stopped:
            self._drained.set()

    def pump(self) -> None:
        """Have workers for what may start."""
        while self._group is not None and self.idle:
            turns = self.following(waited=True)
            if not turns:
                break
            self._add(self._group, turns[0])
        if self.stopping.is_set():
            if not self.under_way:
                self._drained.set()
            return
        self._set_timer()

    def stop(self) -> None:
        """Start nothing more."""
        self._stopped = True
        self.stopping.set()
        self.pump()

    def cut_off(self) -> None:
        """Let go of what is under way: it counts as never begun."""
        self._stopped = True
        self.stopping.set()
        for task in self._tasks:
            task.cancel()
        self.ended(self.under_way, 0)

    async def drained(self) -> None:
        """Wait until nothing is under way."""
        while self.under_way:
            self._drained.clear()
            await self._drained.wait()

    def close(self) -> None:
        """The workers are gone: neither a timer nor a late `stop` hands out work any more."""
        self._stopped = True
        self.stopping.set()
        if self._place is not None:
            self._place.leave()
        if self._timer is not None:
            self._timer.cancel()

    def _add(self, group: asyncio.TaskGroup, turn: Turn) -> None:
        self._number += 1
        work = self._work(turn)
        try:
            task = group.create_task(work)
        except RuntimeError:
            # The run has failed just now, and begins nothing more.
            work.close()
            self._stopped = True
            return
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _cut(self, turns: list[Turn], now: float) -> None:
        """Put back what the budget doesn't allow."""
        allowed = 0
        while allowed < len(turns) and self._budget.take():
            allowed += 1
        while len(turns) > allowed:
            queue, entry = turns.pop()
            queue.pace.finished(now, status=None, latency_s=0.0)
            self._schedule.put_back(queue, entry)

    def _set_timer(self) -> None:
        """Look again when the next host may be asked."""
        at = self._schedule.next_at()
        if self._timer is not None:
            if at == self._timer_at:
                return
            self._timer.cancel()
            self._timer = None
        if self.idle and at < math.inf:
            delay_s = max(0.001, at - self._clock.now())
            self._timer_at = at
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._look_again)

    def _look_again(self) -> None:
        self._timer = None
        self.pump()

    def _deepest_now(self, levels: Levels) -> float:
        deepest = levels.deepest()
        if deepest != self._deepest:
            self._deepest = deepest
            self._schedule.wake_all()
        return deepest
