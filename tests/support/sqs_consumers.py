"""Consumers of SQS on an emulator, with queues of their own; large bodies wait in a memory engine."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from airless.core.clock import Clock, SystemClock
from airless.core.steps import SteppedEngine
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.limits import SqsLimits
from airless.engines.aws.options import AwsOptions
from airless.engines.aws.queue import SqsQueue
from airless.engines.aws.topics import queue_name
from airless.engines.memory import MemoryEngine, MemoryStore


@dataclass
class Consumers:
    """One set of queues. `engines` opens consumers of it."""

    clients: AwsClients
    limits: SqsLimits | None = None
    store: MemoryStore = field(default_factory=MemoryStore)

    def queue(self, clock: Clock | None = None) -> SqsQueue:
        clock = clock or SystemClock()
        objects = MemoryEngine(self.store, clock=clock).objects
        return SqsQueue(self.clients, self.clients.options, clock, objects, limits=self.limits)

    def engine(self, clock: Clock | None = None) -> SteppedEngine:
        queue, memory = self.queue(clock), MemoryEngine(self.store)
        return SteppedEngine(queue, memory.state, memory.objects, close=queue.aclose)

    async def url(self, topic: str, *, fifo: bool = False, dead: bool = False) -> str:
        sqs = await self.clients.sqs()
        name = queue_name(self.clients.options.prefix, topic, fifo=fifo, dead=dead)
        return (await sqs.get_queue_url(QueueName=name))["QueueUrl"]

    async def raw(self, topic: str, *, fifo: bool = False, dead: bool = False) -> list[Any]:
        """What lies in a queue, as SQS tells it; nobody else sees it for a minute."""
        sqs = await self.clients.sqs()
        answer = await sqs.receive_message(
            QueueUrl=await self.url(topic, fifo=fifo, dead=dead),
            MaxNumberOfMessages=10,
            VisibilityTimeout=60,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return answer.get("Messages", [])


@asynccontextmanager
async def consumers(endpoint: str, limits: SqsLimits | None = None) -> AsyncIterator[Consumers]:
    options = AwsOptions("us-east-1", "bucket", f"t{uuid.uuid4().hex[:12]}", endpoint=endpoint, create=True)
    clients = AwsClients(options)
    try:
        yield Consumers(clients, limits)
    finally:
        await clients.aclose()
