"""S3 by two hands, for the suites that pass on both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from aws_host import S3Host, fresh_options
from support import emulators
from support.faulty_proxy import FaultyProxy


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
