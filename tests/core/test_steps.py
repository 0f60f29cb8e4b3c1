"""A commit in steps loses nothing and doubles nothing, wherever the process dies."""

from __future__ import annotations

import json

import pytest
from support.fused import Crash, Fuse, FusedObjects, FusedQueue, FusedState, count

from airless.core.clock import ManualClock
from airless.core.codec import decode
from airless.core.errors import Conflict, EngineError, LeaseLost
from airless.core.message import Message
from airless.core.ports import Commit, Settlement, StateWrite
from airless.core.steps import Outbox, SteppedEngine, unwrap, wrap
from airless.engines.memory import MemoryEngine, MemoryStore


def opened(store: MemoryStore, clock: ManualClock, fuse: Fuse | None = None) -> SteppedEngine:
    """A stepped engine over a memory engine's ports; like a process that died, it never closes the latter."""
    inner, fuse = MemoryEngine(store, clock=clock), fuse or Fuse()
    return SteppedEngine(
        FusedQueue(inner.queue, fuse),
        FusedState(inner.state, fuse),
        FusedObjects(inner.objects, fuse),
        close=inner.aclose,
    )


async def run(store: MemoryStore, clock: ManualClock, fuse: Fuse) -> None:
    engine = opened(store, clock, fuse)
    await engine.state.load("first")
    await count(engine, "first", "second")
    await count(engine, "second", None)


SENT = [Message("first", {"number": 10**n}, id=f"m{n}") for n in range(5)]


async def prepared() -> tuple[MemoryStore, ManualClock]:
    store, clock = MemoryStore(), ManualClock()
    engine = MemoryEngine(store, clock=clock)
    await engine.queue.publish_many(SENT)
    for message in SENT:
        await engine.objects.put(f"draft/{message.id}", b"")
    return store, clock


async def check(store: MemoryStore, clock: ManualClock) -> None:
    """All is there once; and also after another process has carried out the last outboxes once more."""
    for _ in range(2):
        engine = MemoryEngine(store, clock=clock)
        for topic in ("first", "second"):
            found = await engine.state.load(topic)
            assert found is not None
            state = json.loads(unwrap(found.data, topic)[0])
            assert (state["total"], len(state["applied"])) == (11111, 5)
            assert len([name async for name in engine.objects.list(f"{topic}/")]) == 5
            assert (await engine.queue.depth(topic)).messages == 0
        assert [name async for name in engine.objects.list("draft/")] == []
        await run(store, clock, Fuse())


STEPS = (
    5 * 2 + 3 * 4 + 3 * 3
)  # puts, then state, publish, settle, delete of three batches; the second don't publish


async def test_steps_go_in_the_order_that_a_crash_allows() -> None:
    store, clock = await prepared()
    fuse = Fuse()
    await run(store, clock, fuse)
    assert fuse.steps[:6] == ["put", "put", "state", "publish", "settle", "delete"]
    assert len(fuse.steps) == STEPS
    await check(store, clock)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(STEPS))
async def test_a_crash_at_any_step_loses_and_doubles_nothing(at: int, after: bool) -> None:
    store, clock = await prepared()
    with pytest.raises(Crash):
        await run(store, clock, Fuse(at, after=after))
    clock.advance(61)  # the dead one's leases run out
    await run(store, clock, Fuse())
    await check(store, clock)


async def test_a_crash_at_every_turn_loses_and_doubles_nothing() -> None:
    store, clock = await prepared()
    crashed = 0
    while True:
        try:
            await run(store, clock, Fuse(3 + crashed % 4, after=crashed % 2 == 0))
            break
        except Crash:
            crashed += 1
            assert crashed < 100
            clock.advance(61)
    assert crashed > 2
    await check(store, clock)


