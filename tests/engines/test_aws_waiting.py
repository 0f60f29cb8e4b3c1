"""What must wait longer than SQS can waits in a chain; bodies too large for SQS wait in the object store."""

from __future__ import annotations

import asyncio
import os
import time

import pytest
from support.sqs_consumers import Consumers, consumers
from support.sqs_proxy import SqsProxy

from airless.core.codec import decode
from airless.core.message import Message
from airless.core.ports import Delivery, Settlement
from airless.engines.aws.limits import SqsLimits

SHORT_DELAYS = SqsLimits(delay_s=1)
SHORT_BODIES = SqsLimits(inline_bytes=2_000)


async def drained(some: Consumers, count: int, topic: str = "pages") -> list[Delivery]:
    queue = some.queue()
    got: list[Delivery] = []
    async with asyncio.timeout(20):
        while len(got) < count:
            more = await queue.receive(topic, limit=10, lease_s=60, wait_s=1)
            await queue.settle([Settlement.done(delivery) for delivery in more])
            got += more
    return got


@pytest.mark.parametrize("key", [None, "a"])
async def test_a_delay_beyond_sqss_is_a_chain_of_delays(ministack_endpoint: str, key: str | None) -> None:
    with SqsProxy(ministack_endpoint) as proxy:
        async with consumers(proxy.origin, SHORT_DELAYS) as some:
            started = time.time()
            await some.queue().publish_many(
                [Message("pages", {}, id="m", ordering_key=key, not_before_s=started + 3)]
            )
            (got,) = await drained(some, 1)
            assert 2.5 <= time.time() - started <= 6
            assert (got.id, got.ordering_key, got.attempt) == ("m", key, 0)
        delays = [
            entry.get("DelaySeconds") for asked in proxy.of("SendMessageBatch") for entry in asked.entries
        ]
        links = len(delays) - bool(key)
        assert 2 <= links <= 5
        assert delays == [1] * links + ([None] if key else [])


async def test_a_retry_beyond_sqss_visibility_is_a_chain_of_delays(ministack_endpoint: str) -> None:
    async with consumers(ministack_endpoint, SqsLimits(delay_s=1, visibility_s=2)) as some:
        queue = some.queue()
        await queue.publish_many([Message("pages", {}, id="m")])
        (got,) = await queue.receive("pages", limit=1, lease_s=600, wait_s=2)
        started = time.time()
        await queue.settle([Settlement.retry(got, 3)])
        (again,) = await drained(some, 1)
        assert 2.5 <= time.time() - started <= 6
        assert (again.id, again.attempt) == ("m", 1)


async def test_messages_of_a_key_that_waited_end_in_order(ministack_endpoint: str) -> None:
    async with consumers(ministack_endpoint) as some:
        due = time.time() + 1.2
        queue = some.queue()
        for n in range(3):
            await queue.publish_many(
                [Message("pages", {}, id=f"m{n}", ordering_key="a", not_before_s=due + n)]
            )
        got = await drained(some, 3)
        assert [delivery.id for delivery in got] == ["m0", "m1", "m2"]
        # All of them went the FIFO queue's way in the end, and nothing is left in the other.
        assert await some.raw("pages", fifo=True) == await some.raw("pages") == []


async def test_a_large_body_waits_in_an_object_until_its_message_is_done(ministack_endpoint: str) -> None:
    async with consumers(ministack_endpoint, SHORT_BODIES) as some:
        queue = some.queue()
        sent = Message("pages", {"x": os.urandom(20_000).hex()}, id="m")
        await queue.publish_many([sent])
        assert len(some.store.blobs) == 1
        (got,) = await queue.receive("pages", limit=1, lease_s=60, wait_s=2)
        assert decode("pages", got.body, id="") == sent
        # A copy brings the same object along.
        await queue.settle([Settlement.retry(got, charge=False)])
        (got,) = await queue.receive("pages", limit=1, lease_s=60, wait_s=2)
        assert decode("pages", got.body, id="") == sent
        await queue.settle([Settlement.given_up(got, "no")])
        assert len(some.store.blobs) == 1
        assert await queue.redrive("pages") == 1
        (got,) = await queue.receive("pages", limit=1, lease_s=60, wait_s=2)
        assert decode("pages", got.body, id="") == sent
        await queue.settle([Settlement.done(got)])
        assert some.store.blobs == {}


@pytest.mark.parametrize("body", [os.urandom(50_000), b"\x00" * 1_000 + os.urandom(3_000)])
async def test_a_large_body_of_any_bytes_comes_back(ministack_endpoint: str, body: bytes) -> None:
    async with consumers(ministack_endpoint, SHORT_BODIES) as some:
        queue = some.queue()
        await queue.publish_raw("pages", body)
        (got,) = await queue.receive("pages", limit=1, lease_s=60, wait_s=2)
        assert got.body == body
        assert len(some.store.blobs) == 1


async def test_what_comes_again_after_its_end_is_gone_with_its_body(ministack_endpoint: str) -> None:
    """SQS may hand out a standard queue's message again after its end."""
    async with consumers(ministack_endpoint, SHORT_BODIES) as some:
        queue = some.queue()
        await queue.publish_raw("pages", os.urandom(50_000))
        some.store.blobs.clear()
        assert await queue.receive("pages", limit=1, lease_s=60, wait_s=2) == []
        assert (await queue.depth("pages")).messages == 0
