"""S3 by two hands, for the suites that pass on both; and NATS, with streams of its own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aws_host import S3Host, fresh_options, opened
from nats_host import fresh_url
from support import emulators
from support.faulty_proxy import FaultyProxy
from support.nats_server import NatsServer

from airless.engines import open_engine
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.objects import S3Objects


@pytest.fixture(scope="session")
def moto_endpoint(ministack_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """moto looks at a condition and writes in two steps, where S3 does it in one: it is asked one thing at a time."""
    with (
        emulators.moto(tmp_path_factory.mktemp("moto") / "log") as endpoint,
        FaultyProxy(endpoint, in_turn=True) as proxy,
    ):
        yield proxy.url


@pytest.fixture(params=["ministack", "moto"])
def s3_endpoint(request: pytest.FixtureRequest) -> str:
    endpoint: str = request.getfixturevalue(f"{request.param}_endpoint")
    return endpoint


@pytest.fixture
async def s3_host(s3_endpoint: str) -> AsyncIterator[S3Host]:
    host = S3Host(fresh_options(s3_endpoint))
    yield host
    await host.close()


@pytest.fixture
async def clients(s3_endpoint: str) -> AsyncIterator[AwsClients]:
    async with opened(fresh_options(s3_endpoint)) as clients:
        yield clients


@pytest.fixture
def proxy(ministack_endpoint: str) -> Iterator[FaultyProxy]:
    with FaultyProxy(ministack_endpoint) as proxy:
        yield proxy


@pytest.fixture
async def through(proxy: FaultyProxy) -> AsyncIterator[AwsClients]:
    """Clients of the proxy, with a bucket that is there already."""
    async with opened(fresh_options(proxy.url)) as clients:
        await S3Objects(clients, clients.options).put("", b"")
        yield clients


@pytest.fixture(scope="module")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def nats_url(nats_server: NatsServer) -> str:
    return fresh_url(nats_server.url)


@pytest.fixture
async def nats_engine(nats_url: str) -> AsyncIterator[Any]:
    async with await open_engine(nats_url) as engine:
        yield engine
