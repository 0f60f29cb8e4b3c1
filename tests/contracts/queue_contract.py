"""What every queue promises. An engine's tests inherit `QueueContract` and say how to open it.

Where engines promise differently (`ports.Queue` says so), the engine's test class says what it promises, and the
test asserts that.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from contract_host import EngineHost

from airless.core.codec import decode
from airless.core.errors import LeaseLost, UndecodableMessage
from airless.core.message import Message
from airless.core.ports import Delivery, Searchable, Settlement

# Longer than any test takes, in the suite's seconds.
LONG = 600


@dataclass(frozen=True)
class Promises:
    """What an engine with transactions promises, all of it; brokers less.

    `order`: by priority, by the time from which a message can be had, then as published. Else within a key alone.
    `at_once`: what can be had comes in one receive. Else in some.
    `selects`: keys that are asked for come alone. Else what comes, comes.
    `key_goes_on`: who leases a message of a key may have more of it. Else nobody has, until it is settled.
    `knows_ids`: a double of what waits is ignored. Else where it has a key; others may come twice.
    `forgets_ids`: what is done can be published again. Else not for minutes, where it has a key.
    `late`: who comes late but was not replaced may settle. Else the lease is lost when its time is over.
    `exact`: depth tells what is ready, delayed and leased, by weight. Else how many messages there are.
    `in_place`: who closes hands back to the old place. Else behind.
    """

    order: bool = True
    at_once: bool = True
    selects: bool = True
    key_goes_on: bool = True
    knows_ids: bool = True
    forgets_ids: bool = True
    late: bool = True
    exact: bool = True
    in_place: bool = True


def message(number: int = 0, topic: str = "pages", **fields: Any) -> Message:
    return Message(topic=topic, data={"number": number}, id=f"m{number}", **fields)


def ids(deliveries: Sequence[Delivery]) -> list[str]:
    return [delivery.id for delivery in deliveries]


def numbered(*numbers: int) -> list[str]:
    return [f"m{number}" for number in numbers]


class QueueContract:
    """Each test opens its consumers from `host`: all share one store, and one kind of time."""

    promises: ClassVar = Promises()
    # All that JSON text may hold; an emulator may take less.
    text: ClassVar = "Füße 漢字 🕷️ \u2028 \x00 \" ' -- ;"

    async def take(
        self, host: EngineHost, engine: Any, count: int, lease: float = LONG, topic: str = "pages"
    ) -> list[Delivery]:
        """That many messages, leased: in one receive where that is promised."""
        lease_s = host.s(lease)
        if self.promises.at_once:
            got = await engine.queue.receive(topic, limit=count, lease_s=lease_s)
            assert len(got) == count
            return list(got)
        taken: list[Delivery] = []
        async with asyncio.timeout(15):
            while len(taken) < count:
                taken += await engine.queue.receive(
                    topic, limit=count - len(taken), lease_s=lease_s, wait_s=1
                )
        return taken

    async def drain(self, host: EngineHost, engine: Any, count: int, topic: str = "pages") -> list[Delivery]:
        """That many messages, settled as they come, and that there is nothing else."""
        drained: list[Delivery] = []
        async with asyncio.timeout(20):
            while len(drained) < count:
                got = await engine.queue.receive(topic, limit=300, lease_s=host.s(LONG), wait_s=1)
                assert got or not self.promises.at_once
                await engine.queue.settle([Settlement.done(delivery) for delivery in got])
                drained += got
        await self.nothing(host, engine, topic)
        return drained

    async def nothing(self, host: EngineHost, engine: Any, topic: str = "pages") -> None:
        assert await engine.queue.receive(topic, limit=300, lease_s=host.s(LONG)) == []

    def same(self, got: Sequence[Delivery], expected: Sequence[str]) -> bool:
        """The same messages, in the same order where that is promised."""
        return ids(got) == list(expected) if self.promises.order else sorted(ids(got)) == sorted(expected)

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
        (got,) = await self.take(host, engine, 1)
        assert decode(got.topic, got.body, id=got.id, attempt=got.attempt) == sent
        assert (got.ordering_key, got.attempt) == ("shard-1", 0)

    async def test_a_thousand_published_at_once_come(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(n) for n in range(1000)])
        got: list[Delivery] = []
        while batch := await engine.queue.receive("pages", limit=300, lease_s=host.s(LONG)):
            assert len(batch) <= 300
            got += batch
        assert self.same(got, numbered(*range(1000)))

    async def test_the_messages_of_a_key_come_in_order(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(n, ordering_key="abc"[n % 3]) for n in range(60)])
        await engine.queue.publish_many([message(n, ordering_key="abc"[n % 3]) for n in range(60, 90)])
        by_key: dict[str | None, list[str]] = defaultdict(list)
        for delivery in await self.drain(host, engine, 90):
            by_key[delivery.ordering_key].append(delivery.id)
        assert by_key == {key: numbered(*range(n, 90, 3)) for n, key in enumerate("abc")}

    @pytest.mark.parametrize("key", [None, "a"])
    async def test_an_id_that_still_waits_is_not_published_twice(
        self, host: EngineHost, key: str | None
    ) -> None:
        engine = await host.open()
        one, two = message(1, ordering_key=key and "a"), message(2, ordering_key=key and "b")
        await engine.queue.publish_many([one, one])
        await engine.queue.publish_many([one, two])
        await engine.queue.publish_many([message(1, topic="other", ordering_key=key)])
        if self.promises.knows_ids or key:
            assert self.same(await self.drain(host, engine, 2), numbered(1, 2))
        else:
            assert self.same(await self.drain(host, engine, 3), numbered(1, 1, 2))
        assert ids(await self.drain(host, engine, 1, "other")) == ["m1"]

    @pytest.mark.parametrize("key", [None, "a"])
    async def test_an_id_that_is_leased_still_waits(self, host: EngineHost, key: str | None) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(1, ordering_key=key)])
        leased = await self.take(host, engine, 1)
        await engine.queue.publish_many([message(1, ordering_key=key)])
        if self.promises.knows_ids or key:
            await self.nothing(host, engine)
        else:
            leased += await self.take(host, engine, 1)
        await engine.queue.settle([Settlement.done(d) for d in leased])
        await self.nothing(host, engine)

    @pytest.mark.parametrize("key", [None, "a"])
    async def test_an_id_that_is_done_can_be_published_again(self, host: EngineHost, key: str | None) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(1, ordering_key=key)])
        await self.drain(host, engine, 1)
        await engine.queue.publish_many([message(1, ordering_key=key)])
        await self.drain(host, engine, 1 if self.promises.forgets_ids or not key else 0)

    async def test_a_leased_message_is_nobody_elses(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(n) for n in range(4)])
        first, second = await self.take(host, one, 3), await self.take(host, two, 1)
        assert self.same([*first, *second], numbered(0, 1, 2, 3))
        await self.nothing(host, one)

    async def test_what_is_done_is_gone(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(1), message(2)])
        moment = host.moment()
        await engine.queue.settle([Settlement.done(d) for d in await self.take(host, engine, 2, lease=20)])
        await moment.past(40)
        await self.nothing(host, engine)

    async def test_a_retried_message_comes_back_after_its_delay(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(1)])
        (got,) = await self.take(host, engine, 1)
        moment = host.moment()
        await engine.queue.settle([Settlement.retry(got, host.s(20))])
        await moment.almost(20)
        await self.nothing(host, engine)
        await moment.past(20.5)
        (again,) = await self.take(host, engine, 1)
        assert (again.id, again.body, again.attempt) == (got.id, got.body, 1)
        assert again.receipt != got.receipt

    @pytest.mark.parametrize("key", [None, "a"])
    async def test_a_message_with_a_key_or_without_is_charged_where_it_is_said(
        self, host: EngineHost, key: str | None
    ) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(1, ordering_key=key)])
        attempts = []
        for charge, delay in [(False, 0), (True, 0), (False, 10), (True, 10), (True, 0)]:
            (got,) = await self.take(host, engine, 1)
            attempts.append(got.attempt)
            moment = host.moment()
            await engine.queue.settle([Settlement.retry(got, host.s(delay), charge=charge)])
            await moment.past(delay)
        assert attempts == [0, 0, 1, 1, 2]
        (got,) = await self.drain(host, engine, 1)
        assert (got.id, got.ordering_key, got.attempt) == ("m1", key, 3)

    async def test_a_retried_message_goes_behind_those_that_wait(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(1), message(2), message(3)])
        (got,) = await self.take(host, engine, 1)
        await engine.queue.settle([Settlement.retry(got)])
        assert self.same(await self.take(host, engine, 3), numbered(2, 3, 1))

    async def test_a_lease_that_runs_out_charges_the_attempt(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(1), message(2)])
        (lost,) = await self.take(host, one, 1, lease=20)
        await host.moment().past(20)
        got = await self.take(host, two, 2)
        assert self.same(got, numbered(1, 2))
        assert {d.id: d.attempt for d in got} == {"m1": lost.id == "m1", "m2": lost.id == "m2"}

    async def test_who_comes_too_late_settles_nothing(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(1), message(2)])
        moment = host.moment()
        first, second = await self.take(host, one, 1, lease=10), await self.take(host, one, 1)
        await moment.past(15)
        (taken,) = await self.take(host, two, 1)
        assert taken.id == first[0].id
        for late in ([*second, *first], [*first, *second]):
            with pytest.raises(LeaseLost):
                await one.queue.settle([Settlement.done(d) for d in late])
        with pytest.raises(LeaseLost):
            await one.queue.settle([Settlement.retry(d) for d in first])
        if self.promises.exact:
            assert (await one.queue.depth("pages")).leased == 2
        await two.queue.settle([Settlement.done(taken)])
        await one.queue.settle([Settlement.done(d) for d in second])
        assert (await one.queue.depth("pages")).messages == 0

    async def test_who_is_late_but_not_replaced_may_settle(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(1)])
        late = await self.take(host, engine, 1, lease=10)
        await host.moment().past(20)
        if self.promises.exact:
            assert (await engine.queue.depth("pages")).ready == 1
        await engine.queue.receive("other", limit=1, lease_s=host.s(10))
        if self.promises.late:
            await engine.queue.settle([Settlement.done(d) for d in late])
        else:
            with pytest.raises(LeaseLost):
                await engine.queue.settle([Settlement.done(d) for d in late])
            (again,) = await self.drain(host, engine, 1)
            assert (again.id, again.attempt) == ("m1", 1)
        await self.nothing(host, engine)

    async def test_a_delivery_is_settled_once(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(1)])
        (got,) = await self.take(host, engine, 1)
        with pytest.raises(LeaseLost):
            await engine.queue.settle([Settlement.done(got), Settlement.done(got)])
        await engine.queue.settle([Settlement.done(got)])
        with pytest.raises(LeaseLost):
            await engine.queue.settle([Settlement.done(got)])

    @pytest.mark.parametrize("receipt", ["", "nonsense", "1:nonsense", "9" * 40 + ":x", "²:x", "[]", "{}"])
    async def test_a_receipt_of_nobodys_is_a_lost_lease(self, host: EngineHost, receipt: str) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(1)])
        with pytest.raises(LeaseLost):
            await engine.queue.settle([Settlement.done(Delivery("pages", b"{}", "m1", receipt))])
        assert ids(await self.take(host, engine, 1)) == ["m1"]

    async def test_an_extended_lease_holds(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(1), message(2)])
        moment = host.moment()
        held = await self.take(host, one, 2, lease=30)
        await moment.past(20)
        moment = host.moment()
        await one.queue.extend(held, host.s(30))
        await moment.almost(30)
        await self.nothing(host, two)
        await moment.past(30)
        assert len(await self.take(host, two, 2)) == 2
        with pytest.raises(LeaseLost):
            await one.queue.extend(held, host.s(30))

    async def test_a_lease_that_ran_out_unnoticed_can_be_taken_up_again(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(1, ordering_key="a"), message(2, ordering_key="a")])
        held = await self.take(host, one, 1, lease=10)
        await host.moment().past(20)
        if self.promises.late:
            await one.queue.extend(held, host.s(30))
            await self.nothing(host, two)
            await one.queue.settle([Settlement.done(d) for d in held])
            assert ids(await self.drain(host, two, 1)) == ["m2"]
        else:
            with pytest.raises(LeaseLost):
                await one.queue.extend(held, host.s(30))
            assert [(d.id, d.attempt) for d in await self.drain(host, two, 2)] == [("m1", 1), ("m2", 0)]

    async def test_a_lease_is_not_taken_up_again_where_its_key_has_gone(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(1, ordering_key="a")])
        held = await self.take(host, one, 1, lease=10)
        await one.queue.publish_many([message(2, ordering_key="a", priority=1)])
        await host.moment().past(20)
        assert ids(await self.take(host, two, 1)) == ["m2" if self.promises.order else "m1"]
        with pytest.raises(LeaseLost):
            await one.queue.extend(held, host.s(30))

    async def test_a_key_is_one_consumers_while_it_is_leased(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(n, ordering_key="ab"[n % 2]) for n in range(8)])
        held = await self.take(host, one, 1)
        mine, others = (0, 1) if held[0].ordering_key == "a" else (1, 0)
        assert self.promises.order <= (mine == 0)
        assert ids(held) == numbered(mine)
        assert ids(await self.drain(host, two, 4)) == numbered(*range(others, 8, 2))
        if self.promises.key_goes_on:
            held += await self.take(host, one, 2)
            assert ids(held) == ["m0", "m2", "m4"]
        else:
            await self.nothing(host, one)
        await one.queue.settle([Settlement.done(d) for d in held])
        rest = numbered(*range(mine, 8, 2))[len(held) :]
        assert ids(await self.drain(host, two, len(rest))) == rest

    async def test_a_key_is_free_when_its_lease_has_run_out(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(n, ordering_key="a") for n in range(3)])
        moment = host.moment()
        held = await one.queue.receive("pages", limit=2, lease_s=host.s(30))
        assert held == held[:2]
        assert ids(held) == numbered(0, 1)[: len(held)]
        await self.nothing(host, two)
        await moment.past(40)
        got = await self.drain(host, two, 3)
        assert [(d.id, d.attempt) for d in got] == [(f"m{n}", n < len(held)) for n in range(3)]

    async def test_a_key_binds_within_its_topic_alone(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(1, ordering_key="a"), message(2, "other", ordering_key="a")])
        assert ids(await self.take(host, one, 1)) == ["m1"]
        assert ids(await self.take(host, two, 1, topic="other")) == ["m2"]

    async def test_messages_without_a_key_go_to_anybody(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(0, ordering_key="a"), message(1), message(2), message(3)])
        first, second = await self.take(host, one, 2), await self.take(host, two, 2)
        assert self.same([*first, *second], numbered(0, 1, 2, 3))

    async def test_keys_ask_for_these_alone(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        keys = [*"abcd", None]
        await one.queue.publish_many([message(n, ordering_key=keys[n % 5]) for n in range(20)])
        assert await two.queue.receive("pages", limit=3, lease_s=host.s(LONG), keys=[]) == []
        if not self.promises.selects:
            got = await one.queue.receive("pages", limit=3, lease_s=host.s(LONG), keys=["d", "z"])
            assert got
            await one.queue.settle([Settlement.done(d) for d in got])
            rest = await self.drain(host, two, 20 - len(got))
            assert sorted(ids([*got, *rest])) == sorted(numbered(*range(20)))
            return
        got = await one.queue.receive("pages", limit=3, lease_s=host.s(LONG), keys=["d", "b", "b", "z"])
        assert ids(got) == ["m1", "m3", "m6"]
        assert await two.queue.receive("pages", limit=3, lease_s=host.s(LONG), keys=["b"]) == []
        many = [f"z{n}" for n in range(500)]
        got = await two.queue.receive("pages", limit=9, lease_s=host.s(LONG), keys=[*many, "a", "b"])
        assert ids(got) == ["m0", "m5", "m10", "m15"]

    async def test_higher_priority_first_then_as_published(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(n, priority=n % 3) for n in range(6)])
        await host.moment().past(1)
        await engine.queue.publish_many([message(9, priority=2)])
        assert self.same(await self.take(host, engine, 7), numbered(2, 5, 9, 1, 4, 0, 3))

    async def test_priority_and_time_order_across_keys(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(90, ordering_key="mine", priority=9)])
        await self.take(host, one, 1)  # so that two has to choose by key
        for n in range(12):
            await one.queue.publish_many(
                [message(n, ordering_key="abc"[n % 3] if n % 4 else None, priority=n % 2)]
            )
            await host.moment().past(0.001)
        if self.promises.order:
            expected = ["m1", "m3", "m5", "m7", "m9", "m11", "m0", "m2"]
            assert ids(await self.take(host, two, 8)) == expected
        else:
            assert sorted(ids(await self.drain(host, two, 12))) == sorted(numbered(*range(12)))

    async def test_not_before_holds_a_message_back(self, host: EngineHost) -> None:
        engine = await host.open()
        now, moment = host.clock.now(), host.moment()
        await engine.queue.publish_many(
            [message(1, not_before_s=now + host.s(30)), message(2, not_before_s=now - 60)]
        )
        assert ids(await self.take(host, engine, 1)) == ["m2"]
        await moment.almost(30)
        await self.nothing(host, engine)
        await moment.past(30)
        assert ids(await self.take(host, engine, 1)) == ["m1"]

    async def test_a_message_with_a_key_can_wait_too(self, host: EngineHost) -> None:
        engine = await host.open()
        moment, due = host.moment(), host.clock.now() + host.s(30)
        await engine.queue.publish_many(
            [
                message(1, ordering_key="a", not_before_s=due),
                message(2, ordering_key="a"),
                message(3, ordering_key="a"),
            ]
        )
        assert ids(await self.drain(host, engine, 2)) == ["m2", "m3"]
        await moment.almost(30)
        await self.nothing(host, engine)
        await moment.past(40)
        (got,) = await self.drain(host, engine, 1)
        assert (got.id, got.ordering_key, got.attempt) == ("m1", "a", 0)

    async def test_messages_go_in_the_order_of_the_time_from_which_they_can_be_had(
        self, host: EngineHost
    ) -> None:
        engine = await host.open()
        now = host.clock.now()
        await engine.queue.publish_many(
            [message(n, not_before_s=now + host.s(at)) for n, at in enumerate([30, 10, 20])]
        )
        await host.moment().past(40)
        await engine.queue.publish_many([message(3)])
        assert self.same(await self.take(host, engine, 4), numbered(1, 2, 0, 3))

    async def test_any_text_and_a_large_body_survive(self, host: EngineHost) -> None:
        engine = await host.open()
        sent = [
            Message(topic="тема ’", data={self.text: self.text}, id="ид'\x00\""),
            Message(topic="тема ’", data={"body": "x" * 5_000_000}, id="large"),
        ]
        await engine.queue.publish_many(sent)
        got = await self.take(host, engine, 2, topic="тема ’")
        decoded = {d.id: decode(d.topic, d.body, id=d.id) for d in got}
        assert decoded == {message.id: message for message in sent}
        await engine.queue.settle([Settlement.done(d) for d in got])

    @pytest.mark.parametrize("body", [b"", b"not json", b"\xff\xfe\x00", b"[1, 2]", b"\x00", b"x" * 5000])
    async def test_bytes_that_are_no_message_arrive_as_they_were(self, host: EngineHost, body: bytes) -> None:
        engine = await host.open()
        id = await engine.queue.publish_raw("pages", body)
        (got,) = await self.take(host, engine, 1)
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
        held = await self.take(host, one, 1)
        waiting = asyncio.create_task(two.queue.receive("pages", limit=9, lease_s=30, wait_s=60))
        await asyncio.sleep(0.01)
        await one.queue.settle([Settlement.done(d) for d in held])
        async with asyncio.timeout(10):
            assert ids(await waiting) == ["m2"]

    async def test_a_wait_ends_with_nothing_or_with_what_became_due(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([message(1, not_before_s=host.clock.now() + host.s(20))])
        short = engine.queue.receive("pages", limit=9, lease_s=host.s(LONG), wait_s=host.s(5))
        assert await host.turn_until_done(asyncio.create_task(short), step_s=1) == []
        long = engine.queue.receive("pages", limit=9, lease_s=host.s(LONG), wait_s=host.s(60))
        assert ids(await host.turn_until_done(asyncio.create_task(long), step_s=1)) == ["m1"]

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
                got = await self.take(host, engine, 1)
            assert [(d.id, d.attempt) for d in got] == [("m1", 0)]
            await engine.queue.settle([Settlement.done(d) for d in got])

    async def test_nothing_in_is_nothing_done(self, host: EngineHost) -> None:
        engine = await host.open()
        await engine.queue.publish_many([])
        await engine.queue.settle([])
        await engine.queue.extend([], 30)
        await self.nothing(host, engine, "nowhere")
        assert (await engine.queue.depth("nowhere")).messages == 0
        await engine.queue.publish_many([message(1)])
        assert await engine.queue.receive("pages", limit=0, lease_s=30) == []

    async def test_depth_tells_what_waits(self, host: EngineHost) -> None:
        engine = await host.open()
        now, moment = host.clock.now(), host.moment()
        await engine.queue.publish_many([message(n, weight=10) for n in range(5)])
        await engine.queue.publish_many(
            [message(n + 10, not_before_s=now + host.s(30), weight=100) for n in range(2)]
        )
        await engine.queue.publish_many([message(1, topic="other")])
        got = await self.take(host, engine, 3, lease=40)

        async def depth() -> tuple[int, ...]:
            found = await engine.queue.depth("pages")
            if self.promises.exact:
                return (found.ready, found.delayed, found.leased, found.weight)
            return (found.messages,)

        def told(*exactly: int) -> tuple[int, ...]:
            return exactly if self.promises.exact else (sum(exactly[:3]),)

        assert await depth() == told(2, 2, 3, 250)
        await engine.queue.settle([Settlement.done(got[0]), Settlement.retry(got[1], host.s(10))])
        assert await depth() == told(2, 3, 1, 240)
        await moment.past(40)
        assert await depth() == told(6, 0, 0, 240)

    async def test_who_leases_nothing_finds_what_is_not_done(self, host: EngineHost) -> None:
        engine, other = await host.open(), await host.open()
        if not isinstance(other.queue, Searchable):
            return
        many = [message(number, ordering_key="a") for number in range(250)]
        late = message(800, ordering_key="a", not_before_s=host.clock.now() + host.s(LONG))
        elsewhere = [message(900, ordering_key="b"), message(901, topic="others", ordering_key="a")]
        await engine.queue.publish_many([*many, late, *elsewhere])
        leased = [one for one in await self.take(host, engine, 20) if one.ordering_key == "a"]
        await engine.queue.settle([Settlement.done(leased[0])])
        bodies = [body async for body in other.queue.bodies("pages", "a")]
        found = {decode("pages", body, id="").id for body in bodies}
        assert found - {"m900"} == {one.id for one in [*many, late]} - {leased[0].id}
        assert [body async for body in other.queue.bodies("nothing", "a")] == []

    async def test_who_closes_hands_back_uncharged(self, host: EngineHost) -> None:
        one, two = await host.open(), await host.open()
        await one.queue.publish_many([message(n, ordering_key="a") for n in range(3)])
        held = await one.queue.receive("pages", limit=2, lease_s=host.s(LONG))
        assert ids(held) == numbered(0, 1)[: len(held)]
        await one.aclose()
        got = await self.drain(host, two, 3)
        behind = ids(held) if not self.promises.in_place else []
        assert ids(got) == [*(id for id in numbered(0, 1, 2) if id not in behind), *behind]
        assert [d.attempt for d in got] == [0, 0, 0]
