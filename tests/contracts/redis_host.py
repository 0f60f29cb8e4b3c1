"""Consumers of a Redis server, as the contract suites open them: each test has a prefix of its own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from contract_host import EngineHost, RealTime

from airless.engines import open_engine


@asynccontextmanager
async def redis_host(url: str, **options: Any) -> AsyncIterator[EngineHost]:
    given = {"prefix": f"t{uuid.uuid4().hex[:12]}", **options}
    query = "&".join(f"{name}={value}" for name, value in given.items())

    async def open_consumer(clock: Any) -> Any:
        return await open_engine(f"{url}?{query}", clock=clock)

    host = EngineHost(open_consumer, RealTime())
    try:
        yield host
    finally:
        await host.close()
