"""Batches of SQS under the real runtime client, with the engine on an emulator of AWS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from support.emulators import CREDENTIALS
from support.mapping import EventSource
from support.runtime_api import RuntimeApi, function
from support.web import Web, chain, star

from airless.core.clock import SystemClock
from airless.core.message import Message
from airless.crawl.job import Job
from airless.crawl.settings import Http, Pace, Retry, Settings
from airless.engines.aws.engine import AwsEngine
from airless.fleet.accounts import read_accounts
from airless.fleet.begin import begin


@dataclass
class Deployed:
    """A function's environment, and the engine that it works on."""

    url: str
    engine: AwsEngine
    folder: Path

    def function(self, operator: str | None = None) -> Any:
        named = {} if operator is None else {"OPERATOR_IMPORT": f"functions.operators_at_work:{operator}"}
        return function(self.folder, {**CREDENTIALS, "AIRLESS_ENGINE": self.url, **named})

    def source(self, topic: str) -> EventSource:
        return EventSource(self.engine.clients, topic)


@pytest.fixture
async def deployed(ministack_endpoint: str, tmp_path: Path) -> AsyncIterator[Deployed]:
    bucket = f"test-{abs(hash(tmp_path)):x}"
    query = {"bucket": bucket, "prefix": bucket, "endpoint": ministack_endpoint, "create": "yes"}
    url = f"aws://us-east-1?{urlencode(query)}"
    async with AwsEngine.open(url) as engine:
        yield Deployed(url, engine, tmp_path)


@pytest.fixture
def keeping(deployed: Deployed) -> Iterator[RuntimeApi]:
    with deployed.function("Keeping") as api:
        yield api


async def kept(engine: AwsEngine) -> list[str]:
    names = [name async for name in engine.objects.list("kept/")]
    lines = [(await engine.objects.get(name) or b"").decode() for name in names]
    return sorted(line.rpartition(" ")[0] for line in lines)


async def test_one_poisoned_message_of_a_batch_ends_in_the_dead_letters_and_the_others_well(
    deployed: Deployed, keeping: RuntimeApi
) -> None:
    engine, source = deployed.engine, deployed.source("orders")
    messages = [Message("orders", {"n": n, **({"fail": "now"} if n == 3 else {})}) for n in range(6)]
    await engine.queue.publish_many(messages)
    answers = await source.run(keeping, timeout_s=20)
    assert all(answer.result == {"batchItemFailures": []} for answer in answers)
    assert await kept(engine) == [f"orders {n}" for n in (0, 1, 2, 4, 5)]
    assert await engine.queue.redrive("orders") == 1
    (again,) = await engine.queue.receive("orders", limit=10, lease_s=30, wait_s=2)
    assert (again.id, again.attempt) == (messages[3].id, 0)


async def test_what_is_to_be_tried_again_is_counted_and_given_up_in_the_end(
    deployed: Deployed, keeping: RuntimeApi
) -> None:
    engine, source = deployed.engine, deployed.source("orders")
    retried = {"metadata": {"max_retries": 2, "retry_interval": 0}, "fail": "later"}
    await engine.queue.publish_many([Message("orders", retried)])
    answers = await source.run(keeping, timeout_s=20, most=20)
    assert len(answers) >= 2
    assert await engine.queue.redrive("orders") == 1


async def test_messages_of_a_key_are_worked_on_in_their_order(
    deployed: Deployed, keeping: RuntimeApi
) -> None:
    engine, source = deployed.engine, deployed.source("orders")
    messages = [Message("orders", {"n": n}, ordering_key=f"k{n % 2}") for n in range(8)]
    await engine.queue.publish_many(messages)
    await source.run(keeping, timeout_s=20)
    assert await kept(engine) == [f"orders {n}" for n in range(8)]


async def test_bytes_that_somebody_else_sent_are_a_message_too(
    deployed: Deployed, keeping: RuntimeApi
) -> None:
    engine, source = deployed.engine, deployed.source("orders")
    await engine.queue.publish_many([Message("orders", {"n": 1})])  # makes the queue
    sqs = await engine.clients.sqs()
    url = (await sqs.get_queue_url(QueueName=f"{engine.options.prefix}-orders"))["QueueUrl"]
    await sqs.send_message(QueueUrl=url, MessageBody='{"n": 2}')
    await source.run(keeping, timeout_s=20)
    assert await kept(engine) == ["orders 1", "orders 2"]


def job(settings: Settings, *seeds: str) -> Job:
    http = replace(settings.http, allow_private=True)
    return Job("job", "support.crawling:LinkSpider", seeds, replace(settings, http=http), ("*",), shards=4)


async def item_urls(engine: AwsEngine, job: Job) -> list[str]:
    segments = (await read_accounts(engine, job.layout)).segments
    bodies = [await engine.objects.get(name) for name in segments]
    return sorted(orjson.loads(line)["url"] for body in bodies for line in (body or b"").splitlines())


@pytest.mark.parametrize(
    ("timeout_s", "least"), [(20.0, 1), (1.2, 2)], ids=["enough time", "too little time"]
)
async def test_a_crawl_through_the_runtime_gives_every_page_once(
    deployed: Deployed, timeout_s: float, least: int
) -> None:
    pages = star(120)
    settings = Settings(obey_robots=False, pace=Pace(per_host=4), retry=Retry(max_attempts=1), http=Http())
    with Web(pages, delay_s=0.05) as site, deployed.function() as api:
        crawl, record, _ = await begin(deployed.engine, job(settings, site.url()), SystemClock())
        source = deployed.source(crawl.layout.topic)
        # To start takes a process longer than an invocation here has: the seed is fetched before.
        for records in await source.batches():
            await source.call(api, records, timeout_s=20)
        answers = await source.run(api, timeout_s=timeout_s)
        assert [answer.error for answer in answers] == [None] * len(answers)
    assert all(answer.seconds < timeout_s for answer in answers)
    assert len(answers) >= least
    assert await item_urls(deployed.engine, crawl) == sorted(site.url(path) for path in pages)
    # Uncharged: what comes again is another message, which nobody received before.
    assert set(source.attempts) == {1}
    accounts = await read_accounts(deployed.engine, crawl.layout)
    assert accounts.published + record.messages == accounts.ended
    assert (accounts.counts.failed, accounts.counts.waiting) == (0, 0)


async def test_a_host_s_delay_holds_over_the_invocations_of_two_processes(deployed: Deployed) -> None:
    settings = Settings(obey_robots=False, pace=Pace(delay_s=1.0, jitter=0.0))
    with (
        Web(chain(4)) as site,
        deployed.function() as one,
        deployed.function() as other,
    ):
        crawl, *_ = await begin(deployed.engine, job(settings, site.url("/0")), SystemClock())
        source = deployed.source(crawl.layout.topic)
        turn = 0
        while await source.left():
            for records in await source.batches():
                await source.call((one, other)[turn % 2], records, timeout_s=20)
                turn += 1
        assert site.paths() == sorted(chain(4))
    # On a busy machine one request may be on its way for longer than the next.
    assert min(site.gaps_s()) > 0.5
    assert sum(site.gaps_s()) > 2.9
