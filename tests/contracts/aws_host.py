"""The aws engine, and its S3 half alone, as the contract suites open them: each test has a bucket of its own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from contract_host import EngineHost, RealTime

from airless.core.steps import SteppedEngine
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.engine import AwsEngine
from airless.engines.aws.objects import S3Objects
from airless.engines.aws.options import AwsOptions
from airless.engines.aws.state import S3State
from airless.engines.memory import MemoryEngine, MemoryStore


def fresh_options(endpoint: str, **others: Any) -> AwsOptions:
    """A bucket that nobody else has; it is made when it is first used."""
    given = {"bucket": f"test-{uuid.uuid4().hex}", "endpoint": endpoint, "create": True, **others}
    return AwsOptions("us-east-1", **given)


@asynccontextmanager
async def opened(options: AwsOptions) -> AsyncIterator[AwsClients]:
    clients = AwsClients(options)
    try:
        yield clients
    finally:
        await clients.aclose()


class S3Host(EngineHost):
    """Consumers of one bucket, whose queue is the memory engine's."""

    def __init__(self, options: AwsOptions) -> None:
        super().__init__(self._opened)
        self.options = options
        self._store = MemoryStore()

    async def _opened(self, clock: Any) -> SteppedEngine:
        clients, memory = AwsClients(self.options), MemoryEngine(self._store, clock=clock)
        closing = AsyncExitStack()
        closing.push_async_callback(clients.aclose)
        closing.push_async_callback(memory.aclose)
        return SteppedEngine(
            memory.queue,
            S3State(clients, self.options),
            S3Objects(clients, self.options),
            close=closing.aclose,
        )


class AwsHost(EngineHost):
    """Consumers of the whole engine, in real time, with a prefix of their own."""

    def __init__(self, options: AwsOptions) -> None:
        super().__init__(self._opened, RealTime())
        self.options = options

    async def _opened(self, clock: Any) -> AwsEngine:
        return AwsEngine(self.options, clock=clock)
