"""Functions at work as a cloud has them: processes under the real runtime client, behind the mappings of SQS queues.

Processes are killed at moments of nobody's choosing, and some batches are delivered twice.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from support.runtime_api import Answer, RuntimeApi, function

from airless.engines.aws.clients import AwsClients
from airless.engines.aws.options import AwsOptions
from benchmarks.cost.mapping import record

_BATCH = 10
_WAIT_S = 2


class Killed(Exception):
    """The process that worked on an event is gone."""


class Environment:
    """A function's process, and the next one when it was killed."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._stack = ExitStack()
        self._api: RuntimeApi | None = None
        self._gone: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Have its process begin, as far as it gets without an event."""
        self._gone = asyncio.get_running_loop().create_future()
        self._api = await asyncio.to_thread(
            self._stack.enter_context, function(self._folder, self._environment)
        )

    async def invoke(self, event: Any, timeout_s: float) -> Answer:
        """The function's answer to an event. Raises Killed."""
        if self._api is None:
            await self.start()
        assert self._api is not None
        assert self._gone is not None
        gone = self._gone
        answer = asyncio.wrap_future(self._api.begin(event, timeout_s=timeout_s))
        await asyncio.wait([answer, gone], return_when=asyncio.FIRST_COMPLETED, timeout=timeout_s)
        if answer.done():
            return answer.result()
        answer.cancel()
        if not gone.done():  # a function that overruns its time is ended
            await self.close()
        raise Killed

    async def kill(self) -> None:
        """Kill it, whatever it does; another begins."""
        gone = self._gone
        await self.close()
        if gone is not None:
            gone.set_result(None)
        await self.start()

    async def close(self) -> None:
        stack, self._stack, self._api = self._stack, ExitStack(), None
        await asyncio.to_thread(stack.close)


class Functions:
    """`number` processes behind the mappings of a prefix's queues. `kills` and `doubles` count what befell them."""

    def __init__(
        self,
        folder: Path,
        endpoint: str,
        environment: Mapping[str, str],
        *,
        options: AwsOptions,
        number: int,
        timeout_s: float,
        visibility_s: int,
        doubled: float = 0.0,
        seed: int = 1,
    ) -> None:
        self._clients = AwsClients(AwsOptions(options.region, options.bucket, options.prefix, endpoint))
        self._prefix = options.prefix
        self._timeout_s, self._visibility_s, self._doubled = timeout_s, visibility_s, doubled
        self._rng = random.Random(seed)
        self._all = [Environment(folder, environment) for _ in range(number)]
        self._free: asyncio.Queue[Environment] = asyncio.Queue()
        for each in self._all:
            self._free.put_nowait(each)
        self.kills = self.doubles = self.batches = 0
        self.errors: list[Any] = []

    @asynccontextmanager
    async def at_work(self, topic: str) -> AsyncIterator[None]:
        """Functions work on the queues of a topic within the block."""
        await asyncio.gather(*(each.start() for each in self._all))
        polls = [asyncio.create_task(self._poll(f"{self._prefix}-{topic}.fifo")) for _ in self._all]
        polls.append(asyncio.create_task(self._poll(f"{self._prefix}-{topic}")))
        try:
            yield
        finally:
            for each in polls:
                each.cancel()
            ended = await asyncio.gather(*polls, return_exceptions=True)
            await asyncio.gather(*(each.close() for each in self._all))
            await self._clients.aclose()
        for each in ended:
            if isinstance(each, Exception):
                raise each

    async def kill_one(self) -> None:
        """Kill one of them."""
        self.kills += 1
        await self._rng.choice(self._all).kill()

    async def _poll(self, queue: str) -> None:
        sqs = await self._clients.sqs()
        url = None
        while url is None:
            try:
                url = (await sqs.get_queue_url(QueueName=queue))["QueueUrl"]
            except sqs.exceptions.QueueDoesNotExist:  # whoever needs it first makes it
                await asyncio.sleep(0.5)
        arn = f"arn:aws:sqs:us-east-1:000000000000:{queue}"
        while True:
            received = await sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=_BATCH,
                WaitTimeSeconds=_WAIT_S,
                VisibilityTimeout=self._visibility_s,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
            messages = received.get("Messages", [])
            if not messages:
                continue
            event = {"Records": [record(message, arn) for message in messages]}
            failed = await self._work(event)
            done = [message for message in messages if message["MessageId"] not in failed]
            if done:
                entries: Any = [
                    {"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]}
                    for n, message in enumerate(done)
                ]
                await sqs.delete_message_batch(QueueUrl=url, Entries=entries)

    async def _work(self, event: Any) -> set[str]:
        """Have a function work on a batch, and some on it twice; the ids of what failed."""
        times = 1
        if self._rng.random() < self._doubled:
            times, self.doubles = 2, self.doubles + 1
        failed: set[str] = set()
        for _ in range(times):
            environment = await self._free.get()
            try:
                answer = await environment.invoke(event, self._timeout_s)
            except Killed:
                return {record["messageId"] for record in event["Records"]}
            finally:
                self._free.put_nowait(environment)
            self.batches += 1
            if answer.error is not None:
                self.errors.append(answer.error)
                return {record["messageId"] for record in event["Records"]}
            failed = {each["itemIdentifier"] for each in answer.result["batchItemFailures"]}
            if failed:
                break
        return failed
