"""Objects of a broker in a bucket, under their contract, beside the memory engine's queue and state."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aws_host import fresh_options, opened
from contract_host import EngineHost
from objects_contract import ObjectsContract
from stepped_commit_contract import SteppedCommitContract

from airless.core.errors import ConfigError
from airless.core.steps import SteppedEngine
from airless.engines.aws.bucket import Bucket
from airless.engines.memory import MemoryEngine, MemoryStore
from airless.engines.outside import Outside


@pytest.fixture
async def bucket(ministack_endpoint: str) -> str:
    """One that is there, by its name."""
    options = fresh_options(ministack_endpoint)
    async with opened(options) as clients:
        await Bucket(clients, options, "").put("made", b"")
    return options.bucket


def outside(bucket: str, ministack_endpoint: str, prefix: str = "airless") -> Outside:
    environment = {"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL_S3": ministack_endpoint}
    return Outside(f"s3://{bucket}/crawls", prefix, environment)


@pytest.fixture
async def host(bucket: str, ministack_endpoint: str) -> AsyncIterator[EngineHost]:
    store = MemoryStore()

    async def open_consumer(clock: Any) -> SteppedEngine:
        memory, place = MemoryEngine(store, clock=clock), outside(bucket, ministack_endpoint)

        async def close() -> None:
            await memory.aclose()
            await place.aclose()

        return SteppedEngine(memory.queue, memory.state, place.objects("objects"), close=close)

    host = EngineHost(open_consumer)
    yield host
    await host.close()


class TestObjectsInABucket(ObjectsContract):
    pass


class TestSteppedCommitWithABucket(SteppedCommitContract):
    pass


async def test_each_prefix_and_folder_is_apart(bucket: str, ministack_endpoint: str) -> None:
    one, other = outside(bucket, ministack_endpoint, "a/b"), outside(bucket, ministack_endpoint, "a")
    await one.objects("x").put("n", b"1")
    assert await one.objects("y").get("n") is None
    assert await other.objects("b/x").get("n") is None
    assert await one.objects("x").get("n") == b"1"
    await one.aclose()
    await other.aclose()


async def test_a_folder_takes_them_too(tmp_path: Path) -> None:
    place = Outside(f"file://{tmp_path}", "../up")
    await place.objects("x").put("n", b"1")
    assert await Outside(f"file://{tmp_path}", "../up").objects("x").get("n") == b"1"
    assert (tmp_path / "..%2Fup").is_dir()
    await place.aclose()


async def test_a_bucket_that_is_not_there_is_told_of(ministack_endpoint: str) -> None:
    place = outside(f"none-{uuid.uuid4().hex}", ministack_endpoint)
    with pytest.raises(ConfigError, match="there is no bucket"):
        await place.objects("x").put("n", b"")
    await place.aclose()


@pytest.mark.parametrize(
    "url", ["s3://", "s3:///x", "s3://b?region=x", "http://h/x", "/folder", "file://h/x"]
)
def test_what_is_no_place_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="file:///"):
        Outside(url, "airless")
