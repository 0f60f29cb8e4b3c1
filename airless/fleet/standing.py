"""How a crawl stands that others work on, and which crawls there are: as they are now, whoever follows them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from airless.core.clock import Clock
from airless.core.errors import ConfigError, EngineError
from airless.core.ports import Engine
from airless.crawl.counts import Counts
from airless.crawl.job import job_named
from airless.crawl.layout import JOBS, Layout
from airless.crawl.ledger import FINISHED, LIMITED, RUNNING, WAITING, Ledger, Record
from airless.crawl.orders import CANCELLED, PAUSED, orders_of, parked
from airless.fleet.accounts import Accounts, AccountsReader

UNREADABLE = "unreadable"

# A worker that has not heard of the order yet commits what it does, once more: no invocation lasts longer than this.
_TRAILING_S = 900.0


@dataclass(frozen=True, slots=True)
class Standing:
    """A crawl as it stands: waiting, running, paused, cancelled, limited or finished.

    One that waits was begun, and nobody has worked on it yet. `still` says that nobody works on it: what is left of one
    that has to stop is parked. `reason` is why it stopped. `left` are the messages that have not ended, `parked` those
    of them that are laid aside; `last_s` is when something was committed last, `ended_s` when it had ended (epoch; 0.0:
    not known). `seeded`: all its seeds are published.
    """

    job: str
    spider: str
    status: str
    still: bool = True
    reason: str = ""
    counts: Counts = field(default_factory=Counts)
    left: int = 0
    parked: int = 0
    started_s: float = 0.0
    last_s: float = 0.0
    ended_s: float = 0.0
    seeded: bool = True

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        counts = self.counts
        return {
            "job": self.job,
            "spider": self.spider,
            "status": self.status,
            "still": self.still,
            "reason": self.reason,
            **counts.to_dict(),
            "waiting": counts.waiting,
            "messages": self.left,
            "parked": self.parked,
            "seeded": self.seeded,
            "started_at": self.started_s or None,
            "last_at": self.last_s or None,
            "ended_at": self.ended_s or None,
        }


async def jobs(engine: Engine) -> AsyncIterator[str]:
    """The names of the crawls on an engine, in order. One listing finds a thousand of them."""
    async for key in engine.state.list(JOBS):
        yield key.removeprefix(JOBS)


async def standing_of(engine: Engine, job: str, clock: Clock) -> Standing:
    """How a crawl stands. Raises ConfigError where there is none of this name."""
    return await Look(engine, job, clock).look()


class Look:
    """Looks at a crawl, once or again and again. That it has finished is written down for those who look later."""

    def __init__(self, engine: Engine, job: str, clock: Clock) -> None:
        self._engine = engine
        self._job = job
        self._clock = clock
        self._ledger = Ledger(engine, job)
        self._reader: AccountsReader | None = None

    async def look(self) -> Standing:
        """The crawl as it stands. Raises ConfigError where there is none of this name, EngineError for a broken one."""
        record = await self._ledger.look()
        if record is None:
            return await self._hardly_begun()
        if record.counts is not None and record.status in {FINISHED, CANCELLED}:
            return _ended(self._job, record)
        layout = Layout(self._job, record.shards, record.spread)
        if self._reader is None:
            self._reader = AccountsReader(self._engine, layout)
        accounts = await self._reader.read()
        if record.all_seeded and _left(record, accounts) <= 0 and await self._is_over(record, accounts):
            return await self._record_end(record, FINISHED, accounts)
        reason = (await orders_of(self._engine, layout)).reason(self._clock.now())
        if reason == CANCELLED:
            return await self._cancelled(record, accounts)
        left, aside = max(0, _left(record, accounts)), 0
        if reason is not None:
            aside, status = await parked(self._engine, layout), PAUSED if reason == PAUSED else LIMITED
        else:
            status = RUNNING if accounts.ended else WAITING
        still = reason is not None and record.all_seeded and aside >= left
        return self._stands(
            record, status, accounts, still=still, reason=reason or "", left=left, parked=aside
        )

    async def _hardly_begun(self) -> Standing:
        job = await job_named(self._engine, self._job)
        if job is None:
            raise ConfigError(
                f"there is no job {self._job!r} on this engine: airless crawls lists those that are"
            )
        return Standing(self._job, job.spider, WAITING, still=False, seeded=False)

    async def _is_over(self, record: Record, accounts: Accounts) -> bool:
        """Whether nothing has changed between that reading and another one, which knows every shard."""
        assert self._reader is not None  # noqa: S101 - made by who calls
        again = await self._reader.read(listing=True)
        alike = (accounts.published, accounts.ended) == (again.published, again.ended)
        return alike and _left(record, again) <= 0

    async def _cancelled(self, record: Record, accounts: Accounts) -> Standing:
        """What is still under way is committed; when that must be over, the accounts are final."""
        since_s = self._clock.now() - (record.ended_at or self._clock.now())
        if record.status == CANCELLED and since_s > _TRAILING_S:
            return await self._record_end(record, CANCELLED, accounts)
        return self._stands(record, CANCELLED, accounts, still=False, reason=CANCELLED)

    async def _record_end(self, record: Record, status: str, accounts: Accounts) -> Standing:
        def end(standing: Record) -> None:
            if standing.messages != record.messages:
                return  # somebody has what failed tried again
            standing.status = standing.reason = status
            standing.counts = accounts.counts.to_dict()
            standing.ended_at = standing.ended_at or accounts.last_s or self._clock.now()

        record = await self._ledger.amend(end) or record
        return _ended(self._job, record) if record.status == status else await self.look()

    def _stands(self, record: Record, status: str, accounts: Accounts, **more: Any) -> Standing:
        return Standing(
            self._job,
            record.spider,
            status,
            counts=accounts.counts,
            started_s=record.started_at,
            last_s=accounts.last_s,
            ended_s=record.ended_at,
            seeded=record.all_seeded,
            **more,
        )


async def looked_at(engine: Engine, job: str, clock: Clock) -> Standing:
    """As `standing_of`, for lists: a crawl that can't be read keeps nobody from seeing the others."""
    try:
        return await standing_of(engine, job, clock)
    except EngineError as error:
        return Standing(job, "", UNREADABLE, reason=str(error))


def _left(record: Record, accounts: Accounts) -> int:
    return accounts.published + record.messages - accounts.ended


def _ended(job: str, record: Record) -> Standing:
    return Standing(
        job,
        record.spider,
        record.status,
        reason=record.reason,
        counts=Counts.from_dict(record.counts or {}),
        started_s=record.started_at,
        last_s=record.ended_at,
        ended_s=record.ended_at,
        seeded=record.all_seeded,
    )
