"""Following a crawl that others work on, to its end: who follows does no work, and may leave at any time."""

from __future__ import annotations

import asyncio
import contextlib

from airless.core.clock import Clock
from airless.core.ports import Engine
from airless.crawl.job import Job
from airless.fleet.accounts import Accounts, read_accounts
from airless.local.crawl.ledger import FINISHED, RUNNING, Ledger, Record
from airless.local.crawl.run import Control, Progress, Result

# Every reading asks for the state of each shard, and is billed: a crawl of hours is looked at less often.
_FIRST_POLL_S = 0.5
_LONGEST_POLL_S = 15.0
_SLOWER = 1.1


async def follow(
    engine: Engine, job: Job, record: Record, ledger: Ledger, control: Control, clock: Clock
) -> tuple[Result, Accounts]:
    """Until the crawl has ended, or `control` is interrupted: then it goes on without this process.

    It has ended when as many messages have ended as were published, over all shards, in two readings in a row.
    """
    began, poll_s, level = clock.monotonic(), _FIRST_POLL_S, 0
    before = (await read_accounts(engine, job.layout)).counts
    while True:
        accounts = await read_accounts(engine, job.layout)
        seconds = clock.monotonic() - began
        if control.on_progress is not None:
            control.on_progress(Progress(accounts.counts, 0, 0, accounts.hosts, seconds))
        level = level + 1 if accounts.ended >= accounts.published + record.messages else 0
        if level == 2 or control.interrupted:
            break
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_POLL_S if level else poll_s):
                await control.stopped()
        poll_s = min(_LONGEST_POLL_S, poll_s * _SLOWER)
    if level == 2 and record.status != FINISHED:
        record.status = record.reason = FINISHED
        record.seconds = clock.now() - record.started_at
        await ledger.save(record)
    counts = accounts.counts
    result = Result(
        job=job.name,
        status=FINISHED if level == 2 else RUNNING,
        reason=FINISHED if level == 2 else control.reason,
        counts=counts,
        waiting=counts.waiting,
        seconds=seconds,
        total_seconds=record.seconds or clock.now() - record.started_at,
        adds_up=level != 2 or not counts.waiting,
        before=before,
    )
    return result, accounts
