import asyncio
import logging
import threading

import pytest

from airless.core.batch import run_batch
from airless.core.clock import ManualClock
from airless.core.codec import decode
from airless.core.config import Config
from airless.core.errors import MessageError, OperatorError, PermanentError
from airless.core.invocation import Invocation, Policy
from airless.core.message import Message
from airless.core.outcome import Again, Dead, Done
from airless.core.retry import Retry
from airless.engines.memory import MemoryEngine
from airless.operators import (
    BaseEventOperator,
    BatchOperator,
    DelayOperator,
    EventOperator,
    FileOperator,
    OperatorRunner,
)


async def run(operator, *messages, engine=None, config=None, clock=None):
    """Run the messages through the operator; the engine and how they ended."""
    engine = engine or MemoryEngine(clock=clock)
    await engine.queue.publish_many(messages)
    config = config or Config()
    async with OperatorRunner(operator, config=config, clock=clock) as runner:
        one = Invocation(engine, runner, policy=Policy.of(config, Retry(base_s=0.0)), clock=clock)
        topic = messages[0].topic if messages else "in"
        ends = await run_batch(one, await engine.queue.receive(topic, limit=1_000, lease_s=60))
    return engine, [end.outcome for end in ends]


async def on(engine, topic):
    deliveries = await engine.queue.receive(topic, limit=10_000, lease_s=60)
    return [decode(d.topic, d.body, id=d.id) for d in deliveries]


def event(function):
    """An event operator whose execute is the function, async or plain."""
    return type("Tested", (EventOperator,), {"execute": function})()


async def test_execute_gets_the_data_and_the_topic():
    seen = []

    async def execute(self, data, topic):
        seen.append((data, topic))

    await run(event(execute), Message("in", {"n": 1, "metadata": {"dataset": "d"}}))
    assert seen == [({"n": 1, "metadata": {"dataset": "d"}}, "in")]


async def test_a_plain_execute_runs_in_a_thread_with_its_message_at_hand():
    seen = []

    def execute(self, data, topic):
        self.publish("out", {"by": self.message_id})
        seen.append(threading.current_thread() is threading.main_thread())

    engine, _ = await run(event(execute), Message("in", {}, id="a"), Message("in", {}, id="b"))
    assert seen == [False, False]
    assert sorted(m.data["by"] for m in await on(engine, "out")) == ["a", "b"]


async def test_a_plain_execute_may_return_an_awaitable():
    async def later(self):
        self.publish("out", {})

    engine, _ = await run(event(lambda self, data, topic: later(self)), Message("in", {}))
    assert len(await on(engine, "out")) == 1


async def test_concurrent_messages_share_an_instance_and_never_each_others_values():
    barrier = asyncio.Event()
    waiting = []

    async def execute(self, data, topic):
        waiting.append(self.message_id)
        if len(waiting) == 20:
            barrier.set()
        await barrier.wait()
        self.publish("out", {"n": data["n"], "by": self.message_id})

    messages = [Message("in", {"n": n}, id=f"m{n}") for n in range(20)]
    engine, _ = await run(event(execute), *messages)
    published = await on(engine, "out")
    assert {m.data["by"] for m in published} == {f"m{n}" for n in range(20)}
    assert all(m.data["by"] == f"m{m.data['n']}" for m in published)


async def test_a_failed_message_publishes_and_writes_nothing():
    async def execute(self, data, topic):
        self.publish("out", {})
        self.put("object", b"x")
        raise ValueError

    engine, (outcome,) = await run(event(execute), Message("in", {}))
    assert isinstance(outcome, Again)
    assert await on(engine, "out") == []
    assert await engine.objects.get("object") is None


async def test_published_data_is_a_copy():
    async def execute(self, data, topic):
        page = {"n": 0, "deep": {"n": 0}}
        for n in range(3):
            page["n"] = page["deep"]["n"] = n
            self.publish("out", page)

    engine, _ = await run(event(execute), Message("in", {}))
    assert [m.data for m in await on(engine, "out")] == [{"n": n, "deep": {"n": n}} for n in range(3)]


