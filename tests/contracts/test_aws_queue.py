"""The SQS queue under the queue's contract, in real time, on two emulators by different hands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest
from contract_host import EngineHost, RealTime
from queue_contract import Promises, QueueContract
from support.sqs_consumers import consumers

from airless.core.clock import Clock
from airless.core.steps import SteppedEngine

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


@asynccontextmanager
async def opened(endpoint: str) -> AsyncIterator[EngineHost]:
    async with consumers(endpoint) as some:

        async def open_consumer(clock: Clock) -> SteppedEngine:
            return some.engine(clock)

        host = EngineHost(open_consumer, RealTime())
        try:
            yield host
        finally:
            await host.close()


class TestMinistackQueue(QueueContract):
    """ministack differs from AWS: it refuses to delete by a handle that is nobody's, where SQS says nothing."""

    promises = SQS

    @pytest.fixture
    async def host(self, ministack_endpoint: str) -> AsyncIterator[EngineHost]:
        async with opened(ministack_endpoint) as host:
            yield host


class TestFauxqsQueue(QueueContract):
    """fauxqs differs from AWS: one message of a group comes at a time, where SQS hands out as many as are asked for,
    and it takes no text beyond U+FFFF, which SQS documents as allowed."""

    promises = SQS
    text: ClassVar = "Füße 漢字 \u2028 \x00 \" ' -- ;"

    @pytest.fixture
    async def host(self, fauxqs_endpoint: str) -> AsyncIterator[EngineHost]:
        async with opened(fauxqs_endpoint) as host:
            yield host
