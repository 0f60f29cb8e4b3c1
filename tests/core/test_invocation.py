import asyncio
import base64
import random

import orjson
import pytest

from airless.core.batch import run_batch
from airless.core.clock import ManualClock
from airless.core.codec import decode
from airless.core.errors import EngineError, MessageTooLarge, PermanentError, RetryableError
from airless.core.invocation import Invocation, Policy
from airless.core.message import Message
from airless.core.outcome import Again, Dead, Done, Effects, Lost
from airless.core.ports import Settlement, StateWrite
from airless.core.retry import Retry
from airless.engines.memory import MemoryEngine
from airless.engines.memory.engine import MemoryQueue

NOW = Retry(base_s=0.0)


class Work:
    """A runner over a function of one message."""

    input_type = "event"

    def __init__(self, function, batch_size=1):
        self.function = function
        self.batch_size = batch_size

    async def run(self, messages):
        return [await self.function(message) for message in messages]


class Failing(MemoryEngine):
    """A memory engine that refuses commits, as `refuse` decides."""

    refuse = None

    async def commit(self, commit):
        error = self.refuse(commit) if self.refuse else None
        if error is not None:
            raise error
        return await super().commit(commit)


class Keeping(MemoryQueue):
    """A memory queue that keeps dead letters: here, as pairs of id and error."""

    def __init__(self, engine):
        super().__init__(engine)
        self.dead = []

    async def redrive(self, topic):
        return 0

    async def letters(self, topic, *, limit):
        return []


class KeepingEngine(MemoryEngine):
    """A memory engine whose queue keeps dead letters."""

    def __init__(self):
        super().__init__()
        self.queue = Keeping(self)

    async def commit(self, commit):
        self.queue.dead += [(one.delivery.id, one.dead) for one in commit.settle if one.dead is not None]
        return await super().commit(commit)


async def publish_copy(message):
    return Done(Effects(publish=[message.derive(0, "out", dict(message.data))]))


async def take(engine, topic="in", limit=1_000, lease_s=60.0):
    return await engine.queue.receive(topic, limit=limit, lease_s=lease_s)


async def messages_on(engine, topic):
    return [decode(d.topic, d.body, id=d.id, attempt=d.attempt) for d in await take(engine, topic)]


async def names(engine, prefix=""):
    return [name async for name in engine.objects.list(prefix)]


def invocation(engine, function, *, batch_size=1, retry=NOW, clock=None, **policy):
    runner = function if isinstance(function, Work) else Work(function, batch_size)
    return Invocation(engine, runner, policy=Policy(retry=retry, **policy), clock=clock, rng=random.Random(1))


async def test_effects_and_acknowledgements_are_one_commit():
    engine = MemoryEngine()
    await engine.queue.publish_many([Message("in", {"n": n}) for n in range(5)])
    ends = await run_batch(invocation(engine, publish_copy), await take(engine))
    assert all(isinstance(end.outcome, Done) for end in ends)
    assert (await engine.queue.depth("in")).messages == 0
    assert sorted(m.data["n"] for m in await messages_on(engine, "out")) == [0, 1, 2, 3, 4]


async def test_nothing_is_acknowledged_when_the_commit_fails():
    engine = Failing()
    await engine.queue.publish_many([Message("in", {"n": n}) for n in range(3)])
    engine.refuse = lambda commit: EngineError("the disk is gone")
    with pytest.raises(EngineError, match="gone"):
        await run_batch(invocation(engine, publish_copy), await take(engine))
    assert (await engine.queue.depth("in")).leased == 3
    assert (await engine.queue.depth("out")).messages == 0


async def test_a_failed_message_comes_back_and_is_charged_until_its_tries_are_spent():
    engine = MemoryEngine()
    await engine.queue.publish_many([Message("in", {"n": 1}, id="a")])

    async def fail(message):
        raise ValueError("boom")

    one = invocation(engine, fail)
    for attempt in (0, 1):
        (end,) = await run_batch(one, await take(engine))
        assert end.message.attempt == attempt
        assert end.outcome.charge
    (end,) = await run_batch(one, await take(engine))
    assert isinstance(end.outcome, Dead)
    (report,) = await messages_on(engine, "error")
    assert report.data["origin"] == "in"
    assert report.data["event_id"] == "a"
    assert report.data["input_type"] == "event"
    assert report.data["data"] == {"n": 1}
    assert report.data["attempt"] == 2
    assert report.data["error"].startswith("ValueError: boom\nTraceback")
    assert (await engine.queue.depth("in")).messages == 0


async def test_a_permanent_error_is_not_tried_again():
    engine = MemoryEngine()
    await engine.queue.publish_many([Message("in", {})])

    async def fail(message):
        raise PermanentError("no such thing")

    (end,) = await run_batch(invocation(engine, fail), await take(engine))
    assert isinstance(end.outcome, Dead)


