"""Schedules on EventBridge Scheduler, on ministack.

ministack fires every ten seconds what is due, and differs from AWS: it leaves ``<aws.scheduler.scheduled-time>`` as it
is, and knows neither roles nor time zones.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from aws_host import fresh_options, opened
from support.faulty_proxy import Answer, FaultyProxy

from airless.core.codec import decode
from airless.core.errors import ConfigError
from airless.core.message import Message
from airless.engines import open_engine
from airless.engines.aws.engine import AwsEngine
from airless.engines.aws.schedules import Caller, EventSchedules

DAILY = Message("news", {"site": "ü"})


@pytest.fixture
async def engine(ministack_endpoint: str) -> AsyncIterator[AwsEngine]:
    bucket, prefix = f"schedules-{uuid.uuid4().hex}", f"s{uuid.uuid4().hex[:10]}"
    url = f"aws://us-east-1?bucket={bucket}&prefix={prefix}&endpoint={ministack_endpoint}&create=yes"
    async with await open_engine(url) as engine:
        assert isinstance(engine, AwsEngine)
        yield engine


async def names(schedules: EventSchedules) -> list[str]:
    return [name async for name in schedules.list()]


async def test_a_schedule_is_made_replaced_listed_and_deleted(engine: AwsEngine) -> None:
    schedules, scheduler = engine.schedules, await engine.clients.scheduler()
    await schedules.put("weekly", "0 6 * * mon", DAILY)
    await schedules.put("daily", "rate(1 day)", DAILY)
    await schedules.put("daily", "30 5 * * *", DAILY, timezone="Europe/Berlin")
    assert await names(schedules) == ["daily", "weekly"]
    found = await scheduler.get_schedule(Name=f"{engine.options.prefix}.daily")
    assert found["ScheduleExpression"] == "cron(30 5 * * ? *)"
    assert found["ScheduleExpressionTimezone"] == "Europe/Berlin"
    account = found["Target"]["Arn"].split(":")[4]
    assert found["Target"]["Arn"] == f"arn:aws:sqs:us-east-1:{account}:{engine.options.prefix}-news"
    assert found["Target"]["RoleArn"] == f"arn:aws:iam::{account}:role/{engine.options.prefix}-schedules"
    sent = decode("news", found["Target"]["Input"].encode(), id="")
    assert sent == replace(DAILY, id="daily-<aws.scheduler.scheduled-time>")
    await schedules.delete("daily")
    await schedules.delete("daily")
    assert await names(schedules) == ["weekly"]
    await schedules.delete("weekly")


async def test_schedules_of_other_prefixes_are_others(ministack_endpoint: str, engine: AwsEngine) -> None:
    async with opened(fresh_options(ministack_endpoint, prefix=f"{engine.options.prefix}-b")) as clients:
        other = EventSchedules(clients)
        await other.put("theirs", "@daily", DAILY)
        await engine.schedules.put("ours", "@daily", DAILY)
        assert (await names(engine.schedules), await names(other)) == (["ours"], ["theirs"])
        await other.delete("theirs")
        await engine.schedules.delete("ours")


async def test_the_message_comes_at_its_time(engine: AwsEngine) -> None:
    at = datetime.now(UTC) + timedelta(seconds=1)
    await engine.schedules.put("once", f"at({at:%Y-%m-%dT%H:%M:%S})", DAILY)
    async with asyncio.timeout(60):
        while not (got := await engine.queue.receive("news", limit=1, lease_s=30, wait_s=5)):
            pass
    assert decode(got[0].topic, got[0].body, id="").data == {"site": "ü"}
    await engine.schedules.delete("once")


async def test_a_function_is_called_with_topic_and_message(engine: AwsEngine) -> None:
    arn = "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:news"
    schedules = EventSchedules(engine.clients, caller=Caller(function_arn=arn))
    await schedules.put("call", "@hourly", replace(DAILY, topic="news/local"))
    scheduler = await engine.clients.scheduler()
    target = (await scheduler.get_schedule(Name=f"{engine.options.prefix}.call"))["Target"]
    assert target["Arn"] == arn
    assert target["RoleArn"] == f"arn:aws-us-gov:iam::123456789012:role/{engine.options.prefix}-schedules"
    call = json.loads(target["Input"])
    assert (call["airless"], call["topic"]) == ("message", "news/local")
    assert decode(call["topic"], call["body"].encode(), id="").data == {"site": "ü"}
    role = "arn:aws:iam::123456789012:role/mine"
    schedules = EventSchedules(engine.clients, caller=Caller(arn, role))
    await schedules.put("call", "@hourly", DAILY)
    target = (await scheduler.get_schedule(Name=f"{engine.options.prefix}.call"))["Target"]
    assert target["RoleArn"] == role
    await schedules.delete("call")


@pytest.mark.parametrize(
    ("name", "when", "message", "says"),
    [
        ("", "@daily", DAILY, "can't be a schedule's name"),
        ("a b", "@daily", DAILY, "can't be a schedule's name"),
        ("a" * 60, "@daily", DAILY, "up to 52"),
        ("a", "daily", DAILY, "is no schedule"),
        ("a", "@daily", replace(DAILY, ordering_key="k"), "ordering key"),
        ("a", "@daily", replace(DAILY, topic="news/local"), "'news/local'; a topic that schedules"),
        ("a", "@daily", replace(DAILY, topic="nachrichten ü"), "a topic that schedules"),
    ],
)
async def test_what_can_not_be_scheduled_is_told(
    engine: AwsEngine, name: str, when: str, message: Message, says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        await engine.schedules.put(name, when, message)
    assert await names(engine.schedules) == []


async def test_what_aws_does_not_take_and_a_missing_queue_are_told(ministack_endpoint: str) -> None:
    caller = Caller(function_arn="arn:aws:lambda:us-east-1:123456789012:function:f")
    with FaultyProxy(ministack_endpoint) as proxy:
        async with opened(fresh_options(proxy.url, create=False, prefix="nobody")) as clients:
            with pytest.raises(ConfigError, match=r"no queue 'nobody-news'.*deploy"):
                await EventSchedules(clients).put("a", "@daily", DAILY)
            proxy.plan = lambda _: Answer(
                400, b'{"__type":"ValidationException","Message":"Invalid timezone"}'
            )
            with pytest.raises(ConfigError, match=r"making schedule 'a': AWS doesn't take .*timezone"):
                await EventSchedules(clients, caller=caller).put("a", "@daily", DAILY, timezone="Nowhere")
