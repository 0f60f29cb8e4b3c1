"""What every engine with transactions promises of a commit: all of it, or nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from contract_host import EngineHost

from airless.core.errors import Conflict, EngineError, LeaseLost, MessageError
from airless.core.message import Message
from airless.core.ports import Commit, Settlement, StateWrite


async def everything(engine: Any) -> dict[str, Any]:
    """What can be seen of an engine, to compare before and after."""
    return {
        "state": {key: await engine.state.load(key) async for key in engine.state.list("")},
        "objects": {name: await engine.objects.get(name) async for name in engine.objects.list("")},
        "depth": {topic: await engine.queue.depth(topic) for topic in ("pages", "links")},
    }


async def prepared(host: EngineHost) -> tuple[Any, str, list[Settlement]]:
    """An engine with a state, an object, and two messages leased."""
    engine = await host.open()
    version = await engine.state.commit(StateWrite("shard", b"old", None))
    await engine.objects.put("old", b"old")
    await engine.queue.publish_many([Message("pages", {}, id="1"), Message("pages", {}, id="2")])
    leased = await engine.queue.receive("pages", limit=2, lease_s=host.s(30))
    return engine, version, [Settlement.done(leased[0]), Settlement.retry(leased[1], 5)]


class CommitContract:
    async def test_a_commit_does_all_that_it_says(self, host: EngineHost) -> None:
        engine, version, settle = await prepared(host)
        versions = await engine.commit(
            Commit(
                put={"new": b"new"},
                state=[StateWrite("fresh", b"1", None), StateWrite("shard", b"2", version)],
                publish=[Message("links", {"n": n}, id=str(n)) for n in range(300)],
                settle=settle,
                delete=["old"],
            )
        )
        assert [(await engine.state.load(key)).version for key in ("fresh", "shard")] == list(versions)
        assert (await engine.state.load("shard")).data == b"2"
        assert [name async for name in engine.objects.list("")] == ["new"]
        assert (await engine.queue.depth("links")).ready == 300
        depth = await engine.queue.depth("pages")
        assert (depth.ready, depth.delayed, depth.leased) == (0, 1, 0)

    async def test_an_empty_commit_does_nothing(self, host: EngineHost) -> None:
        engine, *_ = await prepared(host)
        before = await everything(engine)
        assert await engine.commit(Commit()) == ()
        assert await everything(engine) == before

    @pytest.mark.parametrize("fault", ["conflict", "twice", "lease", "data"])
    async def test_a_commit_that_fails_does_nothing(self, host: EngineHost, fault: str) -> None:
        engine, version, settle = await prepared(host)
        stale = [StateWrite("fresh", b"1", None), StateWrite("shard", b"2", "77")]
        twice = [StateWrite("shard", b"2", version), StateWrite("shard", b"3", version)]
        good = [StateWrite("fresh", b"1", None), StateWrite("shard", b"2", version)]
        state, error = {"conflict": (stale, Conflict), "twice": (twice, Conflict)}.get(
            fault, (good, EngineError)
        )
        publish: list[Message] = [Message("links", {"n": 1}), Message("pages", {"n": 2})]
        if fault == "lease":
            await host.moment().past(30)
            assert len(await (await host.open()).queue.receive("pages", limit=1, lease_s=30)) == 1
            error = LeaseLost
        if fault == "data":
            publish.append(Message("links", {"n": object()}))
            error = MessageError
        before = await everything(engine)
        with pytest.raises(error):
            await engine.commit(
                Commit(
                    put={"new": b"", "old": b"2"}, state=state, publish=publish, settle=settle, delete=["old"]
                )
            )
        assert await everything(engine) == before

    async def test_a_commit_publishes_no_id_that_waits(self, host: EngineHost) -> None:
        engine = await host.open()
        for _ in range(2):
            await engine.commit(Commit(publish=[Message("links", {}, id="a"), Message("links", {}, id="a")]))
        assert (await engine.queue.depth("links")).messages == 1

    async def test_a_message_may_make_way_for_its_successor(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([Message("pages", {"turn": 1}, id="same")])
        (got,) = await engine.queue.receive("pages", limit=1, lease_s=30)
        await engine.commit(
            Commit(publish=[Message("pages", {"turn": 2}, id="same")], settle=[Settlement.done(got)])
        )
        (next_one,) = await engine.queue.receive("pages", limit=1, lease_s=30)
        assert (next_one.id, next_one.attempt, b'"turn":2' in next_one.body) == ("same", 0, True)

    async def test_a_commit_wakes_who_waits(self, host: EngineHost) -> None:
        engine = await host.open()
        waiting = asyncio.create_task(engine.queue.receive("links", limit=9, lease_s=30, wait_s=60))
        await asyncio.sleep(0.01)
        await engine.commit(Commit(publish=[Message("links", {})]))
        async with asyncio.timeout(10):
            assert len(await waiting) == 1

    async def test_of_two_commits_on_one_state_one_is_applied(self, host: EngineHost) -> None:
        one, version, _ = await prepared(host)
        two = await host.open()
        results = await asyncio.gather(
            *(
                engine.commit(
                    Commit(
                        state=[StateWrite("shard", b"new", version)],
                        publish=[Message("links", {}, id=f"{n}")],
                        put={f"seg/{n}": b""},
                    )
                )
                for n, engine in enumerate([one, two])
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(result, Conflict) for result in results) == 1
        assert (await one.queue.depth("links")).messages == 1
        assert len([name async for name in one.objects.list("seg/")]) == 1

    async def test_a_cancelled_commit_is_whole_or_absent(self, host: EngineHost) -> None:
        engine = await host.open()
        for turn in range(20):
            task = asyncio.create_task(
                engine.commit(
                    Commit(
                        state=[StateWrite(f"s{turn}", b"x", None)],
                        publish=[Message("links", {}, id=f"{turn}-{n}") for n in range(20)],
                        put={f"o{turn}": b"x"},
                    )
                )
            )
            for _ in range(turn % 5):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            applied = await engine.state.load(f"s{turn}") is not None
            assert (await engine.objects.get(f"o{turn}") is not None) == applied
            got = await engine.queue.receive("links", limit=99, lease_s=30)
            assert len(got) == (20 if applied else 0)
            await engine.queue.settle([Settlement.done(d) for d in got])

    async def test_a_closed_engine_says_so(self, host: EngineHost) -> None:
        engine = await host.open()
        async with engine:
            await engine.objects.put("a", b"")
        for call in (
            engine.commit(Commit(put={"b": b""})),
            engine.queue.receive("pages", limit=1, lease_s=1),
            engine.objects.get("a"),
            engine.state.load("a"),
        ):
            with pytest.raises(EngineError, match="closed"):
                await call
        await engine.aclose()