async def test_the_source_says_when_to_try_again():
    clock = ManualClock()
    engine = MemoryEngine(clock=clock)
    await engine.queue.publish_many([Message("in", {})])

    async def fail(message):
        raise RetryableError("busy", after_s=90.0)

    (end,) = await run_batch(invocation(engine, fail, clock=clock), await take(engine))
    assert end.outcome.delay_s == 90.0
    clock.advance(89)
    assert await take(engine) == []
    clock.advance(2)
    assert len(await take(engine)) == 1


async def test_a_message_says_how_often_it_is_tried():
    engine = MemoryEngine()
    await engine.queue.publish_many([Message("in", {"metadata": {"max_retries": 0}})])

    async def fail(message):
        raise ValueError

    (end,) = await run_batch(invocation(engine, fail), await take(engine))
    assert isinstance(end.outcome, Dead)


async def test_an_operator_that_exits_fails_its_message_alone():
    engine = MemoryEngine()
    await engine.queue.publish_many([Message("in", {"n": n}) for n in range(2)])

    async def work(message):
        if message.data["n"] == 0:
            raise SystemExit(3)
        return Done()

    ends = await run_batch(invocation(engine, work), await take(engine))
    assert sorted(type(end.outcome).__name__ for end in ends) == ["Again", "Done"]


@pytest.mark.parametrize("id", ["a/b", "4f9c-12", "12345", "é\n", "x" * 300])
async def test_ids_are_opaque(id):
    engine = MemoryEngine()
    await engine.queue.publish_many([Message("error", {}, id=id)])

    async def fail(message):
        assert message.id == id
        raise PermanentError("no")

    await run_batch(invocation(engine, fail), await take(engine, "error"))
    (name,) = await names(engine, "dead/error/")
    assert name.count("/") == 2


async def test_undecodable_bytes_survive_whole_in_the_report():
    engine, raw = MemoryEngine(), b"\xff\x00not json{"
    await engine.queue.publish_raw("in", raw, id="x")
    (end,) = await run_batch(invocation(engine, publish_copy), await take(engine))
    assert isinstance(end.outcome, Dead)
    (report,) = await messages_on(engine, "error")
    assert base64.b64decode(report.data["raw"]) == raw
    assert report.data["event_id"] == "x"
    assert report.data["data"] is None


async def test_undecodable_bytes_that_no_report_can_carry_survive_in_the_sink():
    engine, raw = Failing(), b"\xff" * 100
    await engine.queue.publish_raw("in", raw, id="x")
    engine.refuse = lambda commit: MessageTooLarge("over the limit") if commit.publish else None
    (end,) = await run_batch(invocation(engine, publish_copy), await take(engine))
    assert "over the limit" in end.outcome.error
    assert await engine.objects.get("dead/in/x") == raw
    assert (await engine.queue.depth("in")).messages == 0


async def test_a_failure_on_the_error_topic_ends_in_the_sink_and_publishes_nothing():
    engine = MemoryEngine()
    await engine.queue.publish_many([Message("error", {"why": 1}, id="e1")])
    await engine.queue.publish_raw("error", b"junk", id="e2")

    async def fail(message):
        raise PermanentError("no")

    await run_batch(invocation(engine, fail), await take(engine, "error"))
    assert await names(engine, "dead/") == ["dead/error/e1", "dead/error/e2"]
    assert orjson.loads(await engine.objects.get("dead/error/e1"))["why"] == 1
    assert await engine.objects.get("dead/error/e2") == b"junk"
    assert (await engine.queue.depth("error")).messages == 0


async def test_a_circle_of_messages_ends_at_the_hop_limit():
    engine = MemoryEngine()
    await engine.queue.publish_many([Message("in", {})])

    async def circle(message):
        return Done(Effects(publish=[message.derive(0, "in", {})]))

    one, rounds = invocation(engine, circle, max_hops=10), 0
    while deliveries := await take(engine):
        await run_batch(one, deliveries)
        rounds += 1
    assert rounds == 12
    (report,) = await messages_on(engine, "error")
    assert "over the limit of 10" in report.data["error"]


async def test_a_message_that_kills_its_consumers_is_given_up_unrun():
    engine = MemoryEngine()
    await engine.queue.publish_many([Message("in", {}, attempt=20)])

    async def never(message):
        raise AssertionError("it ran")

    (end,) = await run_batch(invocation(engine, never), await take(engine))
    assert "20 times" in end.outcome.error


