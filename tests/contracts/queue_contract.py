"""What every queue promises. An engine's tests inherit `QueueContract` and say how to open it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from contract_host import EngineHost

from airless.core.codec import decode
from airless.core.errors import LeaseLost, UndecodableMessage
from airless.core.message import Message
from airless.core.ports import Delivery, Settlement


def message(number: int = 0, topic: str = "pages", **fields: Any) -> Message:
    return Message(topic=topic, data={"number": number}, id=f"m{number}", **fields)


def ids(deliveries: Sequence[Delivery]) -> list[str]:
    return [delivery.id for delivery in deliveries]


class QueueContract:
    """Each test opens its consumers from `host`: all share one store, and a clock that stands still."""

    async def test_what_is_published_comes_back_whole(self, host: EngineHost) -> None:
        engine = await host.open()
        sent = Message(
            topic="pages",
            data={"url": "https://example.com/", "metadata": {"run_next": []}},
            run_id="r1",
            ordering_key="shard-1",
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            hops=3,
            priority=2,
            weight=7,
        )
        await engine.queue.publish_many([sent])
        (got,) = await engine.queue.receive("pages", limit=10, lease_s=30)
        assert decode(got.topic, got.body, id=got.id, attempt=got.attempt) == sent
        assert (got.ordering_key, got.attempt) == ("shard-1", 0)

    async def test_a_thousand_published_at_once_come_in_order(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(n) for n in range(1000)])
        got: list[str] = []
        while batch := await engine.queue.receive("pages", limit=300, lease_s=30):
            assert len(batch) <= 300
            got += ids(batch)
        assert got == [f"m{n}" for n in range(1000)]

    async def test_an_id_that_still_waits_is_not_published_twice(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(1), message(1)])
        await engine.queue.publish_many([message(1), message(2)])
        await engine.queue.publish_many([message(1, topic="other")])
        assert ids(await engine.queue.receive("pages", limit=10, lease_s=30)) == ["m1", "m2"]
        assert ids(await engine.queue.receive("other", limit=10, lease_s=30)) == ["m1"]

    async def test_an_id_that_is_leased_still_waits(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(1)])
        leased = await engine.queue.receive("pages", limit=10, lease_s=30)
        await engine.queue.publish_many([message(1)])
        assert await engine.queue.receive("pages", limit=10, lease_s=30) == []
        await engine.queue.settle([Settlement.done(d) for d in leased])
        assert (await engine.queue.depth("pages")).messages == 0

    async def test_an_id_that_is_done_can_be_published_again(self, host: EngineHost) -> None:
        engine = await host.open()
        for _ in range(2):
            await engine.queue.publish_many([message(1)])
            (got,) = await engine.queue.receive("pages", limit=10, lease_s=30)
            await engine.queue.settle([Settlement.done(got)])

    async def test_a_leased_message_is_nobody_elses(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(n) for n in range(4)])
        assert ids(await one.queue.receive("pages", limit=3, lease_s=30)) == ["m0", "m1", "m2"]
        assert ids(await two.queue.receive("pages", limit=3, lease_s=30)) == ["m3"]
        assert await one.queue.receive("pages", limit=3, lease_s=30) == []

    async def test_what_is_done_is_gone(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(1), message(2)])
        await engine.queue.settle(
            [Settlement.done(d) for d in await engine.queue.receive("pages", limit=2, lease_s=30)]
        )
        host.clock.advance(3600)
        assert await engine.queue.receive("pages", limit=2, lease_s=30) == []

    async def test_a_retried_message_comes_back_after_its_delay(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(1)])
        (got,) = await engine.queue.receive("pages", limit=1, lease_s=30)
        await engine.queue.settle([Settlement.retry(got, 10)])
        host.clock.advance(9.5)
        assert await engine.queue.receive("pages", limit=1, lease_s=30) == []
        host.clock.advance(1)
        (again,) = await engine.queue.receive("pages", limit=1, lease_s=30)
        assert (again.id, again.body, again.attempt) == (got.id, got.body, 1)
        assert again.receipt != got.receipt

    async def test_a_message_handed_back_is_not_charged(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(1)])
        (got,) = await engine.queue.receive("pages", limit=1, lease_s=30)
        await engine.queue.settle([Settlement.retry(got, charge=False)])
        (again,) = await engine.queue.receive("pages", limit=1, lease_s=30)
        assert again.attempt == 0

    async def test_a_retried_message_goes_behind_those_that_wait(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(1), message(2), message(3)])
        (got,) = await engine.queue.receive("pages", limit=1, lease_s=30)
        await engine.queue.settle([Settlement.retry(got)])
        assert ids(await engine.queue.receive("pages", limit=3, lease_s=30)) == ["m2", "m3", "m1"]

    async def test_a_lease_that_runs_out_charges_the_attempt(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(1), message(2)])
        await one.queue.receive("pages", limit=1, lease_s=30)
        host.clock.advance(30)
        got = await two.queue.receive("pages", limit=2, lease_s=30)
        assert [(d.id, d.attempt) for d in got] == [("m1", 1), ("m2", 0)]

    async def test_who_comes_too_late_settles_nothing(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(1), message(2)])
        first = await one.queue.receive("pages", limit=1, lease_s=5)
        second = await one.queue.receive("pages", limit=1, lease_s=60)
        host.clock.advance(6)
        (taken,) = await two.queue.receive("pages", limit=1, lease_s=60)
        for late in ([*second, *first], [*first, *second]):
            with pytest.raises(LeaseLost):
                await one.queue.settle([Settlement.done(d) for d in late])
        with pytest.raises(LeaseLost):
            await one.queue.settle([Settlement.retry(d) for d in first])
        assert (await one.queue.depth("pages")).leased == 2
        await two.queue.settle([Settlement.done(taken)])
        await one.queue.settle([Settlement.done(d) for d in second])
        assert (await one.queue.depth("pages")).messages == 0

    async def test_who_is_late_but_not_replaced_may_settle(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(1)])
        late = await engine.queue.receive("pages", limit=1, lease_s=5)
        host.clock.advance(3600)
        assert (await engine.queue.depth("pages")).ready == 1
        await engine.queue.receive("other", limit=1, lease_s=5)
        await engine.queue.settle([Settlement.done(d) for d in late])
        assert await engine.queue.receive("pages", limit=1, lease_s=5) == []

    async def test_a_delivery_is_settled_once(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(1)])
        (got,) = await engine.queue.receive("pages", limit=1, lease_s=30)
        with pytest.raises(LeaseLost):
            await engine.queue.settle([Settlement.done(got), Settlement.done(got)])
        await engine.queue.settle([Settlement.done(got)])
        with pytest.raises(LeaseLost):
            await engine.queue.settle([Settlement.done(got)])

    @pytest.mark.parametrize("receipt", ["", "nonsense", "1:nonsense", "9" * 40 + ":x", "²:x"])
    async def test_a_receipt_of_nobodys_is_a_lost_lease(self, host: EngineHost, receipt: str) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(1)])
        with pytest.raises(LeaseLost):
            await engine.queue.settle([Settlement.done(Delivery("pages", b"{}", "m1", receipt))])
        assert (await engine.queue.depth("pages")).ready == 1

    async def test_an_extended_lease_holds(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(1), message(2)])
        held = await one.queue.receive("pages", limit=2, lease_s=30)
        host.clock.advance(20)
        await one.queue.extend(held, 30)
        host.clock.advance(20)
        assert await two.queue.receive("pages", limit=2, lease_s=30) == []
        host.clock.advance(10)
        assert len(await two.queue.receive("pages", limit=2, lease_s=30)) == 2
        with pytest.raises(LeaseLost):
            await one.queue.extend(held, 30)

    async def test_a_lease_that_ran_out_unnoticed_can_be_taken_up_again(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(1, ordering_key="a"), message(2, ordering_key="a")])
        held = await one.queue.receive("pages", limit=1, lease_s=5)
        host.clock.advance(60)
        await one.queue.extend(held, 30)
        assert await two.queue.receive("pages", limit=2, lease_s=30) == []
        await one.queue.settle([Settlement.done(d) for d in held])
        assert ids(await two.queue.receive("pages", limit=2, lease_s=30)) == ["m2"]

    async def test_a_lease_is_not_taken_up_again_where_its_key_has_gone(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(1, ordering_key="a")])
        held = await one.queue.receive("pages", limit=1, lease_s=5)
        await one.queue.publish_many([message(2, ordering_key="a", priority=1)])
        host.clock.advance(60)
        assert ids(await two.queue.receive("pages", limit=1, lease_s=30)) == ["m2"]
        with pytest.raises(LeaseLost):
            await one.queue.extend(held, 30)

    async def test_a_key_is_one_consumers_while_it_is_leased(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(n, ordering_key="ab"[n % 2]) for n in range(8)])
        first = await one.queue.receive("pages", limit=1, lease_s=30)
        assert ids(first) == ["m0"]
        assert ids(await two.queue.receive("pages", limit=8, lease_s=30)) == ["m1", "m3", "m5", "m7"]
        more = await one.queue.receive("pages", limit=2, lease_s=30)
        assert ids(more) == ["m2", "m4"]
        await one.queue.settle([Settlement.done(d) for d in [*first, *more]])
        assert ids(await two.queue.receive("pages", limit=8, lease_s=30)) == ["m6"]

    async def test_a_key_is_free_when_its_lease_has_run_out(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(n, ordering_key="a") for n in range(3)])
        await one.queue.receive("pages", limit=2, lease_s=30)
        assert await two.queue.receive("pages", limit=3, lease_s=30) == []
        host.clock.advance(30)
        got = await two.queue.receive("pages", limit=3, lease_s=30)
        assert [(d.id, d.attempt) for d in got] == [("m0", 1), ("m1", 1), ("m2", 0)]

    async def test_a_key_binds_within_its_topic_alone(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(1, ordering_key="a"), message(2, "other", ordering_key="a")])
        assert ids(await one.queue.receive("pages", limit=3, lease_s=30)) == ["m1"]
        assert ids(await two.queue.receive("other", limit=3, lease_s=30)) == ["m2"]

    async def test_messages_without_a_key_go_to_anybody(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(0, ordering_key="a"), message(1), message(2), message(3)])
        assert ids(await one.queue.receive("pages", limit=2, lease_s=30)) == ["m0", "m1"]
        assert ids(await two.queue.receive("pages", limit=9, lease_s=30)) == ["m2", "m3"]

    async def test_keys_ask_for_these_alone(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        keys = [*"abcd", None]
        await one.queue.publish_many([message(n, ordering_key=keys[n % 5]) for n in range(20)])
        got = await one.queue.receive("pages", limit=3, lease_s=30, keys=["d", "b", "b", "z"])
        assert ids(got) == ["m1", "m3", "m6"]
        assert await two.queue.receive("pages", limit=3, lease_s=30, keys=["b"]) == []
        many = [f"z{n}" for n in range(500)]
        assert ids(await two.queue.receive("pages", limit=9, lease_s=30, keys=[*many, "a", "b"])) == [
            "m0",
            "m5",
            "m10",
            "m15",
        ]
        assert await two.queue.receive("pages", limit=3, lease_s=30, keys=[]) == []

    async def test_higher_priority_first_then_as_published(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(n, priority=n % 3) for n in range(6)])
        host.clock.advance(1)
        await engine.queue.publish_many([message(9, priority=2)])
        got = ids(await engine.queue.receive("pages", limit=9, lease_s=30))
        assert got == ["m2", "m5", "m9", "m1", "m4", "m0", "m3"]

    async def test_priority_and_time_order_across_keys(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(90, ordering_key="mine", priority=9)])
        assert (
            len(await one.queue.receive("pages", limit=1, lease_s=30)) == 1
        )  # so that two has to choose by key
        for n in range(12):
            await one.queue.publish_many(
                [message(n, ordering_key="abc"[n % 3] if n % 4 else None, priority=n % 2)]
            )
            host.clock.advance(0.001)
        got = ids(await two.queue.receive("pages", limit=8, lease_s=30))
        assert got == ["m1", "m3", "m5", "m7", "m9", "m11", "m0", "m2"]

    async def test_not_before_holds_a_message_back(self, host: EngineHost) -> None:
        engine = await host.open()
        now = host.clock.now()
        await engine.queue.publish_many(
            [message(1, not_before_s=now + 60), message(2, not_before_s=now - 60)]
        )
        assert ids(await engine.queue.receive("pages", limit=9, lease_s=90)) == ["m2"]
        host.clock.advance(60)
        assert ids(await engine.queue.receive("pages", limit=9, lease_s=30)) == ["m1"]

    async def test_messages_go_in_the_order_of_the_time_from_which_they_can_be_had(
        self, host: EngineHost
    ) -> None:
        engine = await host.open()
        now = host.clock.now()
        await engine.queue.publish_many(
            [message(n, not_before_s=now + at) for n, at in enumerate([30, 10, 20])]
        )
        host.clock.advance(60)
        await engine.queue.publish_many([message(3)])
        assert ids(await engine.queue.receive("pages", limit=9, lease_s=30)) == ["m1", "m2", "m0", "m3"]

    async def test_any_text_and_a_large_body_survive(self, host: EngineHost) -> None:
        engine = await host.open()
        text = "Füße 漢字 🕷️ \u2028 \x00 \" ' -- ;"
        sent = [
            Message(topic="тема ’", data={text: text}, id="ид'\x00\""),
            Message(topic="тема ’", data={"body": "x" * 5_000_000}, id="large"),
        ]
        await engine.queue.publish_many(sent)
        got = await engine.queue.receive("тема ’", limit=9, lease_s=30)
        assert [decode(d.topic, d.body, id=d.id) for d in got] == sent
        await engine.queue.settle([Settlement.done(d) for d in got])

    @pytest.mark.parametrize("body", [b"", b"not json", b"\xff\xfe\x00", b"[1, 2]"])
    async def test_bytes_that_are_no_message_arrive_as_they_were(self, host: EngineHost, body: bytes) -> None:
        engine = await host.open()
        id = await engine.queue.publish_raw("pages", body)
        (got,) = await engine.queue.receive("pages", limit=9, lease_s=30)
        assert (got.id, got.body) == (id, body)
        with pytest.raises(UndecodableMessage) as caught:
            decode(got.topic, got.body, id=got.id)
        assert caught.value.raw == body

    async def test_a_publish_wakes_who_waits(self, host: EngineHost) -> None:
        engine = await host.open()
        waiting = asyncio.create_task(engine.queue.receive("pages", limit=9, lease_s=30, wait_s=60))
        await asyncio.sleep(0.01)
        await engine.queue.publish_many([message(1)])
        async with asyncio.timeout(10):
            assert ids(await waiting) == ["m1"]

    async def test_another_consumers_publish_reaches_who_waits(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        waiting = asyncio.create_task(two.queue.receive("pages", limit=9, lease_s=30, wait_s=60))
        await asyncio.sleep(0.01)
        await one.queue.publish_many([message(1)])
        async with asyncio.timeout(10):
            assert ids(await waiting) == ["m1"]

    async def test_a_key_set_free_wakes_who_waits(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(1, ordering_key="a"), message(2, ordering_key="a")])
        held = await one.queue.receive("pages", limit=1, lease_s=30)
        waiting = asyncio.create_task(two.queue.receive("pages", limit=9, lease_s=30, wait_s=60))
        await asyncio.sleep(0.01)
        await one.queue.settle([Settlement.done(d) for d in held])
        async with asyncio.timeout(10):
            assert ids(await waiting) == ["m2"]

    async def test_a_wait_ends_with_nothing_or_with_what_became_due(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(1, not_before_s=host.clock.now() + 20)])
        waiting = asyncio.create_task(engine.queue.receive("pages", limit=9, lease_s=30, wait_s=5))
        assert await host.turn_until_done(waiting, step_s=1) == []
        waiting = asyncio.create_task(engine.queue.receive("pages", limit=9, lease_s=30, wait_s=60))
        assert ids(await host.turn_until_done(waiting, step_s=1)) == ["m1"]

    async def test_a_cancelled_wait_loses_nothing(self, host: EngineHost) -> None:
        engine = await host.open()
        for turn in range(30):
            waiting = asyncio.create_task(engine.queue.receive("pages", limit=9, lease_s=3600, wait_s=60))
            for _ in range(turn % 6):
                await asyncio.sleep(0)
            publishing = asyncio.create_task(engine.queue.publish_many([message(1)]))
            for _ in range(turn % 5):
                await asyncio.sleep(0)
            waiting.cancel()
            (got,) = await asyncio.gather(waiting, return_exceptions=True)
            await publishing
            if isinstance(got, asyncio.CancelledError):
                got = await engine.queue.receive("pages", limit=9, lease_s=3600)
            assert [(d.id, d.attempt) for d in got] == [("m1", 0)]
            await engine.queue.settle([Settlement.done(d) for d in got])

    async def test_nothing_in_is_nothing_done(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([])
        await engine.queue.settle([])
        await engine.queue.extend([], 30)
        assert await engine.queue.receive("nowhere", limit=9, lease_s=30) == []
        assert (await engine.queue.depth("nowhere")).messages == 0
        await engine.queue.publish_many([message(1)])
        assert await engine.queue.receive("pages", limit=0, lease_s=30) == []

    async def test_depth_tells_what_waits(self, host: EngineHost) -> None:
        engine = await host.open()
        now = host.clock.now()
        await engine.queue.publish_many([message(n, weight=10) for n in range(5)])
        await engine.queue.publish_many(
            [message(n + 10, not_before_s=now + 50, weight=100) for n in range(2)]
        )
        await engine.queue.publish_many([message(1, topic="other")])
        got = await engine.queue.receive("pages", limit=3, lease_s=30)
        depth = await engine.queue.depth("pages")
        assert (depth.ready, depth.delayed, depth.leased, depth.weight) == (2, 2, 3, 250)
        await engine.queue.settle([Settlement.done(got[0]), Settlement.retry(got[1], 10)])
        depth = await engine.queue.depth("pages")
        assert (depth.ready, depth.delayed, depth.leased, depth.weight) == (2, 3, 1, 240)
        host.clock.advance(60)
        depth = await engine.queue.depth("pages")
        assert (depth.ready, depth.delayed, depth.leased, depth.weight) == (6, 0, 0, 240)

    async def test_who_closes_hands_back_uncharged(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(n, ordering_key="a") for n in range(3)])
        await one.queue.receive("pages", limit=2, lease_s=30)
        await one.aclose()
        got = await two.queue.receive("pages", limit=9, lease_s=30)
        assert [(d.id, d.attempt) for d in got] == [("m0", 0), ("m1", 0), ("m2", 0)]
