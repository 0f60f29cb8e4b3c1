"""The sqlite engine under every contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from commit_contract import CommitContract
from contract_host import EngineHost
from objects_contract import ObjectsContract
from queue_contract import QueueContract
from state_contract import StateContract

from airless.core.clock import ManualClock
from airless.engines.sqlite import SqliteEngine


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[EngineHost]:
    async def open_consumer(clock: ManualClock) -> SqliteEngine:
        return await SqliteEngine.open(f"sqlite:///{tmp_path}/airless.db", clock=clock)

    host = EngineHost(open_consumer)
    yield host
    await host.close()


class TestSqliteQueue(QueueContract):
    pass


class TestSqliteState(StateContract):
    pass


class TestSqliteObjects(ObjectsContract):
    pass


class TestSqliteCommit(CommitContract):
    pass
