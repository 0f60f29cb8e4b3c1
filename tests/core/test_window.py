import asyncio

import pytest

from airless.core.codec import decode
from airless.core.errors import EngineError
from airless.core.invocation import Invocation, Policy
from airless.core.message import Message
from airless.core.outcome import Again, Done, Effects
from airless.core.ports import Settlement, StateWrite
from airless.core.retry import Retry
from airless.core.window import Group, Window
from airless.engines.memory import MemoryEngine


class Work:
    input_type = "event"

    def __init__(self, function, batch_size=1):
        self.function = function
        self.batch_size = batch_size

    async def run(self, messages):
        return [await self.function(message) for message in messages]


class Counting(MemoryEngine):
    """A memory engine that keeps the size of each commit."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    async def commit(self, commit):
        self.sizes.append(len(commit.settle))
        await asyncio.sleep(0)
        return await super().commit(commit)


def window(engine, function, *, batch_size=1, **options):
    policy = Policy(retry=Retry(base_s=0.0))
    return Window(Invocation(engine, Work(function, batch_size), policy=policy), "in", **options)


async def numbers(engine, topic):
    deliveries = await engine.queue.receive(topic, limit=10_000, lease_s=60)
    return [decode(d.topic, d.body, id=d.id).data["n"] for d in deliveries]


async def publish(engine, count, **fields):
    await engine.queue.publish_many([Message("in", {"n": n}, **fields) for n in range(count)])


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is awaited is a count
            await asyncio.sleep(0.005)


async def test_a_slow_message_holds_up_no_other():
    engine, stop, release = MemoryEngine(), asyncio.Event(), asyncio.Event()
    await publish(engine, 50)

    async def work(message):
        if message.data["n"] == 0:
            await release.wait()
        return Done(Effects(publish=[message.derive(0, "out", {"n": message.data["n"]})]))

    one = window(engine, work, concurrency=2)
    async with asyncio.TaskGroup() as group:
        group.create_task(one.run(stop))
        await until(lambda: one.counts["done"] == 49)
        assert one.held == 1
        release.set()
        await until(lambda: one.counts["done"] == 50)
        stop.set()
    assert sorted(await numbers(engine, "out")) == list(range(50))


async def test_what_ends_together_is_committed_together():
    engine, stop = Counting(), asyncio.Event()
    await publish(engine, 300)

    async def work(message):
        return Done()

    one = window(engine, work, concurrency=50, group=Group(messages=50))
    async with asyncio.TaskGroup() as group:
        group.create_task(one.run(stop))
        await until(lambda: one.counts["done"] == 300)
        stop.set()
    assert len(engine.sizes) <= 20
    assert sum(engine.sizes) == 300


async def test_stopping_finishes_what_runs_and_hands_back_the_rest():
    engine, stop, release = MemoryEngine(), asyncio.Event(), asyncio.Event()
    await publish(engine, 3, ordering_key="k")
    started = asyncio.Event()

    async def work(message):
        started.set()
        await release.wait()
        return Done()

    one = window(engine, work)
    async with asyncio.TaskGroup() as group:
        group.create_task(one.run(stop))
        await started.wait()
        stop.set()
        release.set()
    assert one.counts == {"done": 1, "handed back": 2}
    assert one.held == 0
    deliveries = await engine.queue.receive("in", limit=10, lease_s=60)
    assert [(d.attempt, decode("in", d.body, id=d.id).data["n"]) for d in deliveries] == [(0, 1), (0, 2)]


async def test_messages_of_a_key_run_one_after_the_others_commit():
    engine, stop, seen = MemoryEngine(), asyncio.Event(), []
    for key in "abc":
        await publish(engine, 20, ordering_key=key)

    async def work(message):
        await asyncio.sleep(0)
        found = await engine.state.load(message.ordering_key)
        seen.append((message.ordering_key, message.data["n"]))
        write = StateWrite(message.ordering_key, b"", found.version if found else None)
        return Done(Effects(state=[write]))

    one = window(engine, work, concurrency=2)
    async with asyncio.TaskGroup() as group:
        group.create_task(one.run(stop))
        await until(lambda: one.counts["done"] == 60)
        stop.set()
    assert one.counts == {"done": 60}
    for key in "abc":
        assert [n for k, n in seen if k == key] == list(range(20))


async def test_none_of_a_key_passes_one_that_is_put_off():
    engine, stop, seen = MemoryEngine(), asyncio.Event(), []
    await publish(engine, 4, ordering_key="k")

    async def work(message):
        seen.append(message.data["n"])
        return Again(0.05) if message.data["n"] == 1 and message.attempt == 0 else Done()

    one = window(engine, work)
    async with asyncio.TaskGroup() as group:
        group.create_task(one.run(stop))
        await until(lambda: one.counts["done"] == 4)
        stop.set()
    assert seen == [0, 1, 1, 2, 3]
    assert one.counts["again"] == 1


async def test_the_lease_of_a_long_message_is_extended():
    engine, stop, release = MemoryEngine(), asyncio.Event(), asyncio.Event()
    await publish(engine, 1)
    runs = []

    async def work(message):
        runs.append(message.attempt)
        await release.wait()
        return Done()

    one = window(engine, work, lease_s=0.15, wait_s=0.02)
    async with asyncio.TaskGroup() as group:
        group.create_task(one.run(stop))
        await asyncio.sleep(0.6)
        release.set()
        await until(lambda: one.counts["done"] == 1)
        stop.set()
    assert runs == [0]


async def test_a_lost_lease_is_not_extended_and_poisons_no_other():
    engine, stop, release = MemoryEngine(), asyncio.Event(), asyncio.Event()
    await publish(engine, 2)
    thief = MemoryEngine(engine.store)

    async def work(message):
        await release.wait()
        return Done()

    one = window(engine, work, lease_s=0.15, wait_s=0.02)
    async with asyncio.TaskGroup() as group:
        group.create_task(one.run(stop))
        await until(lambda: one.held == 2)
        taken = list(one._held.values())
        await thief.queue.settle([Settlement.done(taken[0])])
        await until(lambda: one._lost)
        release.set()
        await until(lambda: one.counts.total() == 2)
        stop.set()
    assert one.counts == {"done": 1, "lost": 1}


async def test_an_engine_fault_ends_the_window_and_acknowledges_nothing():
    class Broken(MemoryEngine):
        async def commit(self, commit):
            raise EngineError("the disk is gone")

    engine, stop = Broken(), asyncio.Event()
    await publish(engine, 3)

    async def work(message):
        if message.data["n"] == 2:
            await asyncio.Event().wait()
        return Done()

    with pytest.raises(EngineError, match="gone"):
        await window(engine, work).run(stop)
    assert (await engine.queue.depth("in")).messages == 3


async def test_messages_are_packed_for_a_runner_that_takes_many():
    engine, stop, sizes = MemoryEngine(), asyncio.Event(), []
    await publish(engine, 30)

    class Many(Work):
        async def run(self, messages):
            sizes.append(len(messages))
            return [Done()] * len(messages)

    policy = Policy()
    one = Window(Invocation(engine, Many(None, 10), policy=policy), "in", concurrency=4)
    async with asyncio.TaskGroup() as group:
        group.create_task(one.run(stop))
        await until(lambda: one.counts["done"] == 30)
        stop.set()
    assert sizes == [10, 10, 10]


async def test_a_message_published_while_waiting_is_worked_at_once():
    engine, stop = MemoryEngine(), asyncio.Event()

    async def work(message):
        return Done()

    one = window(engine, work, wait_s=3_600)
    async with asyncio.TaskGroup() as group:
        group.create_task(one.run(stop))
        await asyncio.sleep(0.02)
        await publish(engine, 1)
        await until(lambda: one.counts["done"] == 1)
        stop.set()