async def test_a_message_that_came_too_early_goes_back_uncharged():
    clock = ManualClock()
    engine = MemoryEngine()
    body = orjson.dumps({"metadata": {"airless": {"id": "a", "not_before": clock.now() + 600}}})
    await engine.queue.publish_raw("in", body, id="a")
    (end,) = await run_batch(invocation(engine, publish_copy, clock=clock), await take(engine))
    assert end.outcome == Again(600, charge=False, reason="not due yet")


async def test_one_lost_lease_does_not_poison_the_others():
    engine = MemoryEngine()
    await engine.queue.publish_many([Message("in", {"n": n}) for n in range(3)])
    deliveries = await take(engine)
    await engine.queue.settle([Settlement.done(deliveries[1])])
    ends = await run_batch(invocation(engine, publish_copy), deliveries)
    assert [type(end.outcome) for end in ends] == [Done, Lost, Done]
    assert sorted(m.data["n"] for m in await messages_on(engine, "out")) == [0, 2]


async def test_a_lost_compare_and_set_is_worked_again_uncharged():
    engine = MemoryEngine()
    await engine.queue.publish_many([Message("in", {"n": n}) for n in range(4)])

    async def count(message):
        found = await engine.state.load("count")
        await asyncio.sleep(0)
        number = int(found.data) + 1 if found else 1
        write = StateWrite("count", str(number).encode(), found.version if found else None)
        return Done(Effects(state=[write]))

    one, attempts = invocation(engine, count), set()
    while (await engine.queue.depth("in")).messages:
        deliveries = await take(engine)
        attempts.update(d.attempt for d in deliveries)
        await run_batch(one, deliveries)
        await asyncio.sleep(0.01)
    assert (await engine.state.load("count")).data == b"4"
    assert attempts == {0}


async def test_effects_that_the_engine_cannot_carry_fail_their_message_alone():
    engine = MemoryEngine()
    await engine.queue.publish_many([Message("in", {"n": n}) for n in range(3)])

    async def work(message):
        data = {"n": object()} if message.data["n"] == 1 else {"n": 1}
        return Done(Effects(publish=[message.derive(0, "out", data)]))

    ends = await run_batch(invocation(engine, work), await take(engine))
    assert [type(end.outcome) for end in ends] == [Done, Dead, Done]
    (report,) = await messages_on(engine, "error")
    assert "is not JSON" in report.data["error"]


async def test_near_the_deadline_the_rest_goes_back_uncharged():
    clock = ManualClock()
    engine = MemoryEngine(clock=clock)
    await engine.queue.publish_many([Message("in", {"n": n}) for n in range(10)])

    async def work(message):
        clock.advance(10)
        return Done()

    ends = await run_batch(
        invocation(engine, work, clock=clock),
        await take(engine, lease_s=1_000),
        concurrency=1,
        deadline_s=clock.monotonic() + 60,
        margin_s=25,
    )
    assert [type(end.outcome) for end in ends] == [Done] * 4 + [Again] * 6
    assert {d.attempt for d in await take(engine)} == {0}


async def test_what_still_runs_at_the_deadline_is_cut_off_and_charged():
    clock = ManualClock()
    engine = MemoryEngine(clock=clock)
    await engine.queue.publish_many([Message("in", {"n": n}) for n in range(2)])
    started = asyncio.Event()

    async def work(message):
        if message.data["n"] == 1:
            started.set()
            await asyncio.Event().wait()
        return Done()

    deliveries = await take(engine, lease_s=1_000)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(
            run_batch(invocation(engine, work, clock=clock), deliveries, deadline_s=clock.monotonic() + 60)
        )
        await started.wait()
        clock.advance(58)
    done, cut = running.result()
    assert isinstance(done.outcome, Done)
    assert "cut off" in cut.outcome.reason
    assert [d.attempt for d in await take(engine)] == [1]


async def test_undecodable_bytes_cut_off_by_the_deadline_are_still_reported():
    engine = MemoryEngine()
    await engine.queue.publish_raw("in", b"junk")
    end = invocation(engine, publish_copy).cut_off((await take(engine))[0])
    assert isinstance(end.outcome, Dead)


async def test_messages_of_a_key_run_in_order_and_none_passes_one_put_off():
    engine = MemoryEngine()
    await engine.queue.publish_many([Message("in", {"n": n}, ordering_key="k") for n in range(4)])
    await engine.queue.publish_many([Message("in", {"n": 9})])
    seen = []

    async def work(message):
        seen.append(message.data["n"])
        return Again(5.0, charge=False) if message.data["n"] == 1 else Done()

    ends = await run_batch(invocation(engine, work), await take(engine))
    assert [n for n in seen if n != 9] == [0, 1]
    held = [end.outcome for end in ends if isinstance(end.outcome, Again)]
    assert [again.delay_s for again in held] == [5.0, 5.0, 5.0]
    assert not any(again.charge for again in held)


