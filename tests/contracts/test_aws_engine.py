"""The aws engine as a URL opens it: all ports over one set of clients, on ministack."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator

import pytest
from support.faulty_proxy import FaultyProxy, some

from airless.core.codec import decode
from airless.core.errors import ConfigError, EngineError
from airless.core.message import Message
from airless.core.ports import Commit, Settlement, StateWrite
from airless.engines import OpenEngine, open_engine
from airless.engines.aws.engine import AwsEngine


def url_of(endpoint: str) -> str:
    return f"aws://us-east-1?bucket=engine-{uuid.uuid4().hex}&prefix=t{uuid.uuid4().hex[:12]}&endpoint={endpoint}"


@pytest.fixture
async def engine(ministack_endpoint: str) -> AsyncIterator[AwsEngine]:
    async with await open_engine(url_of(ministack_endpoint) + "&create=yes") as engine:
        assert isinstance(engine, AwsEngine)
        yield engine


async def everything(engine: OpenEngine, topic: str, number: int) -> list[Message]:
    """Receive and settle so many messages, and see that there are no more."""
    got: list[Message] = []
    async with asyncio.timeout(60):
        while len(got) < number:
            found = await engine.queue.receive(topic, limit=10, lease_s=30, wait_s=1)
            got += [decode(d.topic, d.body, id=d.id) for d in found]
            await engine.queue.settle([Settlement.done(d) for d in found])
    assert not await engine.queue.receive(topic, limit=10, lease_s=30, wait_s=0.2)
    return got


async def test_a_url_opens_it_and_a_commit_does_all_that_it_says(engine: AwsEngine) -> None:
    await engine.queue.publish_many([Message("in", {"n": 1}, id="a")])
    (leased,) = await engine.queue.receive("in", limit=1, lease_s=30, wait_s=5)
    (version,) = await engine.commit(
        Commit(
            put={"items/1": b"one"},
            state=[StateWrite("shard", b"state", None)],
            publish=[Message("out", {"n": n}, id=f"{n}") for n in range(25)],
            settle=[Settlement.done(leased)],
        )
    )
    loaded = await engine.state.load("shard")
    assert loaded is not None
    assert (loaded.version, loaded.data) == (version, b"state")
    assert await engine.objects.get("items/1") == b"one"
    assert sorted(message.data["n"] for message in await everything(engine, "out", 25)) == list(range(25))
    assert not await engine.queue.receive("in", limit=1, lease_s=30)


async def test_a_large_message_goes_through_the_bucket(engine: AwsEngine) -> None:
    text = "".join(uuid.uuid4().hex for _ in range(80_000))
    await engine.queue.publish_many([Message("in", {"text": text}, id="a")])
    (got,) = await everything(engine, "in", 1)
    assert got.data["text"] == text
    assert engine.requests["s3.PutObject"] >= 1


async def test_what_was_asked_of_aws_is_counted(engine: AwsEngine) -> None:
    await engine.objects.put("a", b"")
    engine.requests.clear()
    await engine.objects.put("a", b"")
    await engine.objects.get("a")
    await engine.secrets.get("none")
    assert engine.requests == {"s3.PutObject": 1, "s3.GetObject": 1, "secretsmanager.GetSecretValue": 1}


async def test_opening_asks_nothing_and_closing_ends_everything(ministack_endpoint: str) -> None:
    engine = await open_engine(url_of(ministack_endpoint))
    assert isinstance(engine, AwsEngine)
    async with engine:
        assert not engine.requests
        with pytest.raises(ConfigError, match="no bucket"):
            await engine.state.load("k")
    for call in (
        engine.commit(Commit(put={"b": b""})),
        engine.objects.get("a"),
        engine.state.load("a"),
        engine.queue.receive("in", limit=1, lease_s=1),
    ):
        with pytest.raises(EngineError, match="closed"):
            await call
    await engine.aclose()


async def test_what_is_leased_is_handed_back_on_closing(ministack_endpoint: str) -> None:
    url = url_of(ministack_endpoint) + "&create=yes"
    async with await open_engine(url) as one:
        await one.queue.publish_many([Message("in", {}, id="a")])
        assert len(await one.queue.receive("in", limit=1, lease_s=300, wait_s=5)) == 1
    async with await open_engine(url) as two:
        (again,) = await two.queue.receive("in", limit=1, lease_s=30, wait_s=5)
        assert (again.id, again.attempt) == ("a", 0)


async def test_one_call_of_ten_fails_and_nothing_is_lost(ministack_endpoint: str) -> None:
    with FaultyProxy(ministack_endpoint) as proxy:
        url = url_of(proxy.url)
        async with await open_engine(f"{url}&create=yes") as engine:
            await engine.objects.put("", b"")
            await engine.queue.publish_many([Message("in", {}, id="first", ordering_key="k")])
            await everything(engine, "in", 1)
            proxy.plan = some(0.1, seed=7)
            for n in range(10):
                publish = [Message("in", {"n": n}, id=f"{n}", ordering_key="k")]
                await engine.commit(
                    Commit(put={f"o/{n}": b""}, state=[StateWrite(f"s/{n}", b"", None)], publish=publish)
                )
            got: list[int] = []
            while len(got) < 10:
                for delivery in await engine.queue.receive("in", limit=10, lease_s=30, wait_s=1):
                    got.append(decode("in", delivery.body, id="").data["n"])
                    await engine.queue.settle([Settlement.done(delivery)])
            assert got == list(range(10))
            assert len([name async for name in engine.objects.list("o/")]) == 10
            assert len([key async for key in engine.state.list("s/")]) == 10
        assert sum(proxy.injected.values()) > 3


def test_opening_another_engine_loads_nothing_of_aws() -> None:
    script = (
        "import asyncio, sys, airless\n"
        "asyncio.run(airless.open_engine('memory://'))\n"
        "assert not [name for name in sys.modules if 'boto' in name or 'engines.aws' in name]\n"
        "asyncio.run(airless.open_engine('aws://us-east-1?bucket=b'))\n"
        "assert 'airless.engines.aws.engine' in sys.modules\n"
        "assert not [name for name in sys.modules if 'boto' in name or 'engines.sqlite' in name]\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
