import re

import orjson

from airless.core.codec import decode
from airless.core.config import Config
from airless.core.message import Message
from airless.core.retry import Retry
from airless.engines.memory import MemoryEngine
from airless.local.loop import run_operator
from airless.operators import ErrorOperator, EventOperator

CONFIG = Config(
    error_dataset="ops",
    error_table="errors",
    email_topic="email-send",
    email_recipients=("a@example.com",),
    email_sender="airless@example.com",
    slack_topic="slack-send",
    slack_channels=("ops",),
)


class Fail(EventOperator):
    async def execute(self, data, topic):
        raise ValueError("boom")


async def names(engine):
    return [name async for name in engine.objects.list("")]


async def on(engine, topic):
    return [
        decode(d.topic, d.body, id=d.id) for d in await engine.queue.receive(topic, limit=100, lease_s=60)
    ]


async def fail_once(engine, topic="in", config=CONFIG):
    await engine.queue.publish_many([Message(config.topic(topic), {"n": 1}, id="4f/9c")])
    await run_operator(
        engine, topic, Fail(), config=config, until_idle=True, retry=Retry(max_attempts=2, base_s=0.0)
    )


async def test_what_was_given_up_lands_as_a_row():
    engine = MemoryEngine()
    await fail_once(engine)
    (name,) = await names(engine)
    row = orjson.loads(await engine.objects.get(name))
    assert set(row) == {"_event_id", "_resource", "_json", "_created_at"}
    assert name == f"ops/errors/date={row['_created_at'][:10]}/{row['_event_id']}.json"
    assert row["_resource"] == "in"
    landed = orjson.loads(row["_json"])
    assert landed["metadata"] == {}
    assert landed["data"]["event_id"] == "4f/9c"
    assert landed["data"]["data"] == {"n": 1}
    assert "boom" in landed["data"]["error"]


async def test_people_are_told_by_email_and_slack_where_configured():
    engine = MemoryEngine()
    await fail_once(engine)
    (email,) = await on(engine, "email-send")
    assert email.data["recipients"] == ["a@example.com"]
    assert email.data["sender"] == "airless@example.com"
    assert email.data["subject"] == "in | 4f/9c"
    assert email.data["content"].startswith("ValueError: boom")
    (slack,) = await on(engine, "slack-send")
    assert slack.data["channels"] == ["ops"]
    quiet = MemoryEngine()
    await fail_once(quiet, config=Config())
    assert set(quiet.store.topics) == {"in", "error"}


async def test_a_failing_notice_is_landed_and_not_told_of_again():
    engine = MemoryEngine()
    await fail_once(engine, topic="email-send")
    assert len(await names(engine)) == 1
    assert await on(engine, "slack-send") == []
    assert await on(engine, "email-send") == []


async def test_an_error_operator_that_fails_on_its_own_topic_ends_in_the_sink():
    engine = MemoryEngine()
    await engine.queue.publish_many([Message("error", {"n": 1}, id="e")])
    counts = await run_operator(
        engine, "error", Fail(), until_idle=True, retry=Retry(max_attempts=2, base_s=0.0)
    )
    assert counts == {"again": 1, "dead": 1}
    assert await names(engine) == ["dead/error/e"]


async def test_a_replayed_report_overwrites_its_row():
    engine = MemoryEngine()
    report = {"origin": "in", "error": "e" * 10_000, "created_at": "2026-11-21T10:00:00Z"}
    for _ in range(2):
        await engine.queue.publish_many([Message("error", report, id="e1")])
        await run_operator(engine, "error", ErrorOperator(), config=CONFIG, until_idle=True)
    assert await names(engine) == ["ops/errors/date=2026-11-21/e1.json"]
    assert len((await on(engine, "email-send"))[0].data["content"]) < 5_000


async def test_a_report_lands_in_its_folder_whatever_it_says():
    engine = MemoryEngine()
    report = {"created_at": "../../etc", "metadata": {"dataset": "x"}}
    await engine.queue.publish_many([Message("error", report, id="../e")])
    await run_operator(engine, "error", ErrorOperator(), until_idle=True)
    (name,) = await names(engine)
    assert re.fullmatch(r"airless/error/date=\d{4}-\d\d-\d\d/\.\.%2Fe\.json", name)
    row = orjson.loads(await engine.objects.get(name))
    assert orjson.loads(row["_json"])["metadata"] == {"dataset": "x"}
