import asyncio

import pytest

from airless.core.codec import decode
from airless.core.config import Config
from airless.core.errors import EngineError
from airless.core.message import Message
from airless.core.retry import Retry
from airless.engines import open_engine
from airless.engines.memory import MemoryEngine
from airless.local.loop import run_operator
from airless.operators import EventOperator, RedirectOperator


@pytest.fixture(params=["memory", "sqlite"])
async def engine(request, tmp_path):
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/queue.db"
    async with await open_engine(url) as opened:
        yield opened


class Copy(EventOperator):
    async def execute(self, data, topic):
        self.publish("out", data)


async def on(engine, topic):
    deliveries = await engine.queue.receive(topic, limit=100_000, lease_s=60)
    return [decode(d.topic, d.body, id=d.id).data for d in deliveries]


async def test_every_message_is_worked_until_nothing_waits(engine):
    await engine.queue.publish_many([Message("in", {"n": n}) for n in range(500)])
    ended = []
    counts = await run_operator(engine, "in", Copy(), until_idle=True, observe=ended.append)
    assert counts == {"done": 500}
    assert len(ended) == 500
    assert sorted(d["n"] for d in await on(engine, "out")) == list(range(500))


async def test_idle_waits_for_what_is_delayed(engine):
    class Flaky(EventOperator):
        async def execute(self, data, topic):
            if self.message.attempt == 0:
                raise ValueError("not yet")

    await engine.queue.publish_many([Message("in", {"n": n}) for n in range(10)])
    counts = await run_operator(
        engine, "in", Flaky(), until_idle=True, retry=Retry(base_s=0.2), concurrency=2
    )
    assert counts == {"again": 10, "done": 10}


async def test_messages_that_lead_to_more_are_followed_to_the_end(engine):
    class Tree(EventOperator):
        async def execute(self, data, topic):
            if data["depth"]:
                await self.publish_many("in", [{"depth": data["depth"] - 1}] * 3)

    await engine.queue.publish_many([Message("in", {"depth": 4})])
    counts = await run_operator(engine, "in", Tree(), until_idle=True)
    assert counts == {"done": 1 + 3 + 9 + 27 + 81}


async def test_a_failure_lands_by_the_error_operator_beside(engine):
    class Fail(EventOperator):
        def execute(self, data, topic):
            raise ValueError("boom")

    await engine.queue.publish_many([Message("in", {})])
    counts = await run_operator(engine, "in", Fail(), until_idle=True, retry=Retry(max_attempts=1))
    assert counts == {"dead": 1, "done": 1}
    assert [name async for name in engine.objects.list("airless/error/date=")]


async def test_a_slow_message_keeps_no_other_waiting(engine):
    release = asyncio.Event()
    others = []

    class Mixed(EventOperator):
        async def execute(self, data, topic):
            if data["n"] == 0:
                await release.wait()
            else:
                others.append(data["n"])
                if len(others) == 99:
                    release.set()

    await engine.queue.publish_many([Message("in", {"n": n}) for n in range(100)])
    counts = await run_operator(engine, "in", Mixed(), until_idle=True, concurrency=2)
    assert counts == {"done": 100}


async def test_stopping_drains_and_what_was_not_started_stays(engine):
    stop, started = asyncio.Event(), asyncio.Event()

    class Slow(EventOperator):
        async def execute(self, data, topic):
            started.set()
            await stop.wait()

    await engine.queue.publish_many([Message("in", {"n": n}) for n in range(20)])
    async with asyncio.TaskGroup() as group:
        running = group.create_task(run_operator(engine, "in", Slow(), stop=stop, concurrency=3))
        await started.wait()
        stop.set()
    assert running.result() == {"done": 3}
    assert (await engine.queue.depth("in")).ready == 17


async def test_topics_carry_the_environment(engine):
    await engine.queue.publish_many([Message("dev-in", {"n": 1})])
    await run_operator(engine, "in", Copy(), until_idle=True, config=Config(env="dev"))
    assert await on(engine, "dev-out") == [{"n": 1}]


async def test_a_redirect_runs_to_its_end(engine):
    params = [{"key": "a", "values": list(range(100))}, {"key": "b", "values": list(range(100))}]
    await engine.queue.publish_many([Message("redirect", {"topic": "out", "params": params})])
    counts = await run_operator(engine, "redirect", RedirectOperator(), until_idle=True)
    assert counts == {"done": 2}
    assert (await engine.queue.depth("out")).ready == 10_000


async def test_an_engine_fault_comes_out_as_itself():
    class Broken(MemoryEngine):
        async def commit(self, commit):
            raise EngineError("the disk is gone")

    engine = Broken()
    await engine.queue.publish_many([Message("in", {})])
    with pytest.raises(EngineError, match="the disk is gone"):
        await run_operator(engine, "in", Copy(), until_idle=True)
    assert (await engine.queue.depth("in")).messages == 1
