"""The nats engine as a URL opens it: what it promises beyond the contracts, on a real server."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from nats_host import fresh_url
from support.nats_server import NatsServer

from airless.core.codec import decode
from airless.core.errors import ConfigError, MessageError
from airless.core.message import Message
from airless.core.ports import DeadLetters, Settlement, StateWrite, TopicsBelow
from airless.engines import open_engine
from airless.engines.nats.options import NatsOptions


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def url(server: NatsServer) -> str:
    return fresh_url(server.url)


@pytest.fixture
async def engine(url: str) -> AsyncIterator[Any]:
    async with await open_engine(url) as engine:
        yield engine


async def test_one_receive_gives_several_of_a_key_in_order_and_then_no_more(engine: Any) -> None:
    await engine.queue.publish_many([Message("pages", {}, id=f"{n}", ordering_key="a") for n in range(9)])
    got = await engine.queue.receive("pages", limit=5, lease_s=30)
    assert [one.id for one in got] == list("01234")
    await engine.queue.settle([Settlement.done(one) for one in got[:3]])
    assert await engine.queue.receive("pages", limit=5, lease_s=30) == []
    await engine.queue.settle([Settlement.retry(got[3]), Settlement.done(got[4])])
    got = await engine.queue.receive("pages", limit=9, lease_s=30)
    assert [(one.id, one.attempt) for one in got] == [(id, 0) for id in "5678"] + [("3", 1)]


async def test_of_a_key_never_two_consumers_have_something_and_order_holds(url: str) -> None:
    keys, each_key = [f"k{n}" for n in range(8)], 30
    holders: dict[str, int] = {}
    seen: dict[str, list[int]] = defaultdict(list)

    async def consume(engine: Any, me: int) -> None:
        rng = random.Random(me)
        while sum(map(len, seen.values())) < len(keys) * each_key:
            got = await engine.queue.receive("pages", limit=rng.randint(1, 12), lease_s=30, wait_s=0.2)
            for key in {one.ordering_key for one in got}:
                assert key not in holders
                holders[key] = me
            await asyncio.sleep(rng.uniform(0, 0.02))
            for one in got:
                seen[one.ordering_key].append(decode("pages", one.body, id=one.id).data["n"])
            for key in {one.ordering_key for one in got}:
                del holders[key]
            await engine.queue.settle([Settlement.done(one) for one in got])

    engines = [await open_engine(url) for _ in range(4)]
    messages = [Message("pages", {"n": n}, ordering_key=key) for n in range(each_key) for key in keys]
    await engines[0].queue.publish_many(messages)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for me, engine in enumerate(engines):
            group.create_task(consume(engine, me))
    assert seen == {key: list(range(each_key)) for key in keys}
    for engine in engines:
        await engine.aclose()


async def test_one_receive_takes_from_all_topics_below_a_name(engine: Any) -> None:
    assert isinstance(engine.queue, TopicsBelow)
    topics = ["frontier/a", "frontier/b/c", "frontier/ü *", "frontier/d"]
    await engine.queue.publish_many([Message("frontier", {}, id="call"), Message("frontierx", {}, id="x")])
    await engine.queue.publish_many(
        [Message(topic, {}, id=f"{n}", ordering_key="0" if n % 2 else None) for n, topic in enumerate(topics)]
    )
    assert await engine.queue.topics("frontier/*") == sorted(topics)
    assert await engine.queue.topics("frontier") == ["frontier"]
    got = await engine.queue.receive("frontier/*", limit=9, lease_s=30)
    assert {one.topic: one.id for one in got} == {topic: f"{n}" for n, topic in enumerate(topics)}
    await engine.queue.settle([Settlement.done(one) for one in got])
    assert await engine.queue.topics("frontier/*") == []
    waiting = asyncio.create_task(engine.queue.receive("frontier/*", limit=9, lease_s=30, wait_s=30))
    await asyncio.sleep(0.1)
    later = Message("frontier/new", {}, id="new", ordering_key="7")
    await engine.queue.publish_many([later])
    async with asyncio.timeout(0.4):  # the bell, not the next look
        assert [one.topic for one in await waiting] == ["frontier/new"]
    due = engine.queue._clock.now() + 60
    await engine.queue.publish_many([Message("frontier/e", {}, not_before_s=due)])
    assert await engine.queue.topics("frontier/*") == ["frontier/e", "frontier/new"]


async def test_a_topic_with_a_long_queue_keeps_no_other_waiting(engine: Any) -> None:
    messages = [Message("frontier/long", {}, ordering_key=f"{n % 16}") for n in range(800)]
    await engine.queue.publish_many([*messages, Message("frontier/short", {}, id="it", ordering_key="0")])
    for _ in range(120):
        got = await engine.queue.receive("frontier/*", limit=4, lease_s=30)
        await engine.queue.settle([Settlement.done(one) for one in got])
        if any(one.id == "it" for one in got):
            return
    raise AssertionError("the short topic had no turn")


@pytest.mark.parametrize("key", [None, "a"])
async def test_what_is_given_up_waits_with_its_error_and_comes_back(engine: Any, key: str | None) -> None:
    assert isinstance(engine.queue, DeadLetters)
    await engine.queue.publish_many(
        [Message("pages", {"n": n}, id=f"{n}", ordering_key=key) for n in range(3)]
    )
    got = await engine.queue.receive("pages", limit=9, lease_s=30)
    await engine.queue.settle([Settlement.given_up(one, f"broken\nü {one.id}") for one in got])
    assert (await engine.queue.depth("pages")).messages == 0
    letters = await engine.queue.letters("pages", limit=2)
    assert [(one.id, one.error, one.ordering_key) for one in letters] == [
        (f"{n}", f"broken\nü {n}", key) for n in range(2)
    ]
    assert len(await engine.queue.letters("pages", limit=9)) == 3
    assert await engine.queue.letters("other", limit=9) == []
    assert await engine.queue.redrive("pages") == 3
    assert await engine.queue.redrive("pages") == 0
    back = await engine.queue.receive("pages", limit=9, lease_s=30, wait_s=1)
    assert sorted((one.id, one.attempt) for one in back) == [("0", 0), ("1", 0), ("2", 0)]


@pytest.mark.parametrize("key", [None, "a"])
async def test_a_message_that_consumers_die_of_is_given_up(engine: Any, key: str | None) -> None:
    await engine.queue.publish_many([Message("pages", {}, id="bad", ordering_key=key, attempt=49)])
    (got,) = await engine.queue.receive("pages", limit=1, lease_s=0.5)
    assert got.attempt == 49
    await asyncio.sleep(0.7)
    assert await engine.queue.receive("pages", limit=1, lease_s=30, wait_s=2) == []
    (letter,) = await engine.queue.letters("pages", limit=9)
    assert (letter.id, letter.error, letter.ordering_key) == ("bad", "", key)


@pytest.mark.parametrize("key", [None, "a"])
async def test_a_large_message_goes_through_the_objects_and_leaves_nothing(
    engine: Any, key: str | None
) -> None:
    text = "".join(random.Random(7).choices("0123456789abcdef", k=3_000_000))
    await engine.queue.publish_many([Message("pages", {"text": text}, id="a", ordering_key=key)])
    (got,) = await engine.queue.receive("pages", limit=1, lease_s=30, wait_s=5)
    await engine.queue.settle([Settlement.retry(got, charge=False)])
    (got,) = await engine.queue.receive("pages", limit=1, lease_s=30, wait_s=5)
    assert decode("pages", got.body, id=got.id).data["text"] == text
    large = engine.queue._claims._objects
    assert len([name async for name in large.list("")]) == 1
    await engine.queue.settle([Settlement.done(got)])
    assert [name async for name in large.list("")] == []


async def test_a_large_document_is_an_object_that_goes_with_it(engine: Any) -> None:
    state, large = engine.state.inner, engine.queue._claims._objects
    version = await state.commit(StateWrite("shard", b"1" * 3_000_000, None))
    assert (await state.load("shard")).data == b"1" * 3_000_000
    version = await state.commit(StateWrite("shard", b"2" * 4_000_000, version))
    assert len([name async for name in large.list("")]) == 1
    assert (await state.load("shard")).data == b"2" * 4_000_000
    await state.commit(StateWrite("shard", b"3", version))
    assert [name async for name in large.list("")] == []
    assert (await state.load("shard")).data == b"3"


async def test_a_large_object_may_be_written_over(engine: Any) -> None:
    for size in (5_000_000, 40_000_000, 10, 3_000_000):
        data = bytes([size % 251]) * size
        await engine.objects.put("a/large", data)
        assert await engine.objects.get("a/large") == data
        assert not await engine.objects.put_if_absent("a/large", data + b"x")
    assert await engine.objects.put_if_absent("a", b"y" * 3_000_000)
    await engine.objects.delete(["a/large"])
    assert await engine.objects.get("a/large") is None
    assert await engine.objects.get("a") == b"y" * 3_000_000


async def test_a_name_too_long_for_a_subject_is_said_so(engine: Any) -> None:
    with pytest.raises(MessageError, match="too long"):
        await engine.objects.put("x" * 5000, b"")
    long_key = "schlüssel " * 100
    await engine.queue.publish_many([Message("pages", {}, id="a", ordering_key=long_key)])
    (got,) = await engine.queue.receive("pages", limit=1, lease_s=30, keys=[long_key])
    assert got.ordering_key == long_key


async def test_what_somebody_else_publishes_comes_as_it_is(engine: Any, url: str) -> None:
    import nats

    options = NatsOptions.parse(url)
    await engine.queue.publish_many([Message("pages/new", {}, id="first")])
    foreign = await nats.connect(options.server)
    await foreign.publish(f"{options.prefix}.q.kmy=20key.pages.new", b'{"url": 1}')
    await foreign.flush()
    await foreign.close()
    got = await engine.queue.receive("pages/new", limit=9, lease_s=30, wait_s=1)
    assert {(one.topic, one.body, one.ordering_key) for one in got if one.id != "first"} == {
        ("pages/new", b'{"url": 1}', "my key")
    }


async def test_a_server_asks_for_a_password(tmp_path: Path) -> None:
    with NatsServer(tmp_path, more='authorization { user: "me", password: "se:cret" }') as server:
        with pytest.raises(ConfigError, match="credentials") as caught:
            async with await open_engine(f"nats://me:wrong@127.0.0.1:{server.port}?timeout=5") as engine:
                await engine.state.load("a")
        assert "wrong" not in str(caught.value)
        async with await open_engine(f"nats://me:se%3Acret@127.0.0.1:{server.port}") as engine:
            assert await engine.state.load("a") is None


async def test_over_tls_with_a_certificate_that_is_trusted(tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    with NatsServer(tmp_path, more=f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}') as server:
        url = server.url.replace("nats:", "nats+tls:")
        async with await open_engine(f"{url}?ca={certificate}") as engine:
            await engine.objects.put("tls", b"1")
            assert await engine.objects.get("tls") == b"1"
        async with await open_engine(f"{url}?timeout=1") as engine:
            with pytest.raises(ConfigError, match="certificate"):
                await engine.objects.put("tls", b"2")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nats://", "names no server"),
        ("nats://h:x", "Port could not be cast"),
        ("nats://u:topsecret@h/path", "names no server"),
        ("nats://u:topsecret@h?prefx=a", "unknown option 'prefx'"),
        ("nats://h?prefix=a.b", "a prefix has"),
        ("nats://h?timeout=soon", "timeout is a number"),
        ("nats://h?objects=s3:///x", "write file:///FOLDER or s3://BUCKET"),
        ("nats://h?objects=ftp://h/x", "no place for objects"),
    ],
)
async def test_a_url_that_can_t_be_used_says_why(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        await open_engine(url)
    assert "topsecret" not in str(caught.value)


def test_a_url_is_read_whole() -> None:
    options = NatsOptions.parse("nats+tls://u:p%40@[::1]:99?prefix=x&objects=file:///a&timeout=2.5&ca=/c.pem")
    assert options == NatsOptions("tls://[::1]:99", "x", "file:///a", 2.5, "u", "p@", "/c.pem")
    assert NatsOptions.parse("nats://token@h") == NatsOptions("nats://h:4222", user="token")


def test_opening_another_engine_loads_nothing_of_nats() -> None:
    script = (
        "import asyncio, sys, airless\n"
        "asyncio.run(airless.open_engine('memory://'))\n"
        "assert not [name for name in sys.modules if name.startswith('nats') or 'engines.nats' in name]\n"
        "asyncio.run(airless.open_engine('nats://localhost'))\n"
        "assert 'airless.engines.nats.engine' in sys.modules\n"
        "assert not [name for name in sys.modules if 'boto' in name or 'engines.sqlite' in name]\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def _certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subject = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key
