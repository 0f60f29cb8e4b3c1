"""Topics that share queues, requests that nobody waits for, and queues that are not there."""

from __future__ import annotations

import asyncio

import pytest
from support.sqs_consumers import Consumers, consumers
from support.sqs_proxy import SqsProxy

from airless.core.errors import ConfigError, EngineError
from airless.core.message import Message
from airless.core.ports import Settlement
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.options import AwsOptions


@pytest.mark.parametrize("key", [None, "k"])
async def test_topics_of_one_queue_each_get_their_own(ministack_endpoint: str, key: str | None) -> None:
    async with consumers(ministack_endpoint) as some:
        one, two = some.queue(), some.queue()
        topics = ["frontier/a", "frontier/b"]
        await one.publish_many(
            [Message(topic, {}, id=f"{topic}-{n}", ordering_key=key) for n in range(10) for topic in topics]
        )
        got: dict[str, list[tuple[str, int]]] = {topic: [] for topic in topics}

        async def work(queue, topic):
            while len(got[topic]) < 10:
                deliveries = await queue.receive(topic, limit=3, lease_s=60, wait_s=1)
                await queue.settle([Settlement.done(delivery) for delivery in deliveries])
                got[topic] += [(delivery.id, delivery.attempt) for delivery in deliveries]

        async with asyncio.timeout(60):
            await asyncio.gather(work(one, "frontier/a"), work(two, "frontier/b"))
        for topic in topics:
            assert sorted(got[topic]) == sorted((f"{topic}-{n}", 0) for n in range(10))


async def test_who_asks_for_two_topics_in_turn_gets_both(ministack_endpoint: str) -> None:
    async with consumers(ministack_endpoint) as some:
        queue, topics, left = some.queue(), ["frontier/a", "frontier/b"], 4
        await queue.publish_many([Message(topics[n % 2], {}, ordering_key=f"{n}") for n in range(left)])
        async with asyncio.timeout(90):
            while left:
                for topic in topics:
                    got = await queue.receive(topic, limit=24, lease_s=60, wait_s=1)
                    await queue.settle([Settlement.done(delivery) for delivery in got])
                    left -= len(got)


@pytest.mark.parametrize("key", [None, "k"])
async def test_what_nobody_wants_is_not_asked_for_without_end(
    ministack_endpoint: str, key: str | None
) -> None:
    with SqsProxy(ministack_endpoint) as proxy:
        async with consumers(proxy.origin) as some:
            queue = some.queue()
            await queue.publish_many(
                [Message("frontier/b", {}, id=f"{n}", ordering_key=key) for n in range(5)]
            )
            assert await queue.receive("frontier/a", limit=10, lease_s=60, wait_s=5) == []
            assert len(proxy.asked) < 60
            got = []
            while len(got) < 5:
                more = await queue.receive("frontier/b", limit=10, lease_s=60, wait_s=1)
                await queue.settle([Settlement.done(delivery) for delivery in more])
                got += more
            assert sorted((d.id, d.attempt) for d in got) == [(f"{n}", 0) for n in range(5)]


async def test_what_a_wait_that_was_given_up_brings_is_handed_back_uncharged(ministack_endpoint: str) -> None:
    async with consumers(ministack_endpoint) as some:
        one, two = some.queue(), some.queue()
        await one.publish_many([Message("pages", {}, id="first")])
        await one.settle([Settlement.done(d) for d in await one.receive("pages", limit=1, lease_s=60)])
        waiting = asyncio.create_task(one.receive("pages", limit=1, lease_s=3600, wait_s=20))
        await asyncio.sleep(0.5)
        waiting.cancel()
        await two.publish_many([Message("pages", {}, id="m")])
        await asyncio.sleep(0.5)  # the first one's request, which goes on, has it now
        (got,) = await two.receive("pages", limit=1, lease_s=60, wait_s=10)
        assert (got.id, got.attempt) == ("m", 0)
        await one.aclose()


async def test_who_closes_while_it_waits_says_so(ministack_endpoint: str) -> None:
    async with consumers(ministack_endpoint) as some:
        queue = some.queue()
        for key in ("a", None):
            await queue.publish_many([Message("pages", {}, ordering_key=key)])
            got = await queue.receive("pages", limit=1, lease_s=60, wait_s=2)
            await queue.settle([Settlement.done(delivery) for delivery in got])
        waiting = asyncio.create_task(queue.receive("pages", limit=1, lease_s=60, wait_s=60))
        await asyncio.sleep(0.3)
        await queue.aclose()
        with pytest.raises(EngineError, match="closed"):
            async with asyncio.timeout(10):
                await waiting
        for call in (
            queue.publish_many([Message("pages", {})]),
            queue.depth("pages"),
            queue.redrive("pages"),
        ):
            with pytest.raises(EngineError, match="closed"):
                await call
        await queue.aclose()


async def test_a_lease_that_lay_is_taken_anew_before_it_is_given_out(ministack_endpoint: str) -> None:
    with SqsProxy(ministack_endpoint) as proxy:
        async with consumers(proxy.origin) as some:
            queue = some.queue()
            await queue.publish_many([Message("pages", {}, id="m0")])
            await queue.settle(
                [Settlement.done(d) for d in await queue.receive("pages", limit=1, lease_s=60)]
            )
            waiting = asyncio.create_task(queue.receive("pages", limit=1, lease_s=2, wait_s=20))
            await asyncio.sleep(0.5)
            waiting.cancel()
            await queue.publish_many([Message("pages", {}, id="m1")])
            await asyncio.sleep(0.5)
            (got,) = await queue.receive("pages", limit=1, lease_s=60)
            assert (got.id, got.attempt) == ("m1", 0)
            assert len(proxy.of("ChangeMessageVisibilityBatch")) == 1
            await asyncio.sleep(2)
            await queue.settle([Settlement.done(got)])


async def test_a_queue_that_is_missing_is_named(ministack_endpoint: str) -> None:
    options = AwsOptions("us-east-1", "bucket", "nobody", endpoint=ministack_endpoint)
    some = Consumers(AwsClients(options))
    queue = some.queue()
    with pytest.raises(ConfigError, match=r"no queue 'nobody-pages'.*create=yes"):
        await queue.publish_many([Message("pages", {})])
    with pytest.raises(ConfigError, match=r"'pages' has no queue.*create=yes"):
        await queue.receive("pages", limit=1, lease_s=60)
    assert (await queue.depth("pages")).messages == 0
    assert await queue.redrive("pages") == 0
    await some.clients.aclose()
