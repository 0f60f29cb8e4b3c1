"""One in ten requests to SQS fails, on its way there or back: every message is worked on, and none is left."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from support.faulty_proxy import FaultyProxy, some
from support.sqs_consumers import consumers

from airless.core.errors import EngineError
from airless.core.message import Message
from airless.core.ports import Delivery, Settlement
from airless.engines.aws.queue import SqsQueue

COUNT = 120


async def published(queue: SqsQueue, messages: Sequence[Message]) -> None:
    while True:
        try:
            return await queue.publish_many(messages)
        except EngineError:
            await asyncio.sleep(0)


@pytest.mark.parametrize("key", [None, "k"])
async def test_faults_of_the_network_lose_no_message(ministack_endpoint: str, key: str | None) -> None:
    done: Counter[str] = Counter()

    async def work(queue: SqsQueue) -> None:
        while len(done) < COUNT:
            try:
                got = await queue.receive("pages", limit=10, lease_s=2, wait_s=1)
                await queue.extend(got, 2)
                await queue.settle([ended(delivery, n) for n, delivery in enumerate(got)])
            except EngineError:
                await asyncio.sleep(0)

    def ended(delivery: Delivery, n: int) -> Settlement:
        if n % 3 == 2:
            return Settlement.retry(delivery, charge=False)
        done[delivery.id] += 1
        return Settlement.done(delivery)

    with FaultyProxy(ministack_endpoint, some(0.1)) as proxy:
        async with consumers(proxy.url) as shared:
            one, two = shared.queue(), shared.queue()
            await published(
                one,
                [
                    Message("pages", {}, id=f"m{n}", ordering_key=key and f"{key}{n % 7}")
                    for n in range(COUNT)
                ],
            )
            async with asyncio.timeout(90), asyncio.TaskGroup() as group:
                group.create_task(work(one))
                group.create_task(work(two))
            assert sum(proxy.injected.values()) > 5
            await one.aclose()
            await two.aclose()
    assert set(done) == {f"m{n}" for n in range(COUNT)}