async def test_a_left_outbox_goes_out_with_the_next_load_and_is_replaced_by_the_next_commit() -> None:
    store, clock = MemoryStore(), ManualClock()
    with pytest.raises(Crash):
        await opened(store, clock, Fuse(1)).commit(
            Commit(
                state=[StateWrite("s", b"1", None)],
                publish=[Message("links", {"ü": 1}, id="a", priority=3, hops=1)],
            )
        )
    engine = opened(store, clock)
    assert (await engine.queue.depth("links")).messages == 0
    found = await engine.state.load("s")
    assert found is not None
    assert found.data == b"1"
    (got,) = await engine.queue.receive("links", limit=9, lease_s=30)
    message = decode(got.topic, got.body, id=got.id)
    assert message == Message("links", {"ü": 1}, id="a", priority=3, hops=1)
    await engine.queue.settle([Settlement.done(got)])
    await engine.state.load("s")
    await engine.state.commit(StateWrite("s", b"2", found.version))
    await opened(store, clock).state.load("s")
    assert (await engine.queue.depth("links")).messages == 0
    assert [key async for key in engine.state.list("")] == ["s"]


async def test_who_committed_does_not_publish_again_on_its_own_load() -> None:
    engine = opened(MemoryStore(), ManualClock())
    await engine.commit(Commit(state=[StateWrite("s", b"", None)], publish=[Message("links", {}, id="a")]))
    (got,) = await engine.queue.receive("links", limit=9, lease_s=30)
    await engine.queue.settle([Settlement.done(got)])
    await engine.state.load("s")
    assert (await engine.queue.depth("links")).messages == 0


async def test_without_state_the_publish_comes_before_the_settling() -> None:
    store, clock = await prepared()
    fuse = Fuse()
    engine = opened(store, clock, fuse)
    (got,) = await engine.queue.receive("first", limit=1, lease_s=30)
    assert await engine.commit(Commit(publish=[Message("x", {})], settle=[Settlement.done(got)])) == ()
    assert fuse.steps == ["publish", "settle"]


async def test_the_outbox_rides_in_the_first_of_several_writes() -> None:
    store, clock = MemoryStore(), ManualClock()
    engine = opened(store, clock)
    await engine.state.commit(StateWrite("b", b"old", None))
    with pytest.raises(Conflict):
        await engine.commit(
            Commit(
                state=[StateWrite("a", b"1", None), StateWrite("b", b"1", None)],
                publish=[Message("links", {}, id="a")],
            )
        )
    assert (await engine.queue.depth("links")).messages == 0
    found = await engine.state.load("a")
    assert found is not None
    assert (await engine.queue.depth("links")).messages == 1
    versions = await engine.commit(Commit(state=[StateWrite("c", b"1", None), StateWrite("d", b"1", None)]))
    assert len(versions) == 2


async def test_a_conflict_publishes_and_settles_nothing() -> None:
    store, clock = await prepared()
    async with opened(store, clock) as engine:
        (got,) = await engine.queue.receive("first", limit=1, lease_s=30)
        with pytest.raises(Conflict):
            await engine.commit(
                Commit(
                    state=[StateWrite("s", b"", "7")],
                    publish=[Message("links", {})],
                    settle=[Settlement.done(got)],
                )
            )
        assert (await engine.queue.depth("links")).messages == 0
        assert (await engine.queue.depth("first")).leased == 1
        await engine.queue.extend([got], 60)


async def test_a_lost_lease_is_told() -> None:
    store, clock = await prepared()
    engine, other = opened(store, clock), opened(store, clock)
    (got,) = await engine.queue.receive("first", limit=1, lease_s=30)
    clock.advance(31)
    await other.queue.receive("first", limit=1, lease_s=30)
    with pytest.raises(LeaseLost):
        await engine.commit(Commit(settle=[Settlement.done(got)]))
    assert await engine.objects.put_if_absent("x", b"1")
    assert await engine.objects.get("x") == b"1"


async def test_state_of_somebody_else_is_refused() -> None:
    engine = opened(MemoryStore(), ManualClock())
    assert await engine.state.load("nothing") is None
    assert unwrap(wrap(b"data", Outbox()), "k") == (b"data", Outbox())
    for stored in (b"", b"{}", b"something else", wrap(b"", Outbox([Message("t", {})]))[:-1]):
        with pytest.raises(EngineError, match="'k'"):
            unwrap(stored, "k")
