"""The nats engine under every contract of an engine whose commits go in steps, on a real server, in real time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from nats_host import NatsHost, fresh_url
from objects_contract import ObjectsContract
from queue_contract import Promises, QueueContract
from state_contract import StateContract
from stepped_commit_contract import SteppedCommitContract
from support.nats_server import NatsServer

NATS = Promises(
    order=False,
    at_once=False,
    selects=False,
    key_goes_on=False,
    knows_ids=False,
    forgets_ids=False,
    late=False,
    exact=False,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
async def host(server: NatsServer) -> AsyncIterator[NatsHost]:
    host = NatsHost(fresh_url(server.url))
    yield host
    await host.close()


class TestNatsQueue(QueueContract):
    promises = NATS


class TestNatsState(StateContract):
    pass


class TestNatsObjects(ObjectsContract):
    pass


class TestNatsSteppedCommit(SteppedCommitContract):
    pass


class TestNatsSteppedCommitWithFiles(SteppedCommitContract):
    @pytest.fixture
    async def host(self, server: NatsServer, tmp_path: Path) -> AsyncIterator[NatsHost]:
        host = NatsHost(fresh_url(server.url, objects=f"file://{tmp_path}"))
        yield host
        await host.close()
