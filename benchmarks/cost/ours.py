"""Contender: airless as it is deployed, the real handler in processes of its own behind the queues' mappings.

All is counted: what the functions ask, the mappings' polls and deletions, and what the command asks that begins the
crawl, follows it and writes its items.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from airless.core.clock import SystemClock
from airless.cost.usage import Usage
from airless.crawl.job import Job
from airless.crawl.settings import Http, Pace, Settings
from airless.engines import open_engine
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.options import AwsOptions
from airless.fleet.begin import begin
from airless.fleet.follow import Follower
from airless.fleet.items import write_items
from airless.local.crawl.plan import SITE_SPIDER
from airless.local.crawl.run import Control, Progress
from benchmarks.latency.web import DOMAIN, Web

from .billing import counted, say
from .environment import Environment, Function
from .mapping import EventSource

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

_PREFIX = "cost"
_BUCKET = "cost-benchmark"
_REGION = "us-east-1"
_LOOK_S = 0.5
_TELL_S = 30.0
_HANDLER = "airless.functions.aws_lambda:handler"


@dataclass(frozen=True, slots=True)
class Size:
    """How the function is deployed, and how fast it may ask a host."""

    memory_mb: int = 192
    arch: str = "arm64"
    timeout_s: float = 300.0
    environments: int = 2
    per_host: int = 32


@dataclass(slots=True)
class Crawled:
    """What came of it; `parts` is the usage of the functions, the mappings and the command."""

    usage: Usage = field(default_factory=Usage)
    parts: dict[str, Usage] = field(default_factory=dict)
    batches: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0
    status: str = ""


async def crawl(web: Web, endpoint: str, size: Size, output: Path, *, limit_s: float) -> Crawled:
    """Crawl a slow web on emulated services; the items go into `output`. Raises TimeoutError after `limit_s`."""
    url = f"aws://{_REGION}?bucket={_BUCKET}&prefix={_PREFIX}&endpoint={endpoint}"
    job = job_of(web, size)
    crawled = Crawled()
    source: EventSource | None = None
    async with asyncio.timeout(limit_s):
        with counted() as asked:
            engine = await open_engine(f"{url}&create=yes")
            job, record, ledger = await begin(engine, job, SystemClock())
        # Deployed beforehand: making queues and buckets is no part of a crawl.
        forget(asked, "Create", "GetQueue", "HeadBucket")
        clients = AwsClients(AwsOptions(_REGION, _BUCKET, endpoint=endpoint))
        sqs = await clients.sqs()
        environ = {
            "AIRLESS_ENGINE": f"{url}&create=yes",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(size.memory_mb),
        }
        function = Function(_HANDLER, size.memory_mb, size.arch, size.timeout_s, environ)
        with environments(function, size.environments) as ready:
            source = EventSource(sqs, ready, visibility_s=round(6 * size.timeout_s))
            lanes = [(f"{_PREFIX}-frontier.fifo", size.environments), (f"{_PREFIX}-frontier", 1)]
            polls = [
                asyncio.create_task(poll(source, sqs, name))
                for name, pollers in lanes
                for _ in range(pollers)
            ]
            control = Control(on_progress=Telling())
            follower = Follower(engine, job, record, ledger, control=control, clock=SystemClock())
            following = asyncio.create_task(follower.run())
            done, _ = await asyncio.wait([following, *polls], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {following}:
                task.result()
            result, accounts = await following
            await write_items(engine, accounts.segments, str(output))
            for each in polls:
                each.cancel()
            await asyncio.gather(*polls, return_exceptions=True)
        await engine.aclose()
        await clients.aclose()
    forget(clients.usage, "GetQueue")
    crawled.parts = {"functions": source.usage, "mappings": clients.usage, "command": asked}
    for part in crawled.parts.values():
        crawled.usage.add(part)
    crawled.usage.fetched_bytes = result.counts.bytes
    crawled.batches, crawled.faults = source.batches, source.faults
    crawled.seconds, crawled.status = result.seconds, result.status
    return crawled


class Telling:
    """Tells of the progress now and then."""

    def __init__(self) -> None:
        self._next_s = _TELL_S

    def __call__(self, progress: Progress) -> None:
        if progress.seconds >= self._next_s:
            self._next_s = progress.seconds + _TELL_S
            say(f"{progress.seconds:.0f} s: {progress.counts.fetched:,} pages")


def job_of(web: Web, size: Size) -> Job:
    """The crawl: every host is on this machine."""
    http = Http(resolve=dict.fromkeys(web.names, "127.0.0.1"), allow_private=True)
    return Job(
        name="cost",
        spider=SITE_SPIDER,
        seeds=tuple(web.seeds),
        settings=Settings(pace=Pace(per_host=size.per_host), http=http),
        allowed_domains=(DOMAIN,),
    )


@contextlib.contextmanager
def environments(function: Function, number: int) -> Iterator[list[Environment]]:
    """So many environments of a function, ended with the block."""
    with contextlib.ExitStack() as ending:
        made = []
        for _ in range(number):
            made.append(Environment(function))
            ending.callback(made[-1].close)
        yield made


async def poll(source: EventSource, sqs: SQSClient, name: str) -> None:
    """Poll a queue from when it is there: one that nobody has needed yet isn't."""
    while True:
        try:
            url = (await sqs.get_queue_url(QueueName=name))["QueueUrl"]
        except sqs.exceptions.QueueDoesNotExist:
            await asyncio.sleep(_LOOK_S)
        else:
            await source.poll(url)


def forget(usage: Usage, *operations: str) -> None:
    """Leave out what a deployment asks."""
    for counter in (usage.requests, usage.billed):
        for kind in [kind for kind in counter if kind.partition(".")[2].startswith(operations)]:
            del counter[kind]
