"""The Redis engine under every contract, on a real server: those of transactions, and those of commits in steps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from commit_contract import CommitContract
from contract_host import EngineHost
from objects_contract import ObjectsContract
from queue_contract import Promises, QueueContract
from redis_host import redis_host
from state_contract import StateContract
from stepped_commit_contract import SteppedCommitContract
from support.valkey import Valkey


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("valkey"), fsync="everysec") as server:
        yield server


@pytest.fixture
async def host(server: Valkey) -> AsyncIterator[EngineHost]:
    async with redis_host(server.url) as host:
        yield host


class TestRedisQueue(QueueContract):
    promises = Promises(key_goes_on=False, late=False)


class TestRedisState(StateContract):
    pass


class TestRedisObjects(ObjectsContract):
    pass


class TestRedisCommit(CommitContract):
    pass


class TestRedisSteppedCommit(SteppedCommitContract):
    pass


class TestRedisSteppedCommitWithFiles(SteppedCommitContract):
    @pytest.fixture
    async def host(self, server: Valkey, tmp_path: Path) -> AsyncIterator[EngineHost]:
        async with redis_host(server.url, objects=f"file://{tmp_path}") as host:
            yield host
