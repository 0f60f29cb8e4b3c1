"""Plays Lambda's event source mapping: polls a queue, invokes the function, deletes what succeeded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airless.cost.usage import Usage

from .billing import say
from .environment import Answer, Environment

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

_WAIT_S = 20
_BATCH = 10


class EventSource:
    """The mappings of a function's queues. `usage` is of all invocations, `faults` those that failed.

    A batch is what one receive gives: of a FIFO queue at most ten messages, of which SQS gives out no more of a
    group while some of it are under way. The polls are counted by whoever made the client: they are billed too.
    """

    def __init__(self, sqs: SQSClient, environments: Sequence[Environment], visibility_s: int) -> None:
        self._sqs = sqs
        self._visibility_s = visibility_s
        self._free: asyncio.Queue[Environment] = asyncio.Queue()
        for environment in environments:
            self._free.put_nowait(environment)
        self.usage = Usage()
        self.faults: list[str] = []
        self.batches: list[int] = []

    async def poll(self, queue_url: str) -> None:
        """One poller, until it is cancelled."""
        arn = f"arn:aws:sqs:us-east-1:000000000000:{queue_url.rpartition('/')[2]}"
        while True:
            received = await self._sqs.receive_message(
                QueueUrl=queue_url,
                MaxNumberOfMessages=_BATCH,
                WaitTimeSeconds=_WAIT_S,
                VisibilityTimeout=self._visibility_s,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
            if messages := received.get("Messages"):
                environment = await self._free.get()
                try:
                    answer = await environment.invoke({"Records": [record(each, arn) for each in messages]})
                finally:
                    self._free.put_nowait(environment)
                await self._end(queue_url, messages, answer)

    async def _end(self, queue_url: str, messages: Sequence[Any], answer: Answer) -> None:
        self.usage.add(answer.usage)
        self.batches.append(len(messages))
        if answer.fault:
            self.faults.append(answer.fault)
            say(answer.fault)
            return  # all of it comes again when its visibility ends
        failed = {each["itemIdentifier"] for each in (answer.value or {}).get("batchItemFailures", ())}
        done = [each for each in messages if each["MessageId"] not in failed]
        if done:
            entries: Any = [
                {"Id": str(number), "ReceiptHandle": each["ReceiptHandle"]}
                for number, each in enumerate(done)
            ]
            await self._sqs.delete_message_batch(QueueUrl=queue_url, Entries=entries)


def record(message: Mapping[str, Any], arn: str) -> dict[str, Any]:
    """A message as a function's event has it."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": {
            name: {
                "dataType": attribute["DataType"],
                "stringValue": attribute.get("StringValue"),
                "stringListValues": [],
                "binaryListValues": [],
            }
            for name, attribute in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message.get("MD5OfBody", ""),
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": "us-east-1",
    }