async def test_a_replay_publishes_the_same_messages():
    async def execute(self, data, topic):
        for n in range(3):
            self.publish("out", {"n": n})
        self.publish("out", {"n": 9}, id="mine")

    ids = []
    for _ in range(2):
        engine, _ = await run(event(execute), Message("in", {}, id="same"))
        ids.append([m.id for m in await on(engine, "out")])
    assert ids[0] == ids[1]
    assert ids[0][3] == "mine"


async def test_a_publish_can_be_delayed_ordered_and_given_a_priority():
    clock = ManualClock()

    async def execute(self, data, topic):
        self.publish("out", {"n": 1}, delay_s=30, ordering_key="k", priority=3)

    engine, _ = await run(event(execute), Message("in", {}), clock=clock)
    assert (await engine.queue.depth("out")).delayed == 1
    clock.advance(31)
    (message,) = await on(engine, "out")
    assert (message.ordering_key, message.priority) == ("k", 3)


async def test_every_way_to_publish_goes_in_bulk_with_the_commit():
    async def execute(self, data, topic):
        await self.publish_many("out", ({"n": n} for n in range(100)))
        self.queue_hook.publish("any-project", "out", {"n": 100})
        self.queue_hook.publish_many(None, "out", [{"n": 101}, {"n": 102}])

    engine, _ = await run(event(execute), Message("in", {}))
    assert [m.data["n"] for m in await on(engine, "out")] == list(range(103))


async def test_topics_carry_the_environment():
    async def execute(self, data, topic):
        self.publish("out", {})

    message = Message("prod-in", {"metadata": {"run_next": [{"topic": "next", "data": {}}]}})
    engine, _ = await run(event(execute), message, config=Config(env="prod"))
    assert len(await on(engine, "prod-out")) == 1
    assert len(await on(engine, "prod-next")) == 1


@pytest.mark.parametrize("data", [{"x": object()}, {"x": 1 << 70}, [1], "text", {"metadata": 3}, {1: 2}])
async def test_what_is_not_json_fails_where_it_is_published(data):
    failures = []

    async def execute(self, data_, topic):
        try:
            self.publish("out", data)
        except MessageError as error:
            failures.append(str(error))
            raise

    _, (outcome,) = await run(event(execute), Message("in", {}))
    assert isinstance(outcome, Dead)
    assert "'out'" in failures[0]


async def test_a_topic_has_a_name_and_an_object_too():
    async def execute(self, data, topic):
        with pytest.raises(MessageError):
            self.publish("", {})
        with pytest.raises(OperatorError):
            self.put("/root", b"")

    _, (outcome,) = await run(event(execute), Message("in", {}))
    assert isinstance(outcome, Done)


async def test_nothing_can_be_published_for_a_message_that_has_ended():
    kept = []

    async def execute(self, data, topic):
        async def late():
            await go.wait()
            self.publish("out", {})

        kept.append(asyncio.create_task(late()))

    go = asyncio.Event()
    await run(event(execute), Message("in", {}))
    go.set()
    with pytest.raises(OperatorError, match="has ended"):
        await kept[0]


def test_outside_of_a_message_an_operator_says_so():
    operator = event(lambda self, data, topic: None)
    with pytest.raises(OperatorError, match="while a message is worked on"):
        operator.publish("out", {})
    assert isinstance(operator.logger, logging.Logger)


async def test_the_logger_is_bound_to_the_message(caplog):
    caplog.set_level("INFO")

    async def execute(self, data, topic):
        self.logger.info("hello %s", "there", extra={"more": 1})
        assert self.message.topic == "in"

    await run(event(execute), Message("in", {}, id="abc-1"))
    (record,) = [r for r in caplog.records if r.name.endswith("Tested")]
    assert record.getMessage() == "[abc-1] hello there"
    assert (record.message_id, record.more) == ("abc-1", 1)


async def test_run_next_is_published_after_a_success_only():
    async def execute(self, data, topic):
        if data["fail"]:
            raise PermanentError("no")

    chain = {"run_next": [{"topic": "a", "data": {"n": 1}}, {"project": "p", "topic": "b"}]}
    engine, _ = await run(event(execute), Message("in", {"fail": False, "metadata": chain}))
    assert [m.data for m in await on(engine, "a")] == [{"n": 1}]
    assert [m.data for m in await on(engine, "b")] == [{}]
    engine, _ = await run(event(execute), Message("in", {"fail": True, "metadata": chain}))
    assert await on(engine, "a") == []


