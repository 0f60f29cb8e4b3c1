"""An event source mapping of our own: it asks queues of SQS, calls the function, and deletes what didn't fail.

As "Using Lambda with Amazon SQS" and "Handling errors for an SQS event source in Lambda" (AWS Lambda Developer Guide)
have it. What failed can be had again at once here, where AWS has it wait for the visibility timeout.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from support.runtime_api import Answer, RuntimeApi

from airless.engines.aws.clients import AwsClients
from airless.engines.aws.topics import queue_name
from benchmarks.cost.mapping import record

_ACCOUNT = "000000000000"


class EventSource:
    """The queues of the topics that begin with `part`, as a function gets them: one batch after the other."""

    def __init__(self, clients: AwsClients, topic: str) -> None:
        self._clients = clients
        options = clients.options
        self._region = options.region
        self._names = [queue_name(options.prefix, topic, fifo=fifo) for fifo in (True, False)]
        self.attempts: list[int] = []

    async def batches(self, size: int = 10) -> list[list[dict[str, Any]]]:
        """What each queue has to give now, as the records of events."""
        return [batch for name in self._names if (batch := await self._batch(name, size))]

    async def run(self, api: RuntimeApi, *, timeout_s: float, most: int = 500) -> list[Answer]:
        """Call the function until nothing is in the queues, nor delayed, any more: its answers."""
        answers: list[Answer] = []
        while await self.left():
            for records in await self.batches():
                answers.append(await self.call(api, records, timeout_s=timeout_s))
            assert len(answers) <= most
            await asyncio.sleep(0.02)
        return answers

    async def call(
        self, api: RuntimeApi, records: Sequence[Mapping[str, Any]], *, timeout_s: float
    ) -> Answer:
        answer = await asyncio.wrap_future(api.begin({"Records": list(records)}, timeout_s=timeout_s))
        failed = {record["messageId"] for record in records}
        if answer.error is None:
            failed = {failure["itemIdentifier"] for failure in answer.result["batchItemFailures"]}
        await self._end(records, failed)
        return answer

    async def left(self) -> int:
        """How many messages there are, whatever they wait for."""
        number = 0
        sqs = await self._clients.sqs()
        for name in self._names:
            if (url := await self._url(name)) is None:
                continue
            answer = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            number += sum(
                int(value)
                for key, value in answer["Attributes"].items()
                if key.startswith("ApproximateNumberOfMessages")
            )
        return number

    async def _batch(self, name: str, size: int) -> list[dict[str, Any]]:
        if (url := await self._url(name)) is None:
            return []
        sqs = await self._clients.sqs()
        answer = await sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=size,
            VisibilityTimeout=60,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages = answer.get("Messages", [])
        self.attempts += [int(message["Attributes"]["ApproximateReceiveCount"]) for message in messages]
        arn = f"arn:aws:sqs:{self._region}:{_ACCOUNT}:{name}"
        return [record(message, arn) for message in messages]

    async def _end(self, records: Sequence[Mapping[str, Any]], failed: set[str]) -> None:
        sqs = await self._clients.sqs()
        url = await self._url(records[0]["eventSourceARN"].rpartition(":")[2])
        assert url is not None
        for each in records:
            handle = each["receiptHandle"]
            if each["messageId"] in failed:
                await sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
            else:
                await sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)

    async def _url(self, name: str) -> str | None:
        from botocore.exceptions import ClientError

        sqs = await self._clients.sqs()
        try:
            return (await sqs.get_queue_url(QueueName=name))["QueueUrl"]
        except ClientError:
            return None
