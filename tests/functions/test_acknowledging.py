"""What a function notes of the ends of its deliveries."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airless.core.errors import Conflict
from airless.core.message import Message
from airless.core.ports import Commit, DeadLetters, Settlement, StateWrite
from airless.engines.memory import MemoryEngine
from airless.functions.acknowledging import Acknowledging


async def test_what_is_handed_back_goes_with_the_body_that_its_holder_let_go_of() -> None:
    async with MemoryEngine() as engine:
        settled: list[Settlement] = []

        class Telling(MemoryEngine):
            async def commit(self, commit: Commit) -> tuple[str, ...]:
                settled.extend(commit.settle)
                return await super().commit(commit)

        telling = Telling(engine.store)
        await telling.queue.publish_many([Message("t", {"n": 1})])
        (delivery,) = await telling.queue.receive("t", limit=1, lease_s=30)
        view = Acknowledging(telling, [delivery])
        await view.commit(Commit(settle=[Settlement.retry(replace(delivery, body=b""), charge=False)]))
        assert settled == [Settlement.retry(delivery, charge=False)]
        assert list(view.ended) == [delivery.receipt]


async def test_nothing_has_ended_that_is_not_durable() -> None:
    async with MemoryEngine() as engine:
        await engine.queue.publish_many([Message("t", {"n": 1})])
        (delivery,) = await engine.queue.receive("t", limit=1, lease_s=30)
        view = Acknowledging(engine, [delivery])
        with pytest.raises(Conflict):
            await view.commit(
                Commit(state=[StateWrite("s", b"", expected="7")], settle=[Settlement.done(delivery)])
            )
        assert view.ended == {}
        await view.queue.settle([Settlement.done(delivery)])
        assert view.ended == {delivery.receipt: Settlement.done(delivery)}
        assert (await engine.queue.depth("t")).messages == 0


async def test_an_event_that_came_from_no_queue_is_settled_on_none_and_has_no_dead_letters() -> None:
    async with MemoryEngine() as engine:
        await engine.queue.publish_many([Message("t", {"n": 1})])
        (delivery,) = await engine.queue.receive("t", limit=1, lease_s=30)
        event = replace(delivery, receipt="invocation")
        view = Acknowledging(engine, [event], queued=False)
        await view.commit(Commit(put={"a": b"1"}, settle=[Settlement.done(event)]))
        assert list(view.ended) == ["invocation"]
        assert not isinstance(view.queue, DeadLetters)
        assert await engine.objects.get("a") == b"1"
