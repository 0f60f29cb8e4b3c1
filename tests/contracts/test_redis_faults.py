"""The Redis engine where the server dies or the network breaks: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fused import count
from support.tcp_proxy import TcpProxy
from support.valkey import Valkey

from airless.core.errors import Conflict, EngineError, LeaseLost
from airless.core.message import Message
from airless.core.ports import Commit, Settlement, StateWrite
from airless.engines import open_engine
from airless.engines.redis.scripts import script


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path) as server:
        yield server


@pytest.fixture
async def proxy(server: Valkey) -> AsyncIterator[TcpProxy]:
    async with TcpProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
async def engine(proxy: TcpProxy) -> AsyncIterator[Any]:
    async with await open_engine(f"redis://127.0.0.1:{proxy.port}?timeout=20") as engine:
        yield engine


def numbers(count: int, topic: str = "first") -> list[Message]:
    return [Message(topic, {"number": 1}, id=f"m{n}", ordering_key=str(n % 5)) for n in range(count)]


async def worked_off(engines: list[Any], expected: int) -> None:
    """All numbers are in the sums once, and everything else is where it belongs."""
    while any([(await engines[0].queue.depth(topic)).messages for topic in ("first", "second")]):
        await work(engines)
    for topic in ("first", "second"):
        found = await engines[0].state.load(topic)
        assert found is not None
        assert (f'"total": {expected}'.encode()) in found.data
        assert len([name async for name in engines[0].objects.list(f"{topic}/")]) == expected


async def work(engines: list[Any]) -> None:
    """Each engine works on one topic, since they share no state."""
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for engine, topic, target in zip(engines, ("first", "second"), ("second", None), strict=True):
            group.create_task(count(engine, topic, target, lease_s=5, wait_s=1))


async def test_a_server_that_is_killed_and_comes_back_loses_and_doubles_nothing(server: Valkey) -> None:
    async with await open_engine(server.url) as one, await open_engine(server.url) as two:
        await one.queue.publish_many(numbers(1000))
        working = asyncio.create_task(work([one, two]))
        for _ in range(4):
            await asyncio.sleep(0.2)
            assert not working.done()
            server.kill()
            await asyncio.sleep(0.1)
            await asyncio.to_thread(server.start)
        await working
        await worked_off([one, two], 1000)


async def test_what_a_power_cut_takes_goes_as_a_whole_and_comes_again(server: Valkey, tmp_path: Path) -> None:
    async with await open_engine(server.url) as engine:
        await engine.queue.publish_many([Message("pages", {}, id="in", ordering_key="a")])
        first = await engine.state.commit(StateWrite("shard", b"1", None))
        (got,) = await engine.queue.receive("pages", limit=1, lease_s=30)
        (kept,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
        safe_bytes = kept.stat().st_size
        commit = Commit(
            put={"segment": b"items"},
            state=[StateWrite("shard", b"2", first)],
            publish=[Message("links", {}, id="out")],
            settle=[Settlement.done(got)],
        )
        (lost,) = await engine.commit(commit)
        whole_bytes = kept.stat().st_size
        server.kill()
        os.truncate(kept, safe_bytes + (whole_bytes - safe_bytes) * 2 // 3)
        await asyncio.to_thread(server.start)
        assert (await engine.state.load("shard")).version == first
        assert await engine.objects.get("segment") is None
        assert (await engine.queue.depth("links")).messages == 0
        assert (await engine.queue.depth("pages")).leased == 1
        with pytest.raises(Conflict):
            await engine.state.commit(StateWrite("shard", b"3", lost))
        (again,) = await engine.commit(commit)
        assert again != lost
        assert (await engine.queue.depth("pages")).messages == 0


async def test_a_network_that_is_cut_and_mended_loses_and_doubles_nothing(
    server: Valkey, proxy: TcpProxy
) -> None:
    url = f"redis://127.0.0.1:{proxy.port}"
    async with await open_engine(url) as one, await open_engine(server.url) as two:
        await one.queue.publish_many(numbers(1000))
        working = asyncio.create_task(work([one, two]))
        for _ in range(6):
            await asyncio.sleep(0.15)
            assert not working.done()
            await proxy.cut()
            await asyncio.sleep(0.1)
            await proxy.mend()
        await working
        await worked_off([one, two], 1000)


async def test_a_network_that_swallows_everything_is_tried_again(tmp_path: Path, proxy: TcpProxy) -> None:
    async with await open_engine(f"redis://127.0.0.1:{proxy.port}?timeout=3") as engine:
        proxy.stall()
        putting = asyncio.create_task(engine.objects.put("a", b"1"))
        await asyncio.sleep(1.5)
        proxy.flow()
        await putting
        assert await engine.objects.get("a") == b"1"


async def test_who_waits_hears_of_messages_again_after_a_cut(
    server: Valkey, proxy: TcpProxy, engine: Any
) -> None:
    waiting = asyncio.create_task(engine.queue.receive("pages", limit=1, lease_s=30, wait_s=60))
    await asyncio.sleep(0.2)
    await proxy.cut()
    async with await open_engine(server.url) as other:
        await other.queue.publish_many([Message("pages", {}, id="missed")])
        await asyncio.sleep(0.2)
        await proxy.mend()
        async with asyncio.timeout(4):
            assert [got.id for got in await waiting] == ["missed"]
        waiting = asyncio.create_task(engine.queue.receive("pages", limit=1, lease_s=30, wait_s=60))
        await asyncio.sleep(0.5)
        await other.queue.publish_many([Message("pages", {}, id="heard")])
        async with asyncio.timeout(1):
            assert [got.id for got in await waiting] == ["heard"]


async def test_a_commit_whose_answer_is_lost_has_happened_once(proxy: TcpProxy, engine: Any) -> None:
    await engine.queue.publish_many([Message("pages", {}, id="in")])
    (got,) = await engine.queue.receive("pages", limit=1, lease_s=30)
    proxy.lose_answer(b"shard")
    (version,) = await engine.commit(
        Commit(
            put={"segment": b"items"},
            state=[StateWrite("shard", b"1", None)],
            publish=[Message("links", {}, id="out")],
            settle=[Settlement.done(got)],
        )
    )
    assert proxy.lost_answers == 1
    loaded = await engine.state.load("shard")
    assert (loaded.version, loaded.data) == (version, b"1")
    assert (await engine.queue.depth("links")).messages == 1
    assert (await engine.queue.depth("pages")).messages == 0


async def test_messages_whose_publishing_was_not_answered_come_once(
    server: Valkey, proxy: TcpProxy, engine: Any
) -> None:
    async with await open_engine(server.url) as other:
        proxy.lose_answer(b"links")
        publishing = asyncio.create_task(engine.queue.publish_many([Message("links", {}, id="a")]))
        (got,) = await other.queue.receive("links", limit=9, lease_s=30, wait_s=10)
        await other.queue.settle([Settlement.done(got)])
        await publishing
        assert proxy.lost_answers == 1
        assert (await other.queue.depth("links")).messages == 0


async def test_what_was_leased_and_never_arrived_comes_in_the_same_call(proxy: TcpProxy, engine: Any) -> None:
    await engine.queue.publish_many([Message("pages", {"n": n}, id=f"m{n}") for n in range(5)])
    proxy.lose_answer(script("receive").digest.encode())
    got = await engine.queue.receive("pages", limit=3, lease_s=30)
    assert proxy.lost_answers == 1
    assert [(one.id, one.attempt) for one in got] == [("m0", 0), ("m1", 0), ("m2", 0)]
    assert [one.body for one in got] == [one.body for one in sorted(got, key=lambda one: one.id)]
    depth = await engine.queue.depth("pages")
    assert (depth.ready, depth.leased) == (2, 3)
    await engine.queue.settle([Settlement.done(one) for one in got])


async def test_who_made_an_object_is_told_so_although_the_first_answer_was_lost(
    proxy: TcpProxy, engine: Any
) -> None:
    proxy.lose_answer(b"claim")
    assert await engine.objects.put_if_absent("claim", b"mine")
    assert proxy.lost_answers == 1
    assert not await engine.objects.put_if_absent("claim", b"other")


async def test_redriven_letters_are_counted_although_the_answer_was_lost(
    proxy: TcpProxy, engine: Any
) -> None:
    await engine.queue.publish_many([Message("pages", {}, id="a")])
    (got,) = await engine.queue.receive("pages", limit=1, lease_s=30)
    await engine.queue.settle([Settlement.given_up(got, "broken")])
    proxy.lose_answer(script("redrive").digest.encode())
    assert await engine.queue.redrive("pages") == 1
    assert proxy.lost_answers == 1
    assert (await engine.queue.depth("pages")).ready == 1


async def test_scripts_that_the_server_forgot_are_told_again(server: Valkey, engine: Any) -> None:
    async with await open_engine(server.url) as other:
        for turn in range(3):
            await engine.queue.publish_many([Message("pages", {}, id=f"m{turn}")])
            await other._server.client.script_flush()
            (got,) = await engine.queue.receive("pages", limit=1, lease_s=30)
            await other._server.client.script_flush()
            await engine.queue.settle([Settlement.done(got)])
        assert (await engine.queue.depth("pages")).messages == 0


async def test_without_a_server_calls_fail_when_their_time_is_over(server: Valkey) -> None:
    async with await open_engine(f"{server.url}?timeout=1") as engine:
        await engine.queue.publish_many([Message("pages", {})])
        (got,) = await engine.queue.receive("pages", limit=1, lease_s=1)
        server.kill()
        for call in (
            lambda: engine.state.load("a"),
            lambda: engine.commit(Commit(settle=[Settlement.done(got)])),
            lambda: engine.queue.receive("pages", limit=1, lease_s=1, wait_s=10),
        ):
            with pytest.raises(EngineError, match=r"redis://127\.0\.0\.1:\d+/0 has not answered for 1 s"):
                await call()
        await asyncio.to_thread(server.start)
        with pytest.raises(LeaseLost):
            await engine.queue.settle([Settlement.done(got)])
        (again,) = await engine.queue.receive("pages", limit=1, lease_s=30)
        assert again.attempt == 1


async def test_opening_without_a_server_says_so(server: Valkey) -> None:
    server.kill()
    with pytest.raises(EngineError, match="has not answered for 1 s"):
        await open_engine(f"{server.url}?timeout=1")


async def test_closing_without_a_server_doesnt_take_long(
    server: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    engine = await open_engine(f"{server.url}?timeout=1")
    await engine.queue.publish_many([Message("pages", {})])
    await engine.queue.receive("pages", limit=1, lease_s=30)
    server.kill()
    async with asyncio.timeout(5):
        await engine.aclose()
    assert "1 messages come again when their leases end" in caplog.text
