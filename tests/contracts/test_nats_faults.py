"""The nats engine where the server dies or the network breaks: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fused import count
from support.nats_server import NatsServer
from support.tcp_proxy import TcpProxy

from airless.core.errors import EngineError, LeaseLost, StorageFull
from airless.core.message import Message
from airless.core.ports import Commit, Settlement, StateWrite
from airless.engines import open_engine


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with NatsServer(tmp_path) as server:
        yield server


@pytest.fixture
async def proxy(server: NatsServer) -> AsyncIterator[TcpProxy]:
    async with TcpProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
async def engine(proxy: TcpProxy) -> AsyncIterator[Any]:
    async with await open_engine(f"nats://127.0.0.1:{proxy.port}?timeout=20") as engine:
        yield engine


def numbers(count: int, topic: str = "first") -> list[Message]:
    """Those of five keys, and some without one."""
    return [
        Message(topic, {"number": 1}, id=f"m{n}", ordering_key=str(n % 6) if n % 6 else None)
        for n in range(count)
    ]


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
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        for engine, topic, target in zip(engines, ("first", "second"), ("second", None), strict=True):
            group.create_task(count(engine, topic, target, lease_s=5, wait_s=1))


async def test_a_server_that_is_killed_and_comes_back_loses_and_doubles_nothing(server: NatsServer) -> None:
    async with await open_engine(server.url) as one, await open_engine(server.url) as two:
        await one.queue.publish_many(numbers(400))
        working = asyncio.create_task(work([one, two]))
        for _ in range(4):
            await asyncio.sleep(0.4)
            assert not working.done()
            server.kill()
            await asyncio.sleep(0.1)
            await asyncio.to_thread(server.start)
        await working
        await worked_off([one, two], 400)


async def test_a_network_that_is_cut_and_mended_loses_and_doubles_nothing(
    server: NatsServer, proxy: TcpProxy
) -> None:
    url = f"nats://127.0.0.1:{proxy.port}"
    async with await open_engine(url) as one, await open_engine(server.url) as two:
        await one.queue.publish_many(numbers(400))
        working = asyncio.create_task(work([one, two]))
        for _ in range(6):
            await asyncio.sleep(0.25)
            assert not working.done()
            await proxy.cut()
            await asyncio.sleep(0.1)
            await proxy.mend()
        await working
        await worked_off([one, two], 400)


async def test_a_network_that_swallows_everything_is_tried_again(proxy: TcpProxy, engine: Any) -> None:
    await engine.objects.put("a", b"0")
    proxy.stall()
    putting = asyncio.create_task(engine.objects.put("a", b"1"))
    await asyncio.sleep(1.5)
    proxy.flow()
    await putting
    assert await engine.objects.get("a") == b"1"


async def test_who_waits_hears_of_messages_again_after_a_cut(
    server: NatsServer, proxy: TcpProxy, engine: Any
) -> None:
    for key in (None, "a"):
        waiting = asyncio.create_task(engine.queue.receive("pages", limit=1, lease_s=30, wait_s=60))
        await asyncio.sleep(0.2)
        await proxy.cut()
        async with await open_engine(server.url) as other:
            await other.queue.publish_many([Message("pages", {}, id="missed", ordering_key=key)])
            await asyncio.sleep(0.2)
            await proxy.mend()
            async with asyncio.timeout(8):
                (got,) = await waiting
            assert got.id == "missed"
            await engine.queue.settle([Settlement.done(got)])


async def test_a_commit_whose_answer_is_lost_has_happened_once(proxy: TcpProxy, engine: Any) -> None:
    await engine.queue.publish_many([Message("pages", {}, id="in", ordering_key="a")])
    (got,) = await engine.queue.receive("pages", limit=1, lease_s=30)
    for part in (b"$KV.", b".q.n.links", b".l.ka.pages"):
        proxy.lose_answer(part)
        if part == b"$KV.":
            version = await engine.state.inner.commit(StateWrite("shard", b"1", None))
            assert (await engine.state.inner.load("shard")).version == version
        elif b"links" in part:
            await engine.queue.publish_many([Message("links", {}, id="out")])
            assert (await engine.queue.depth("links")).messages == 1
        else:
            await engine.queue.settle([Settlement.done(got)])
            assert (await engine.queue.depth("pages")).messages == 0
    assert proxy.lost_answers == 3


async def test_who_made_an_object_is_told_so_although_the_first_answer_was_lost(
    proxy: TcpProxy, engine: Any
) -> None:
    await engine.objects.put("other", b"")
    proxy.lose_answer(b".o.objects.claim")
    assert await engine.objects.put_if_absent("claim", b"mine")
    assert proxy.lost_answers == 1
    assert not await engine.objects.put_if_absent("claim", b"other")


async def test_without_a_server_calls_fail_when_their_time_is_over(server: NatsServer) -> None:
    async with await open_engine(f"{server.url}?timeout=1") as engine:
        await engine.queue.publish_many([Message("pages", {}, ordering_key="a")])
        (got,) = await engine.queue.receive("pages", limit=1, lease_s=1)
        server.kill()
        for call in (
            lambda: engine.state.load("a"),
            lambda: engine.commit(Commit(put={"a": b""})),
            lambda: engine.queue.receive("pages", limit=1, lease_s=1, wait_s=10),
        ):
            with pytest.raises(EngineError, match=r"failed on nats://127\.0\.0\.1:\d+"):
                await call()
        await asyncio.to_thread(server.start)
        with pytest.raises(LeaseLost):
            await engine.queue.settle([Settlement.done(got)])
        (again,) = await engine.queue.receive("pages", limit=1, lease_s=30, wait_s=5)
        assert again.attempt == 1


async def test_opening_asks_nothing_and_the_first_call_says_that_nobody_is_there(server: NatsServer) -> None:
    server.kill()
    async with await open_engine(f"{server.url}?timeout=1") as engine:
        with pytest.raises(EngineError, match="loading state 'a' failed on nats://"):
            await engine.state.load("a")


async def test_closing_without_a_server_says_what_becomes_of_leases(
    server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    engine = await open_engine(f"{server.url}?timeout=1")
    await engine.queue.publish_many([Message("pages", {})])
    await engine.queue.receive("pages", limit=1, lease_s=30)
    server.kill()
    async with asyncio.timeout(5):
        await engine.aclose()
    assert "end when they run out" in caplog.text


async def test_what_is_settled_as_the_server_dies_comes_to_nobody_and_is_deleted_in_the_end(
    server: NatsServer,
) -> None:
    """Deletions follow a settlement in the background, and are given up when the server is away for too long."""
    async with await open_engine(f"{server.url}?timeout=1") as engine:
        await engine.queue.publish_many(
            [Message("pages", {}, id=f"{n}", ordering_key="a") for n in range(60)]
        )
        held = await engine.queue.receive("pages", limit=59, lease_s=60)
        await engine.queue.settle([Settlement.done(one) for one in held])
        server.kill()
        await engine.queue._cleaning.idle()
        await asyncio.to_thread(server.start)
        (got,) = await engine.queue.receive("pages", limit=60, lease_s=60, wait_s=20)
        assert got.id == "59"
        await engine.queue.settle([Settlement.done(got)])
        assert await engine.queue.receive("pages", limit=60, lease_s=60, wait_s=1) == []
        assert (await engine.queue.depth("pages")).messages == 0


async def test_what_waits_for_its_time_comes_after_a_restart(server: NatsServer) -> None:
    async with await open_engine(server.url) as engine:
        (now, later) = [
            Message("pages", {}, id=id, ordering_key=id, not_before_s=engine.queue._clock.now() + delay_s)
            for id, delay_s in (("soon", 1.5), ("later", 60))
        ]
        await engine.queue.publish_many([now, later])
        server.kill()
        await asyncio.to_thread(server.start)
        (got,) = await engine.queue.receive("pages", limit=9, lease_s=30, wait_s=10)
        assert got.id == "soon"
        depth = await engine.queue.depth("pages")
        assert (depth.ready, depth.delayed, depth.leased) == (0, 1, 1)


async def test_a_server_without_room_says_so(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    with NatsServer(tmp_path / "small", jetstream="max_file_store: 3MB") as server:
        async with await open_engine(f"{server.url}?timeout=5") as engine:
            with pytest.raises(StorageFull, match="no room"):
                await engine.commit(Commit(put={f"o/{n}": b"x" * 500_000 for n in range(10)}))
            with pytest.raises(StorageFull):
                await engine.queue.publish_many([Message("pages", {"x": "x" * 900_000})] * 4)
            await engine.objects.delete([name async for name in engine.objects.list("")])
            await engine.queue.publish_many([Message("pages", {})])


async def test_a_settlement_that_nobody_carried_out_is_carried_out_by_the_next(server: NatsServer) -> None:
    """The process dies between the write that decides and what follows from it."""
    async with await open_engine(server.url) as dead, await open_engine(server.url) as other:
        await dead.queue.publish_many(
            [Message("pages", {}, id=id, ordering_key="a") for id in ("done", "again", "given up", "waits")]
        )
        held = await dead.queue.receive("pages", limit=3, lease_s=30)
        done, again, given_up = dead.queue._leases.check(held)
        where = dead.queue._ending._where
        moved = {
            lease.arrived.seq: (lease.arrived, where(settlement))
            for lease, settlement in (
                (again, Settlement.retry(again.delivery)),
                (given_up, Settlement.given_up(given_up.delivery, "no use")),
            )
        }
        assert await dead.queue._keyed.settle(done.holding, [done.arrived.seq], moved, [])
        dead.queue._leases.forget([done, again, given_up])
        (got,) = await other.queue.receive("pages", limit=9, lease_s=1)
        assert (got.id, got.attempt) == ("waits", 0)
        await other.queue.settle([Settlement.done(got)])
        (got,) = await other.queue.receive("pages", limit=9, lease_s=30, wait_s=10)
        assert (got.id, got.attempt) == ("again", 1)
        assert [letter.error for letter in await other.queue.letters("pages", limit=9)] == ["no use"]
        assert (await other.queue.depth("pages")).messages == 1
