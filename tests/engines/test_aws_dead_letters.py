"""What is given up waits in a dead-letter queue with its error, and redrive brings it back."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import pytest
from support.sqs_consumers import as_record, consumers

from airless.core.batch import run_batch
from airless.core.codec import decode
from airless.core.errors import PermanentError
from airless.core.invocation import Invocation
from airless.core.message import Message
from airless.core.outcome import Dead, Done, Outcome
from airless.core.ports import DeadLetters, Settlement
from airless.functions.acknowledging import Acknowledging


@pytest.fixture(params=["ministack_endpoint", "fauxqs_endpoint"])
def endpoint(request: pytest.FixtureRequest) -> str:
    """Both emulators: dead letters are queues like any other to them, but for the moves of SQS's own."""
    return str(request.getfixturevalue(request.param))


@pytest.mark.parametrize("key", [None, "a"])
async def test_a_dead_letter_keeps_its_error_and_comes_back_as_new(endpoint: str, key: str | None) -> None:
    async with consumers(endpoint) as some:
        queue = some.queue()
        assert isinstance(queue, DeadLetters)
        await queue.publish_many([Message("pages", {"n": 1}, id="m", ordering_key=key)])
        (got,) = await queue.receive("pages", limit=1, lease_s=60, wait_s=2)
        await queue.settle([Settlement.retry(got)])
        (got,) = await queue.receive("pages", limit=1, lease_s=60, wait_s=2)
        assert got.attempt == 1
        await queue.settle([Settlement.given_up(got, "it is\x00 broken")])
        assert (await queue.depth("pages")).messages == 0

        (lying,) = await some.raw("pages", fifo=key is not None, dead=True)
        assert lying["MessageAttributes"]["error"]["StringValue"] == "it is\ufffd broken"
        assert decode("pages", lying["Body"].encode(), id="").data == {"n": 1}
        sqs = await some.clients.sqs()
        await sqs.change_message_visibility(
            QueueUrl=await some.url("pages", fifo=key is not None, dead=True),
            ReceiptHandle=lying["ReceiptHandle"],
            VisibilityTimeout=0,
        )

        assert await queue.redrive("pages") == 1
        assert await queue.redrive("pages") == 0
        (again,) = await queue.receive("pages", limit=1, lease_s=60, wait_s=2)
        assert (again.id, again.body, again.ordering_key, again.attempt) == ("m", got.body, key, 0)


async def test_redrive_leaves_the_letters_of_other_topics(endpoint: str) -> None:
    async with consumers(endpoint) as some:
        queue = some.queue()
        for topic in ("frontier/a", "frontier/b"):
            await queue.publish_many([Message(topic, {}, id=f"{n}", ordering_key=f"{n}") for n in range(12)])
            taken = 0
            while taken < 12:
                got = await queue.receive(topic, limit=12, lease_s=60, wait_s=1)
                taken += len(got)
                await queue.settle([Settlement.given_up(delivery, "no") for delivery in got])
        assert await queue.redrive("frontier/a") == 12
        assert await queue.redrive("frontier/a") == 0
        assert await queue.redrive("frontier/b") == 12


async def test_what_sqs_itself_put_aside_comes_back_too(ministack_endpoint: str) -> None:
    async with consumers(ministack_endpoint) as some:
        queue = some.queue()
        await queue.publish_many([Message("pages", {}, id="m", ordering_key="a")])
        sqs, url = await some.clients.sqs(), await some.url("pages", fifo=True)
        attributes = (await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]))["Attributes"]
        policy = orjson.loads(attributes["RedrivePolicy"])
        assert policy["maxReceiveCount"] == 50
        assert policy["deadLetterTargetArn"].endswith("-pages-dead.fifo")
        once = orjson.dumps({**policy, "maxReceiveCount": 1}).decode()
        await sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": once})
        assert len(await queue.receive("pages", limit=1, lease_s=1, wait_s=1)) == 1
        # The consumer dies of it, and the lease runs out: the next receive puts it aside.
        assert await some.queue().receive("pages", limit=1, lease_s=60, wait_s=2) == []
        assert await queue.redrive("pages") == 1
        (again,) = await queue.receive("pages", limit=1, lease_s=60, wait_s=2)
        assert (again.id, again.attempt) == ("m", 0)


class Picky:
    """Takes all but what is poison."""

    input_type = "event"
    batch_size = 10

    async def run(self, messages: Sequence[Message]) -> list[Outcome | BaseException]:
        return [
            PermanentError("it is poison") if message.data.get("poison") else Done() for message in messages
        ]


async def test_a_poison_message_ends_there_and_the_others_succeed(endpoint: str) -> None:
    async with consumers(endpoint) as some:
        engine = some.engine()
        await engine.queue.publish_many([Message("pages", {"poison": n == 3}, id=f"m{n}") for n in range(6)])
        got = await engine.queue.receive("pages", limit=6, lease_s=60, wait_s=2)
        ends = await run_batch(Invocation(engine, Picky()), got)
        assert sorted(end.delivery.id for end in ends if isinstance(end.outcome, Dead)) == ["m3"]
        assert (await engine.queue.depth("pages")).messages == 0
        (report,) = await engine.queue.receive("error", limit=2, lease_s=60, wait_s=2)
        assert decode("error", report.body, id="").data["event_id"] == "m3"
        assert await some.queue().redrive("pages") == 1
        (again,) = await engine.queue.receive("pages", limit=2, lease_s=60, wait_s=2)
        assert (again.id, again.attempt) == ("m3", 0)


async def test_a_poison_message_that_a_function_was_called_with_ends_there_too(
    ministack_endpoint: str,
) -> None:
    async with consumers(ministack_endpoint) as some:
        engine, name = some.engine(), some.queue_of("pages")
        await engine.queue.publish_many([Message("pages", {"poison": n == 3}, id=f"m{n}") for n in range(6)])
        records = [as_record(message, name) for message in await some.raw("pages")]
        got = [delivery for delivery in await some.queue().deliveries_of(records) if delivery is not None]
        view = Acknowledging(engine, got)
        await run_batch(Invocation(view, Picky()), got)
        assert set(view.ended) == {delivery.receipt for delivery in got}
        assert await some.queue().redrive("pages") == 1
        (again,) = await engine.queue.receive("pages", limit=2, lease_s=60, wait_s=2)
        assert (again.id, again.attempt) == ("m3", 0)
