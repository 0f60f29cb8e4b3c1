"""Bulk sends keep to SQS's limits, and an entry that fails in a 200 is tried again."""

from __future__ import annotations

import os
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from support.sqs_consumers import consumers
from support.sqs_proxy import Asked, SqsProxy

from airless.core.clock import SystemClock
from airless.core.errors import EngineError, LeaseLost, MessageTooLarge
from airless.core.message import Message
from airless.core.ports import Settlement
from airless.engines.aws.batches import Batches, together
from airless.engines.aws.leases import Receipt
from airless.engines.aws.limits import SQS_BYTES, SqsLimits
from airless.engines.aws.sending import cut, lanes


class Hasty(SystemClock):
    """Waits are over at once."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(0)


@pytest.fixture
def proxy(ministack_endpoint: str) -> Iterator[SqsProxy]:
    with SqsProxy(ministack_endpoint) as proxy:
        yield proxy


def entry(size: int, group: str = "") -> dict[str, Any]:
    return {"MessageBody": "x" * size, "MessageAttributes": {}, "MessageGroupId": group}


def test_requests_are_cut_by_number_and_by_size() -> None:
    limits = SqsLimits(entries=3, batch_bytes=100)
    sizes = [[len(e["MessageBody"]) for e in chunk] for chunk in cut(map(entry, [1] * 7), limits)]
    assert sizes == [[1, 1, 1], [1, 1, 1], [1]]
    sizes = [
        [len(e["MessageBody"]) for e in chunk] for chunk in cut(map(entry, [60, 40, 60, 41, 100]), limits)
    ]
    assert sizes == [[60, 40], [60], [41], [100]]
    with pytest.raises(MessageTooLarge, match="101 bytes"):
        cut([entry(101)], limits)


def test_each_message_group_is_in_one_lane_in_its_order() -> None:
    entries = [{**entry(1, f"g{n % 40}"), "n": n} for n in range(400)]
    found = lanes(entries, 10)
    assert 1 < len(found) <= 32
    assert sum(map(len, found)) == 400
    for group in {e["MessageGroupId"] for e in entries}:
        holding = [lane for lane in found if any(e["MessageGroupId"] == group for e in lane)]
        assert len(holding) == 1
        numbers = [e["n"] for e in holding[0] if e["MessageGroupId"] == group]
        assert numbers == sorted(numbers)


def test_messages_of_many_groups_travel_in_no_more_requests_than_they_fill() -> None:
    for number, requests in ((1, 1), (7, 1), (10, 1), (11, 2), (64, 7)):
        found = lanes([entry(1, f"g{n}") for n in range(number)], 10)
        assert sorted(map(len, found), reverse=True)[0] <= 10
        assert len(found) == requests


async def test_many_small_messages_travel_by_ten(proxy: SqsProxy) -> None:
    async with consumers(proxy.origin) as some:
        await some.queue().publish_many([Message("pages", {"n": n}) for n in range(95)])
    assert sorted(len(asked.entries) for asked in proxy.of("SendMessageBatch")) == [5, *[10] * 9]


async def test_large_messages_travel_by_the_mebibyte(proxy: SqsProxy) -> None:
    async with consumers(proxy.origin) as some:
        queue = some.queue()
        sent = [Message("pages", {"x": os.urandom(190_000).hex()}) for n in range(9)]
        await queue.publish_many(sent)
        got = []
        while len(got) < 9:
            got += await queue.receive("pages", limit=9, lease_s=60, wait_s=1)
    assert sorted(delivery.id for delivery in got) == sorted(message.id for message in sent)
    requests = proxy.of("SendMessageBatch")
    assert len(requests) == 3
    for asked in requests:
        size = sum(
            len(e["MessageBody"])
            + sum(
                len(name) + len(a["DataType"]) + len(a["StringValue"])
                for name, a in e["MessageAttributes"].items()
            )
            for e in asked.entries
        )
        # ministack counts the bodies alone; SQS the attributes too.
        assert size <= SQS_BYTES


async def test_a_request_may_be_as_large_as_sqs_takes(proxy: SqsProxy) -> None:
    """aiohttp warns of a body over 1 MiB in one piece, which a full batch is with its JSON around it."""
    async with consumers(proxy.origin) as some:
        bodies = [b64encode(os.urandom(196_500)) for _ in range(4)]
        await together(some.queue().publish_raw("pages", body) for body in bodies)
        sent = [asked.entries[0] for asked in proxy.of("SendMessageBatch")]
        entries = [{name: value for name, value in entry.items() if name != "Id"} for entry in sent]
        batches = Batches(some.clients, SqsLimits(), SystemClock())
        await batches.send("pages", await some.url("pages"), entries)
    assert len(proxy.of("SendMessageBatch")[-1].body) > 1024 * 1024
    assert len(cut(entries, SqsLimits())) == 1


async def test_an_entry_that_fails_is_sent_again_alone(ministack_endpoint: str) -> None:
    tries: Counter[str] = Counter()

    def twice(asked: Asked, entry: dict[str, Any]) -> str | None:
        body = entry.get("MessageBody", "")
        tries[body] += 1
        return "InternalError" if '"n":7' in body and tries[body] <= 2 else None

    with SqsProxy(ministack_endpoint, twice) as proxy:
        async with consumers(proxy.origin) as some:
            queue = some.queue(Hasty())
            await queue.publish_many([Message("pages", {"n": n}, id=f"m{n}") for n in range(10)])
            got = await queue.receive("pages", limit=20, lease_s=60, wait_s=2)
            assert sorted(delivery.id for delivery in got) == [f"m{n}" for n in range(10)]
        assert [len(asked.entries) for asked in proxy.of("SendMessageBatch")] == [10, 1, 1]


async def test_asking_too_fast_is_no_fault_of_the_message(ministack_endpoint: str) -> None:
    tries: Counter[str] = Counter()

    def once(asked: Asked, entry: dict[str, Any]) -> str | None:
        tries[asked.operation] += 1
        return "RequestThrottled" if tries[asked.operation] == 1 else None

    with SqsProxy(ministack_endpoint, once, sender_fault=True) as proxy:
        async with consumers(proxy.origin) as some:
            queue = some.queue(Hasty())
            await queue.publish_many([Message("pages", {}, id="m")])
            (got,) = await queue.receive("pages", limit=1, lease_s=60, wait_s=2)
            await queue.extend([got], 60)
            await queue.settle([Settlement.done(got)])
            assert (await queue.depth("pages")).messages == 0


async def test_what_never_gets_through_is_an_error(ministack_endpoint: str) -> None:
    with SqsProxy(ministack_endpoint, lambda asked, entry: "InternalError") as proxy:
        async with consumers(proxy.origin) as some:
            with pytest.raises(
                EngineError, match=r"sending to queue \S+-pages failed .* InternalError|as the test"
            ):
                await some.queue(Hasty()).publish_many([Message("pages", {})])


async def test_what_is_refused_is_not_asked_again(ministack_endpoint: str) -> None:
    with SqsProxy(
        ministack_endpoint, lambda asked, entry: "InvalidMessageContents", sender_fault=True
    ) as proxy:
        async with consumers(proxy.origin) as some:
            with pytest.raises(EngineError, match="InvalidMessageContents"):
                await some.queue(Hasty()).publish_many([Message("pages", {})])
        assert len(proxy.of("SendMessageBatch")) == 1


async def test_what_others_have_is_lost_and_the_rest_is_settled_and_may_be_again(
    ministack_endpoint: str,
) -> None:
    # SQS would say so of a FIFO queue's handle whose time is over: fauxqs deletes without a word.
    def gone(asked: Asked, entry: dict[str, Any]) -> str | None:
        lost = asked.operation == "DeleteMessageBatch" and entry["ReceiptHandle"] in theirs
        return "ReceiptHandleIsInvalid" if lost else None

    theirs: set[str] = set()
    with SqsProxy(ministack_endpoint, gone, sender_fault=True) as proxy:
        async with consumers(proxy.origin) as some:
            queue = some.queue()
            await queue.publish_many([Message("pages", {}, id=f"m{n}") for n in range(3)])
            held = await queue.receive("pages", limit=3, lease_s=60, wait_s=2)
            theirs.add(Receipt.parse(held[1].receipt).handle)
            with pytest.raises(LeaseLost, match=held[1].id):
                await queue.settle([Settlement.done(delivery) for delivery in held])
            assert (await queue.depth("pages")).messages == 1
            with pytest.raises(LeaseLost):
                await queue.settle([Settlement.done(held[1])])
            await queue.settle([Settlement.done(held[0]), Settlement.done(held[2])])