async def test_a_long_chain_runs_its_messages_one_after_the_other():
    async def start(self, data, topic):
        self.chain_messages([{"topic": "step", "data": {"n": n}} for n in range(300)])
        self.chain_messages([])

    seen = []

    async def step(self, data, topic):
        seen.append(data["n"])

    engine, _ = await run(event(start), Message("in", {}))
    async with OperatorRunner(event(step)) as runner:
        one = Invocation(engine, runner, policy=Policy(max_hops=None))
        while deliveries := await engine.queue.receive("step", limit=10, lease_s=60):
            assert len(deliveries) == 1
            await run_batch(one, deliveries)
    assert seen == list(range(300))


async def test_a_chained_message_keeps_its_own_run_next():
    async def start(self, data, topic):
        own = {"metadata": {"run_next": [{"topic": "own", "data": {}}]}}
        self.chain_messages([{"topic": "step", "data": own}, {"topic": "last", "data": {}}])

    engine, _ = await run(event(start), Message("in", {}))
    (step,) = await on(engine, "step")
    assert [entry["topic"] for entry in step.data["metadata"]["run_next"]] == ["own", "last"]


@pytest.mark.parametrize(
    "run_next",
    [
        {},
        ["a"],
        [{}],
        [{"topic": ""}],
        [{"topic": "a", "data": 1}],
        [{"topic": "a", "data": {"metadata": 1}}],
        [{"topic": "a", "then": 1}],
    ],
)
async def test_a_malformed_run_next_fails_before_the_work(run_next):
    ran = []

    async def execute(self, data, topic):
        ran.append(1)

    _, (outcome,) = await run(event(execute), Message("in", {"metadata": {"run_next": run_next}}))
    assert "run_next" in outcome.error
    assert not ran


async def test_a_reported_error_does_not_fail_its_message():
    async def execute(self, data, topic):
        self.report_error("odd row", data={"row": 3})

    engine, (outcome,) = await run(event(execute), Message("in", {"n": 1}, id="a"))
    assert isinstance(outcome, Done)
    (report,) = await on(engine, "error")
    assert report.data["error"] == "odd row"
    assert report.data["data"] == {"row": 3}
    assert report.data["event_id"] == "a"


async def test_a_report_on_the_error_topic_itself_publishes_nothing():
    async def execute(self, data, topic):
        self.report_error("again")

    engine, _ = await run(event(execute), Message("error", {}, id="e"))
    assert (await engine.queue.depth("error")).messages == 0
    assert await engine.objects.get("dead/error/e-report") == b"again"


async def test_a_stop_iteration_is_a_failure_as_any_other():
    def execute(self, data, topic):
        next(iter(()))

    _, (outcome,) = await run(event(execute), Message("in", {}))
    assert "StopIteration" in outcome.reason


class Recorded(FileOperator):
    def __init__(self):
        self.files = []

    async def execute(self, bucket, filepath):
        self.files.append((bucket, filepath))


@pytest.mark.parametrize(
    ("data", "files"),
    [
        ({"bucket": "b", "filepath": "a/b.csv"}, [("b", "a/b.csv")]),
        ({"kind": "storage#object", "bucket": "b", "name": "a+b.csv"}, [("b", "a+b.csv")]),
        (
            {
                "Records": [
                    {"s3": {"bucket": {"name": "amzn-s3-demo-bucket"}, "object": {"key": "red+flower.jpg"}}},
                    {"s3": {"bucket": {"name": "b"}, "object": {"key": "a%2Bb/%C3%A9.csv"}}},
                ]
            },
            [("amzn-s3-demo-bucket", "red flower.jpg"), ("b", "a+b/é.csv")],
        ),
        ({"Service": "Amazon S3", "Event": "s3:TestEvent"}, []),
    ],
)
async def test_a_file_operator_takes_storage_events(data, files):
    operator = Recorded()
    _, (outcome,) = await run(operator, Message("in", data))
    assert operator.files == files
    assert isinstance(outcome, Done)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"bucket": "b"},
        {"bucket": "", "name": "x"},
        {"Records": [{}]},
        {"Records": ["x"]},
        {"Records": [{"s3": {"bucket": {"name": 1}, "object": {"key": "k"}}}]},
    ],
)
async def test_a_message_that_names_no_file_is_reported(data):
    engine, _ = await run(Recorded(), Message("in", data))
    (report,) = await on(engine, "error")
    assert report.data["input_type"] == "file"


