"""What a function is called with is what a receive brings, and what others sent arrives as it was."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Any

import pytest
from support.sqs_consumers import Consumers, consumers
from support.sqs_proxy import SqsProxy

from airless.core.errors import LeaseLost
from airless.core.message import Message
from airless.core.ports import Delivery, Settlement
from airless.engines.aws.limits import SqsLimits


def record(message: dict[str, Any], queue: str) -> dict[str, Any]:
    """A record as "Using Lambda with Amazon SQS" documents it, of a message as it was received."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {
            name: {
                "stringValue": value["StringValue"],
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": value["DataType"],
            }
            for name, value in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:us-east-1:123456789012:{queue}",
        "awsRegion": "us-east-1",
    }


async def event(some: Consumers, topic: str, *, fifo: bool = False) -> list[dict[str, Any]]:
    queue = (await some.url(topic, fifo=fifo)).rpartition("/")[2]
    return [record(message, queue) for message in await some.raw(topic, fifo=fifo)]


def bare(delivery: Delivery | None) -> Delivery:
    """All of a delivery but whose it is."""
    assert delivery is not None
    return replace(delivery, receipt="")


@pytest.mark.parametrize("key", [None, "a"])
@pytest.mark.parametrize("size", [10, 5_000, 200_000])
async def test_a_record_gives_the_delivery_that_a_receive_gives(
    ministack_endpoint: str, key: str | None, size: int
) -> None:
    async with consumers(ministack_endpoint, SqsLimits(inline_bytes=20_000)) as some:
        queue = some.queue()
        await queue.publish_many(
            [Message("pages/x", {"x": os.urandom(size).hex()}, id="m", ordering_key=key)]
        )
        (received,) = await queue.receive("pages/x", limit=1, lease_s=60, wait_s=2)
        await queue.settle([Settlement.retry(received)])
        records = await event(some, "pages/x", fifo=key is not None)
        (delivery,) = await queue.deliveries_of(records)
        assert bare(delivery) == replace(bare(received), attempt=1)


async def test_the_host_deletes_what_ends_and_we_send_what_follows(ministack_endpoint: str) -> None:
    with SqsProxy(ministack_endpoint) as proxy:
        async with consumers(proxy.origin, SqsLimits(inline_bytes=2_000)) as some:
            queue = some.queue()
            large = os.urandom(9_000).hex()
            await queue.publish_many([Message("pages", {"x": large}, id=f"m{n}") for n in range(4)])
            got = [bare_one for bare_one in await queue.deliveries_of(await event(some, "pages")) if bare_one]
            assert len(got) == 4
            await queue.extend(got, 60)
            await queue.settle(
                [
                    Settlement.done(got[0]),
                    Settlement.retry(got[1]),
                    Settlement.retry(got[2], charge=False),
                    Settlement.given_up(got[3], "no"),
                ]
            )
            assert proxy.of("DeleteMessageBatch") == []
            assert len(some.store.blobs) == 3
            again = await queue.receive("pages", limit=9, lease_s=60, wait_s=2)
            assert {d.id: d.attempt for d in again} == {got[1].id: 1, got[2].id: 0}
            assert await queue.redrive("pages") == 1
            with pytest.raises(LeaseLost):
                await queue.settle([Settlement.done(got[0])])


async def test_a_record_that_must_wait_or_stand_in_line_is_sent_on(ministack_endpoint: str) -> None:
    with SqsProxy(ministack_endpoint) as proxy:
        async with consumers(proxy.origin, SqsLimits(delay_s=1)) as some:
            queue = some.queue()
            due = time.time() + 1.5
            await queue.publish_many([Message("pages", {}, id="first", ordering_key="b")])  # makes the queue
            await event(some, "pages", fifo=True)
            await queue.publish_many(
                [
                    Message("pages", {}, id="keyed", ordering_key="a", not_before_s=due),
                    Message("pages", {}, id="late", not_before_s=due + 60),
                ]
            )
            seen, line = 0, []
            while not line:
                records = await event(some, "pages")
                seen += len(records)
                assert await queue.deliveries_of(records) == [None] * len(records)
                if time.time() > due:
                    line = await event(some, "pages", fifo=True)
            assert seen >= 2
            assert proxy.of("DeleteMessageBatch") == []
            (delivery,) = await queue.deliveries_of(line)
            assert delivery is not None
            assert (delivery.id, delivery.ordering_key, delivery.attempt) == ("keyed", "a", 0)


@pytest.mark.parametrize("body", ['{"n": 1}', "no JSON", "тема"])
async def test_what_somebody_sends_by_hand_arrives_as_it_was(ministack_endpoint: str, body: str) -> None:
    async with consumers(ministack_endpoint) as some:
        queue = some.queue()
        await queue.publish_many([Message("тема", {}, id="ours")])
        (ours,) = await queue.receive("тема", limit=1, lease_s=60, wait_s=2)
        await queue.settle([Settlement.done(ours)])
        sqs = await some.clients.sqs()
        strange = {"airless": {"DataType": "String", "StringValue": "not ours"}}
        sent = [
            await sqs.send_message(QueueUrl=await some.url("тема"), MessageBody=body),
            await sqs.send_message(
                QueueUrl=await some.url("тема"), MessageBody=body, MessageAttributes=strange
            ),
        ]
        got = await queue.receive("тема", limit=2, lease_s=60, wait_s=2)
        assert {(d.topic, d.id, d.body, d.attempt) for d in got} == {
            ("тема", answer["MessageId"], body.encode(), 0) for answer in sent
        }
        await queue.settle([Settlement.retry(got[0], charge=False), Settlement.done(got[1])])
        (again,) = await queue.receive("тема", limit=2, lease_s=60, wait_s=2)
        assert (again.id, again.body, again.attempt) == (got[0].id, body.encode(), 0)
        await queue.settle([Settlement.given_up(again, "no")])
        assert await queue.redrive("тема") == 1


async def test_a_record_that_somebody_sent_by_hand_has_its_queues_topic(ministack_endpoint: str) -> None:
    async with consumers(ministack_endpoint) as some:
        queue = some.queue()
        await queue.publish_many([Message("pages", {})])
        await queue.settle(
            [Settlement.done(d) for d in await queue.receive("pages", limit=1, lease_s=60, wait_s=2)]
        )
        sqs = await some.clients.sqs()
        answer = await sqs.send_message(QueueUrl=await some.url("pages"), MessageBody="[]")
        (delivery,) = await queue.deliveries_of(await event(some, "pages"))
        assert bare(delivery) == Delivery("pages", b"[]", answer["MessageId"], "")
