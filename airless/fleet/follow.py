"""Following a crawl that others work on, to its end: who follows does no work, and may leave at any time."""

from __future__ import annotations

import asyncio
import contextlib

from airless.core.clock import Clock
from airless.core.ports import Engine
from airless.cost.budget import CostBudget
from airless.cost.usage import Metered
from airless.crawl.counts import Counts
from airless.crawl.job import Job
from airless.crawl.ledger import FINISHED, LIMITED, RUNNING, Ledger, Record
from airless.crawl.orders import CANCELLED, MAX_PAGES, PAUSED, Orders, orders_of, parked, stop, unpark
from airless.fleet.accounts import Accounts, AccountsReader
from airless.local.crawl.run import Control, Progress, Result

# Every reading asks for the state of each shard, and is billed: a crawl of hours is looked at less often.
_FIRST_POLL_S = 0.5
_LONGEST_POLL_S = 15.0
_SLOWER = 1.1
_UNPARK_S = 15.0


class Follower:
    """Looks at the accounts now and then, tells of them, and gives the order to stop at a limit."""

    def __init__(
        self,
        engine: Engine,
        job: Job,
        record: Record,
        ledger: Ledger,
        *,
        control: Control,
        clock: Clock,
        budget: CostBudget | None = None,
    ) -> None:
        self._engine = engine
        self._job = job
        self._record = record
        self._ledger = ledger
        self._budget = budget
        self._control = control
        self._clock = clock
        self._began = clock.monotonic()
        self._reader = AccountsReader(engine, job.layout)
        self._unpark_s = self._began
        self._stop: str | None = None

    async def run(self) -> tuple[Result, Accounts]:
        """Until the crawl has ended or stands still (at a limit, or since somebody had it stop), or `control` is
        interrupted: then it goes on.

        It has ended when as many messages have ended as were published, over all shards, in two readings alike:
        then nothing had changed between them. It stands still when all others are parked. The latter of the two has to
        know every shard.
        """
        accounts = await self._read()
        before, poll_s, status = accounts.counts, _FIRST_POLL_S, RUNNING
        while True:
            nearly, earlier = status != RUNNING, accounts
            accounts = await self._read(listing=nearly)
            status = await self._status(accounts)
            alike = (earlier.published, earlier.ended) == (accounts.published, accounts.ended)
            if alike and status == RUNNING and self._stop is None:
                await self._unpark()
            if (status != RUNNING and alike and nearly) or self._control.interrupted:
                break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(poll_s if status == RUNNING else _FIRST_POLL_S):
                    await self._control.stopped()
            poll_s = min(_LONGEST_POLL_S, poll_s * _SLOWER)
        if not (alike and nearly):
            status = RUNNING  # interrupted at its end, as it seems
        return await self._result(status, accounts, before), accounts

    async def _read(self, *, listing: bool = False) -> Accounts:
        accounts = await self._reader.read(listing=listing)
        if isinstance(self._engine, Metered):
            accounts.usage.add(self._engine.usage)
            accounts.usage.fetched_bytes = accounts.counts.wire_bytes
        if self._control.on_progress is not None:
            self._control.on_progress(Progress(accounts.counts, 0, 0, accounts.hosts, self._seconds))
        return accounts

    async def _unpark(self) -> None:
        """Somebody may have parked messages after an order of yesterday. Looking for them is billed, too."""
        now = self._clock.monotonic()
        if now >= self._unpark_s:
            self._unpark_s = now + _UNPARK_S
            await unpark(self._engine, self._job.layout)

    async def _status(self, accounts: Accounts) -> str:
        if self._left(accounts) <= 0 and await self._left_now(accounts) <= 0:
            return FINISHED
        layout = self._job.layout
        standing = await orders_of(self._engine, layout)
        self._stop = standing.reason(self._clock.now())
        if self._stop is None:
            limit = self._limit_reached(standing, accounts)
            if limit is not None:
                self._stop = (await stop(self._engine, layout, limit, number=standing.number)).stop
            return RUNNING
        if self._stop == CANCELLED:
            return CANCELLED
        aside = await parked(self._engine, layout)
        if aside < self._left(accounts) or aside < await self._left_now(accounts):
            return RUNNING
        return PAUSED if self._stop == PAUSED else LIMITED

    def _left(self, accounts: Accounts) -> int:
        """How many messages have not ended."""
        return accounts.published + self._record.messages - accounts.ended

    async def _left_now(self, accounts: Accounts) -> int:
        """As `_left`; somebody may have had what failed tried again since the record was read."""
        self._record = await self._ledger.look() or self._record
        return self._left(accounts)

    def _limit_reached(self, standing: Orders, accounts: Accounts) -> str | None:
        if standing.most_pages is not None and accounts.counts.fetched >= standing.most_pages:
            return MAX_PAGES
        return None if self._budget is None else self._budget.stop_reason(accounts.usage)

    @property
    def _seconds(self) -> float:
        return self._clock.monotonic() - self._began

    async def _result(self, status: str, accounts: Accounts, before: Counts) -> Result:
        counts, messages = accounts.counts, self._record.messages

        def end(record: Record) -> None:
            if record.messages != messages:
                return  # it goes on: somebody has what failed tried again
            record.seconds += self._seconds
            if record.status == CANCELLED:
                return
            record.status = status
            record.reason = FINISHED if status == FINISHED else str(self._stop)
            if status == FINISHED:
                record.counts = counts.to_dict()
                record.ended_at = accounts.last_s or self._clock.now()
            elif status == CANCELLED:
                record.ended_at = self._clock.now()

        record = self._record
        if status != RUNNING:
            record = await self._ledger.amend(end) or record
        return Result(
            job=self._job.name,
            status=status,
            reason=record.reason if status != RUNNING else self._control.reason,
            counts=counts,
            waiting=counts.waiting,
            seconds=self._seconds,
            total_seconds=record.seconds or self._seconds,
            adds_up=status != FINISHED or not counts.waiting,
            before=before,
            usage=accounts.usage if accounts.usage.invocations else None,
        )
