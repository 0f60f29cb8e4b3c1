"""``airless redrive`` tells what was given up and why, and brings it back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner, Result

from airless.cli import cli
from airless.core.message import Message
from airless.core.ports import Settlement
from airless.engines.aws.engine import AwsEngine


def redrive(*words: str, env: Mapping[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli, ["redrive", *words], env=env, prog_name="airless")


@pytest.fixture
def url(ministack_endpoint: str, tmp_path: Path) -> str:
    name = f"test-{abs(hash(tmp_path)):x}"
    query = {"bucket": name, "prefix": name, "endpoint": ministack_endpoint, "create": "yes"}
    return f"aws://us-east-1?{urlencode(query)}"


def give_up(url: str, errors: Mapping[str, str], *, topic: str = "orders", key: str | None = None) -> None:
    """Publish messages by id, and give them up with these errors."""

    async def run() -> None:
        async with AwsEngine.open(url) as engine:
            await engine.queue.publish_many([Message(topic, {}, id=id, ordering_key=key) for id in errors])
            left = dict(errors)
            while left:
                got = await engine.queue.receive(topic, limit=10, lease_s=30, wait_s=2)
                await engine.queue.settle([Settlement.given_up(one, left.pop(one.id)) for one in got])

    asyncio.run(run())


def received(url: str, topic: str) -> list[str]:
    async def run() -> list[str]:
        async with AwsEngine.open(url) as engine:
            got = await engine.queue.receive(topic, limit=10, lease_s=30, wait_s=2)
            return sorted(f"{one.id} {one.attempt}" for one in got)

    return asyncio.run(run())


@pytest.mark.parametrize("key", [None, "k"])
def test_what_was_given_up_is_told_with_its_error_and_comes_back_once(url: str, key: str | None) -> None:
    give_up(url, {"m1": "no price\nTraceback …", "m2": "no name"}, key=key)
    for _ in range(2):  # to look at them takes nothing away
        told = redrive("orders", "--engine", url, "--list")
        of = "" if key is None else " (key k)"
        assert sorted(told.output.splitlines()) == [f"m1{of}: no price", f"m2{of}: no name"]
        assert told.exit_code == 0
    assert redrive("orders", env={"AIRLESS_ENGINE": url}).output == "2 messages came back on orders\n"
    assert received(url, "orders") == ["m1 0", "m2 0"]
    for words in (["--list"], []):
        again = redrive("orders", "--engine", url, *words)
        assert (again.exit_code, again.output) == (0, "nothing was given up on orders\n")


def test_a_long_list_ends_and_says_that_there_is_more(url: str) -> None:
    give_up(url, {f"m{n}": "no" for n in range(13)})
    told = redrive("orders", "--engine", url, "--list", "--limit", "12")
    assert len(told.stdout.splitlines()) == 12
    assert told.stderr == "and more: these are the first 12\n"
    assert redrive("orders", "--engine", url, "--list").stderr == ""
    assert redrive("orders", "--engine", url).output == "13 messages came back on orders\n"


def test_the_letters_of_other_topics_stay_unseen(url: str) -> None:
    give_up(url, {"m1": "no"}, topic="shop/a")
    give_up(url, {"m2": "no"}, topic="shop/b")
    assert redrive("shop/b", "--engine", url, "--list").output == "m2: no\n"
    assert redrive("shop/b", "--engine", url).output == "1 message came back on shop/b\n"
    assert redrive("shop/a", "--engine", url, "--list").output == "m1: no\n"


async def test_what_somebody_else_put_there_has_no_error(url: str) -> None:
    async with AwsEngine.open(url) as engine:
        await engine.queue.publish_many([Message("orders", {})])  # makes the queues
        sqs = await engine.clients.sqs()
        queue = (await sqs.get_queue_url(QueueName=f"{engine.options.prefix}-orders-dead"))["QueueUrl"]
        id = (await sqs.send_message(QueueUrl=queue, MessageBody="{}"))["MessageId"]
    told = await asyncio.to_thread(redrive, "orders", "--engine", url, "--list")
    assert told.output.startswith(f"{id}: no error is known")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--engine", "memory://"], "the engine memory keeps no dead letters"),
        (["--engine", "memory://", "--list"], "the engine memory keeps no dead letters"),
        (["--engine", "nowhere"], "is no engine URL"),
        (["--limit", "3"], "--limit goes with --list"),
    ],
)
def test_what_can_not_be_is_refused_in_words(words: list[str], text: str) -> None:
    refused = redrive("orders", *words)
    assert refused.exit_code == 2
    assert text in " ".join(refused.stderr.split())


def test_the_help_teaches() -> None:
    told = redrive("--help")
    assert told.exit_code == 0
    for word in ("Exit codes:", "Examples:", "--list", "dead-letter queue"):
        assert word in told.output
