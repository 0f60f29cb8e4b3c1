"""What an engine promises whose commits go in steps (`airless.core.steps`): a replay has no second effect."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from contract_host import EngineHost
from support.fused import Crash, Fuse, count, fused

from airless.core.clock import ManualClock
from airless.core.errors import Conflict, EngineError, MessageError
from airless.core.message import Message
from airless.core.ports import Commit, Settlement, StateWrite
from airless.core.steps import SteppedEngine

_LEASE_S = 30.0


async def prepared(engine: Any, job: str) -> None:
    """Three numbers to add up and pass on, each with a draft to delete."""
    messages = [Message(f"{job}-first", {"number": 10**n}, id=f"{job}-{n}") for n in range(3)]
    await engine.queue.publish_many(messages)
    await asyncio.gather(*(engine.objects.put(f"draft/{message.id}", b"") for message in messages))


def patience_s(host: EngineHost) -> float:
    """How long a message may take to be seen: no time on a clock that stands still."""
    return 0.0 if isinstance(host.clock, ManualClock) else 0.3


async def run(host: EngineHost, engine: SteppedEngine, job: str) -> None:
    await engine.state.load(f"{job}-first")
    waits = {"lease_s": host.s(_LEASE_S), "wait_s": patience_s(host)}
    await count(engine, f"{job}-first", f"{job}-second", **waits)
    await count(engine, f"{job}-second", None, **waits)


async def check(host: EngineHost, engine: SteppedEngine, job: str) -> None:
    """All is there once, also when this engine has carried out once more what the last states left to do."""
    await run(host, engine, job)
    for topic in (f"{job}-first", f"{job}-second"):
        found = await engine.state.load(topic)
        assert found is not None
        state = json.loads(found.data)
        assert (state["total"], len(state["applied"])) == (111, 3)
        assert len([name async for name in engine.objects.list(f"{topic}/")]) == 3
        assert (await engine.queue.depth(topic)).messages == 0, await engine.queue.depth(topic)
    assert [name async for name in engine.objects.list(f"draft/{job}-")] == []


class SteppedCommitContract:
    async def test_a_commit_does_all_that_it_says(self, host: EngineHost) -> None:
        engine = await host.open()
        version = await engine.state.commit(StateWrite("shard", b"old", None))
        await engine.objects.put("old", b"old")
        await engine.queue.publish_many([Message("pages", {}, id="1"), Message("pages", {}, id="2")])
        leased = await engine.queue.receive("pages", limit=2, lease_s=30, wait_s=patience_s(host))
        versions = await engine.commit(
            Commit(
                put={f"new/{n}": b"%d" % n for n in range(100)},
                state=[StateWrite("fresh", b"1", None), StateWrite("shard", b"2", version)],
                publish=[Message("links", {"n": n}, id=str(n)) for n in range(30)],
                settle=[Settlement.done(leased[0]), Settlement.retry(leased[1], 5)],
                delete=["old", "new/7"],
            )
        )
        other = await host.open()
        assert [(await other.state.load(key)).version for key in ("fresh", "shard")] == list(versions)
        assert (await other.state.load("shard")).data == b"2"
        assert len([name async for name in other.objects.list("")]) == 99
        assert await other.objects.get("new/42") == b"42"
        assert (await other.queue.depth("links")).messages == 30, await other.queue.depth("links")
        assert (await other.queue.depth("pages")).messages == 1

    async def test_an_empty_commit_does_nothing(self, host: EngineHost) -> None:
        engine = await host.open()
        assert await engine.commit(Commit()) == ()

    @pytest.mark.parametrize("fault", ["conflict", "data"])
    async def test_a_commit_without_its_state_publishes_settles_and_deletes_nothing(
        self, host: EngineHost, fault: str
    ) -> None:
        engine = await host.open()
        await engine.state.commit(StateWrite("shard", b"old", None))
        await engine.objects.put("old", b"old")
        await engine.queue.publish_many([Message("pages", {}, id="1")])
        (leased,) = await engine.queue.receive("pages", limit=1, lease_s=30, wait_s=patience_s(host))
        version = (await engine.state.load("shard")).version
        data = {"n": object()} if fault == "data" else {}
        with pytest.raises(MessageError if fault == "data" else Conflict):
            await engine.commit(
                Commit(
                    put={"new": b""},
                    state=[StateWrite("shard", b"2", version if fault == "data" else None)],
                    publish=[Message("links", data)],
                    settle=[Settlement.done(leased)],
                    delete=["old"],
                )
            )
        assert (await engine.state.load("shard")).data == b"old"
        assert await engine.objects.get("old") == b"old"
        assert (await engine.queue.depth("links")).messages == 0
        await engine.queue.settle([Settlement.done(leased)])

    async def test_of_two_commits_on_one_state_one_is_applied(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        version = await one.state.commit(StateWrite("shard", b"old", None))
        results = await asyncio.gather(
            *(
                engine.commit(
                    Commit(
                        state=[StateWrite("shard", b"%d" % n, version)],
                        publish=[Message("links", {}, id=f"{n}")],
                    )
                )
                for n, engine in enumerate([one, two])
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(result, Conflict) for result in results) == 1
        assert (await one.queue.depth("links")).messages == 1
        winner = next(n for n, result in enumerate(results) if isinstance(result, tuple))
        assert (await two.state.load("shard")).data == b"%d" % winner

    async def test_a_commit_publishes_no_id_that_waits(self, host: EngineHost) -> None:
        engine = await host.open()
        for _ in range(2):
            await engine.commit(Commit(publish=[Message("links", {}, id="a", ordering_key="k")]))
        assert (await engine.queue.depth("links")).messages == 1

    @pytest.mark.parametrize("after", [False, True])
    async def test_a_crash_at_any_step_loses_and_doubles_nothing(self, host: EngineHost, after: bool) -> None:
        engine, whole = await host.open(), Fuse()
        await prepared(engine, "whole")
        await run(host, fused(engine, whole), "whole")
        await check(host, engine, "whole")
        assert set(whole.steps) == {"put", "state", "publish", "settle", "delete"}
        jobs = [f"job{at}" for at in range(len(whole.steps))]
        for at, job in enumerate(jobs):
            await prepared(engine, job)
            with pytest.raises(Crash):
                await run(host, fused(engine, Fuse(at, after=after)), job)
        died = host.moment()
        await died.past(_LEASE_S)  # the dead ones' leases run out
        other = await host.open()
        for job in jobs:
            await run(host, other, job)
            await check(host, engine, job)

    async def test_what_a_dead_process_left_to_do_is_done_by_who_loads_its_state(
        self, host: EngineHost
    ) -> None:
        engine = await host.open()
        await engine.objects.put("old", b"")
        with pytest.raises(Crash):
            await fused(await host.open(), Fuse(1)).commit(
                Commit(
                    state=[StateWrite("shard", b"1", None)],
                    publish=[Message("links", {"ü": 1}, id="a")],
                    delete=["old"],
                )
            )
        assert (await engine.queue.depth("links")).messages == 0
        assert (await engine.state.load("shard")).data == b"1"
        assert (await engine.queue.depth("links")).messages == 1
        assert await engine.objects.get("old") is None

    async def test_a_closed_engine_says_so(self, host: EngineHost) -> None:
        engine = await host.open()
        async with engine:
            await engine.objects.put("a", b"")
        for call in (
            engine.commit(Commit(put={"b": b""})),
            engine.objects.get("a"),
            engine.state.load("a"),
        ):
            with pytest.raises(EngineError, match="closed"):
                await call
        await engine.aclose()
