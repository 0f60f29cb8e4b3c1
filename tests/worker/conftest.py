"""The brokers of the tests with real processes; each test has a prefix of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from support.nats_server import NatsServer
from support.valkey import Valkey


@pytest.fixture(scope="session", params=["redis", "nats"])
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a broker."""
    folder = tmp_path_factory.mktemp(request.param)
    server: Valkey | NatsServer
    server = Valkey(folder, fsync="everysec") if request.param == "redis" else NatsServer(folder)
    with server:
        yield server.url


@pytest.fixture
def engine_url(broker: str) -> str:
    return f"{broker}?prefix=t{uuid.uuid4().hex[:12]}"
