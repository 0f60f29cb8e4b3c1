"""The nats engine as the contract suites open it: each test has streams of its own."""

from __future__ import annotations

import uuid
from typing import Any

from contract_host import EngineHost, RealTime

from airless.engines.nats.engine import NatsEngine
from airless.engines.nats.options import NatsOptions


def fresh_url(server: str, **options: str) -> str:
    """A URL with a prefix that nobody else has."""
    more = "".join(f"&{name}={value}" for name, value in options.items())
    return f"{server}?prefix=t{uuid.uuid4().hex[:12]}{more}"


class NatsHost(EngineHost):
    """Consumers of one prefix, in real time."""

    def __init__(self, url: str) -> None:
        super().__init__(self._opened, RealTime())
        self.url = url

    async def _opened(self, clock: Any) -> NatsEngine:
        return NatsEngine(NatsOptions.parse(self.url), clock=clock)
