"""The SQS queue under the queue's contract, in real time, on two emulators by different hands."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest
from contract_host import EngineHost, RealTime
from queue_contract import Promises, QueueContract

from airless.core.clock import Clock
from airless.core.steps import SteppedEngine
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.options import AwsOptions
from airless.engines.aws.queue import SqsQueue
from airless.engines.memory import MemoryEngine, MemoryStore

SQS = Promises(
    order=False,
    at_once=False,
    selects=False,
    key_goes_on=False,
    knows_ids=False,
    forgets_ids=False,
    late=False,
    exact=False,
    in_place=False,
)


async def opened(endpoint: str) -> AsyncIterator[EngineHost]:
    """Consumers of queues of their own; large bodies wait in a memory engine."""
    options = AwsOptions(
        "us-east-1", "bucket", f"t{uuid.uuid4().hex[:12]}", endpoint=endpoint, create=True
    )
    clients, store = AwsClients(options), MemoryStore()

    async def open_consumer(clock: Clock) -> SteppedEngine:
        memory = MemoryEngine(store, clock=clock)
        queue = SqsQueue(clients, options, clock, memory.objects)
        return SteppedEngine(queue, memory.state, memory.objects, close=queue.aclose)

    host = EngineHost(open_consumer, RealTime())
    yield host
    await host.close()
    await clients.aclose()


class TestMinistackQueue(QueueContract):
    """ministack differs from AWS: it refuses to delete by a handle that is nobody's, where SQS says nothing."""

    promises = SQS

    @pytest.fixture
    async def host(self, ministack_endpoint: str) -> AsyncIterator[EngineHost]:
        async for host in opened(ministack_endpoint):
            yield host


class TestFauxqsQueue(QueueContract):
    """fauxqs differs from AWS: one message of a group comes at a time, where SQS hands out as many as are asked for,
    and it takes no text beyond U+FFFF, which SQS documents as allowed."""

    promises = SQS
    text: ClassVar = "Füße 漢字 \u2028 \x00 \" ' -- ;"

    @pytest.fixture
    async def host(self, fauxqs_endpoint: str) -> AsyncIterator[EngineHost]:
        async for host in opened(fauxqs_endpoint):
            yield host
