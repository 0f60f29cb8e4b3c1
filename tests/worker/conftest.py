"""The broker of the tests with real processes; each test has a prefix of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from support.valkey import Valkey


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("broker"), fsync="everysec") as server:
        yield server


@pytest.fixture
def engine_url(broker: Valkey) -> str:
    return f"{broker.url}?prefix=t{uuid.uuid4().hex[:12]}"