async def test_a_charged_wait_is_limited_by_the_policy():
    engine = MemoryEngine()
    await engine.queue.publish_many([Message("in", {})])

    async def wait(message):
        return Again(reason="not ready")

    one, outcomes = invocation(engine, wait), []
    while deliveries := await take(engine):
        outcomes += [end.outcome for end in await run_batch(one, deliveries)]
    assert [type(outcome) for outcome in outcomes] == [Again, Again, Dead]
    assert outcomes[-1].error == "given up after 3 tries: not ready"


async def test_a_runner_gives_up_a_message_with_its_own_words():
    engine = MemoryEngine()
    await engine.queue.publish_many([Message("in", {})])

    async def give_up(message):
        return Dead("not for us")

    await run_batch(invocation(engine, give_up), await take(engine))
    (report,) = await messages_on(engine, "error")
    assert report.data["error"] == "not for us"


async def test_a_runner_that_returns_too_few_ends_is_told():
    engine = MemoryEngine()
    await engine.queue.publish_many([Message("in", {"n": n}) for n in range(3)])

    class Short(Work):
        async def run(self, messages):
            return [Done()]

    ends = await run_batch(invocation(engine, Short(None, 3)), await take(engine))
    assert all("1 outcomes were returned for 3 messages" in end.outcome.error for end in ends)


async def test_a_dry_run_publishes_and_writes_nothing_and_loses_no_failure(caplog):
    caplog.set_level("INFO")
    engine = MemoryEngine()
    await engine.queue.publish_many([Message("in", {"n": 1}), Message("in", {"n": 2}, id="bad")])

    async def work(message):
        if message.id == "bad":
            raise PermanentError("no")
        return Done(Effects(publish=[message.derive(0, "out", {})], put={"o": b""}, delete=["d"]))

    await run_batch(invocation(engine, work, dry_run=True), await take(engine))
    assert (await engine.queue.depth("out")).messages == 0
    assert (await engine.queue.depth("error")).messages == 0
    assert await names(engine) == ["dead/in/bad"]
    assert "would publish on out" in caplog.text
    assert "would write o" in caplog.text


async def test_an_engine_that_refuses_even_the_sink_keeps_the_message():
    engine = Failing()
    await engine.queue.publish_raw("in", b"junk")
    engine.refuse = lambda commit: MessageTooLarge("no")
    with pytest.raises(MessageTooLarge):
        await run_batch(invocation(engine, publish_copy), await take(engine))
    assert (await engine.queue.depth("in")).leased == 1


async def test_an_empty_batch_is_no_commit():
    assert await run_batch(invocation(MemoryEngine(), publish_copy), []) == []


async def test_the_observer_is_told_after_the_commit():
    engine, seen = MemoryEngine(), []
    await engine.queue.publish_many([Message("in", {})])
    one = Invocation(engine, Work(publish_copy), observe=lambda end: seen.append(len(engine.store.topics)))
    await run_batch(one, await take(engine))
    assert seen == [2]


async def test_a_queue_that_keeps_dead_letters_gets_what_is_given_up_with_its_error():
    async def fail(message):
        raise PermanentError(f"no {message.data['n']}")

    engine = KeepingEngine()
    await engine.queue.publish_many([Message("in", {"n": n}, id=f"m{n}") for n in range(2)])
    await engine.queue.publish_many([Message("error", {"n": 9}, id="e")])
    await run_batch(invocation(engine, fail), await take(engine))
    assert [(id, error.partition("\n")[0]) for id, error in engine.queue.dead] == [
        ("m0", "no 0"),
        ("m1", "no 1"),
    ]
    # The error topic is told as by other engines, and what fails there is kept with the others, not as an object.
    await run_batch(invocation(engine, fail), [d for d in await take(engine, "error") if d.id == "e"])
    assert [id for id, _ in engine.queue.dead] == ["m0", "m1", "e"]
    assert (await engine.queue.depth("error")).messages == 2
    assert await names(engine) == []


async def test_what_is_done_or_put_off_is_no_dead_letter():
    async def some(message):
        return Done() if message.data["n"] else Again(60, charge=False)

    engine = KeepingEngine()
    await engine.queue.publish_many([Message("in", {"n": n}) for n in range(2)])
    await run_batch(invocation(engine, some), await take(engine))
    assert engine.queue.dead == []
    assert (await engine.queue.depth("in")).delayed == 1


async def test_engines_without_dead_letters_take_them_as_done():
    engine = MemoryEngine()
    await engine.queue.publish_many([Message("in", {})])
    (got,) = await take(engine)
    await engine.queue.settle([Settlement.given_up(got, "no")])
    assert (await engine.queue.depth("in")).messages == 0