class Many(BatchOperator):
    batch_size = 10

    def __init__(self, function):
        self.function = function
        self.sizes = []

    async def execute_many(self, messages):
        self.sizes.append(len(messages))
        return await self.function(self, messages)


async def test_a_batch_ends_message_by_message():
    async def execute(self, messages):
        ends = [None, Done(), Again(5.0, charge=False), Dead("no"), PermanentError("bad"), "junk"]
        for message in messages:
            with self.bound(message):
                self.publish("out", {"n": message.data["n"]})
        return ends

    operator = Many(execute)
    engine, outcomes = await run(operator, *[Message("in", {"n": n}) for n in range(6)])
    assert operator.sizes == [6]
    assert [type(o) for o in outcomes] == [Done, Done, Again, Dead, Dead, Dead]
    assert [m.data["n"] for m in await on(engine, "out")] == [0, 1]


async def test_a_plain_execute_many_runs_in_a_thread_and_none_means_all_are_done():
    class Plain(BatchOperator):
        def execute_many(self, messages):
            for message in messages:
                with self.bound(message):
                    self.publish("out", {})

    engine, outcomes = await run(Plain(), Message("in", {}), Message("in", {}))
    assert [type(o) for o in outcomes] == [Done, Done]
    assert len(await on(engine, "out")) == 2


async def test_a_batch_publishes_for_a_message_it_names():
    async def unbound(self, messages):
        self.publish("out", {})

    _, outcomes = await run(Many(unbound), Message("in", {}))
    assert "self.bound" in outcomes[0].reason

    async def foreign(self, messages):
        with self.bound(Message("in", {})):
            raise AssertionError

    _, outcomes = await run(Many(foreign), Message("in", {}))
    assert "none of the batch" in outcomes[0].reason


async def test_a_batch_with_too_few_ends_or_a_bad_chain_is_told():
    async def short(self, messages):
        return [None]

    _, outcomes = await run(Many(short), Message("in", {}), Message("in", {}))
    assert "1 ends for 2 messages" in outcomes[0].error

    async def fine(self, messages):
        return None

    _, outcomes = await run(Many(fine), Message("in", {}), Message("in", {"metadata": {"run_next": 1}}))
    assert [type(o) for o in outcomes] == [Done, Dead]
    with pytest.raises(OperatorError):
        await Many(fine).handle(Message("in", {}))


async def test_a_delay_is_the_brokers_and_run_next_fires_afterwards():
    clock = ManualClock()
    data = {"seconds": 500, "metadata": {"run_next": [{"topic": "out", "data": {"n": 1}}]}}
    engine, (outcome,) = await run(DelayOperator(), Message("in", data), clock=clock)
    assert isinstance(outcome, Done)
    clock.advance(499)
    assert await on(engine, "out") == []
    clock.advance(2)
    assert [m.data for m in await on(engine, "out")] == [{"n": 1}]


@pytest.mark.parametrize("seconds", ["5", None, True, 1e9])
async def test_a_delay_that_is_no_number_of_seconds_is_reported(seconds):
    _, (outcome,) = await run(DelayOperator(), Message("in", {"seconds": seconds}))
    assert "'seconds'" in outcome.error


async def test_a_negative_delay_is_none():
    data = {"seconds": -3, "metadata": {"run_next": [{"topic": "out", "data": {}}]}}
    engine, _ = await run(DelayOperator(), Message("in", data))
    assert len(await on(engine, "out")) == 1


def test_the_old_names_are_there():
    assert BaseEventOperator is EventOperator
