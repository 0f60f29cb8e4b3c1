"""A hostile server, and an opened fetcher of each kind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from fetchers import FETCHERS, Make
from support.hostile_server import HostileServer, hostile_server

from airless.core.clock import SystemClock
from airless.crawl.fetch import Fetcher
from airless.crawl.http import AddressGuard, CookieJar, Fetching
from airless.crawl.settings import Http


@pytest.fixture(params=FETCHERS)
def make(request: pytest.FixtureRequest) -> Make:
    """An opened fetcher with the given settings; it is closed at the end of the block."""
    cls = FETCHERS[request.param]

    @asynccontextmanager
    async def opened(
        *,
        guard: AddressGuard | None = None,
        page_bytes: int = 1_000_000,
        per_host: int = 4,
        cookies: CookieJar | None = None,
        **http: Any,
    ) -> AsyncIterator[Fetcher]:
        fetching = Fetching(
            replace(Http(timeout_s=20.0, connect_timeout_s=5.0), **http),
            concurrency=8,
            per_host=per_host,
            page_bytes=page_bytes,
            guard=guard or AddressGuard(allow_private=True),
            clock=SystemClock(),
            cookies=cookies,
        )
        fetcher = cls(fetching)
        try:
            yield fetcher
        finally:
            await fetcher.aclose()

    return opened


@pytest.fixture
async def server() -> AsyncIterator[HostileServer]:
    async with hostile_server() as running:
        yield running
