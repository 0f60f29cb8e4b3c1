"""What is S3's own: races, lost answers, many keys, odd names, and what is said where something is missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from aws_host import fresh_options, opened
from support.faulty_proxy import FAULTS, Answer, Fault, FaultyProxy, Request, first, s3_error, some
from support.fused import count

from airless.core.errors import ConfigError, Conflict, EngineError, MessageError
from airless.core.message import Message
from airless.core.ports import StateWrite
from airless.core.steps import SteppedEngine
from airless.engines.aws.bucket import Bucket
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.objects import S3Objects
from airless.engines.aws.options import AwsOptions
from airless.engines.aws.state import S3State
from airless.engines.memory import MemoryEngine

AFTER = [Fault.LOSE_ANSWER, Fault.FAIL_AFTER, Fault.CUT_ANSWER]


@pytest.fixture
async def clients(s3_endpoint: str) -> AsyncIterator[AwsClients]:
    async with opened(fresh_options(s3_endpoint)) as clients:
        yield clients


@pytest.fixture
def proxy(ministack_endpoint: str) -> Iterator[FaultyProxy]:
    with FaultyProxy(ministack_endpoint) as proxy:
        yield proxy


@pytest.fixture
async def through(proxy: FaultyProxy) -> AsyncIterator[AwsClients]:
    """Clients of the proxy, with a bucket that is there already."""
    async with opened(fresh_options(proxy.url)) as clients:
        await S3Objects(clients, clients.options).put("", b"")
        yield clients


def writing(path: str) -> Callable[[Request], bool]:
    return lambda request: request.method == "PUT" and path in request.path


async def names(listed: AsyncIterator[str]) -> list[str]:
    return [name async for name in listed]


class TestVersions:
    async def test_equal_bytes_get_another_version(self, clients: AwsClients) -> None:
        state = S3State(clients, clients.options)
        first_version = await state.commit(StateWrite("k", b"same", None))
        second_version = await state.commit(StateWrite("k", b"same", first_version))
        assert first_version != second_version
        with pytest.raises(Conflict):
            await state.commit(StateWrite("k", b"same", first_version))

    async def test_of_many_racing_writers_each_turn_is_won_by_one(self, clients: AwsClients) -> None:
        writers = [S3State(clients, clients.options) for _ in range(4)]
        version: str | None = None
        for turn in range(10):
            results = await asyncio.gather(
                *(w.commit(StateWrite("k", b"%d %d" % (turn, n), version)) for n, w in enumerate(writers)),
                return_exceptions=True,
            )
            won = [result for result in results if isinstance(result, str)]
            assert (len(won), sum(isinstance(result, Conflict) for result in results)) == (1, 3)
            version = won[0]
            loaded = await writers[turn % 4].load("k")
            assert loaded is not None
            assert (loaded.version, loaded.data) == (version, b"%d %d" % (turn, results.index(version)))

    async def test_what_was_not_written_by_us_is_refused(self, clients: AwsClients) -> None:
        await Bucket(clients, clients.options, "state").put("k", b"{}")
        with pytest.raises(EngineError, match="'k' was not written by airless"):
            await S3State(clients, clients.options).load("k")


class TestKept:
    async def test_a_state_that_is_still_the_same_travels_once(self, proxy: FaultyProxy) -> None:
        sent: list[int] = []
        async with opened(fresh_options(proxy.url)) as clients:
            one, two = (S3State(clients, clients.options) for _ in range(2))
            await one.commit(StateWrite("k", b"x" * 100_000, None))
            for state in (one, two, two):
                loaded = await state.load("k")
                assert loaded is not None
                assert loaded.data == b"x" * 100_000
                sent.append(proxy.sent_bytes)
        assert clients.requests["s3.GetObject"] == 3
        assert sent[0] < 10_000  # who wrote it kept it
        assert 100_000 < sent[1] - sent[0] < 110_000
        assert sent[2] - sent[1] < 1_000

    async def test_a_state_that_was_changed_by_another_is_loaded_anew(self, clients: AwsClients) -> None:
        one, two = (S3State(clients, clients.options) for _ in range(2))
        version = await one.commit(StateWrite("k", b"1", None))
        await two.commit(StateWrite("k", b"2", version))
        loaded = await one.load("k")
        assert loaded is not None
        assert loaded.data == b"2"

    async def test_no_more_is_kept_than_is_allowed(self, proxy: FaultyProxy) -> None:
        async with opened(fresh_options(proxy.url)) as clients:
            state = S3State(clients, clients.options, kept_bytes=25_000)
            for n in range(3):
                await state.commit(StateWrite(f"k{n}", b"x" * 10_000, None))
            travelled = []
            for n in (0, 2, 0, 1):
                before = proxy.sent_bytes
                await state.load(f"k{n}")
                travelled.append(proxy.sent_bytes - before > 10_000)
            assert travelled == [True, False, False, True]
            await state.commit(StateWrite("large", b"x" * 30_000, None))
            loaded = await state.load("large")
            assert loaded is not None
            assert len(loaded.data) == 30_000


class TestLostAnswers:
    @pytest.mark.parametrize("fault", AFTER)
    @pytest.mark.parametrize("exists", [False, True])
    async def test_a_write_that_was_done_is_no_conflict(
        self, through: AwsClients, proxy: FaultyProxy, fault: Fault, exists: bool
    ) -> None:
        state = S3State(through, through.options)
        version = await state.commit(StateWrite("k", b"old", None)) if exists else None
        proxy.plan = first(fault, only=writing("state/k"))
        version = await state.commit(StateWrite("k", b"new", version))
        assert sum(proxy.injected.values()) == 1
        loaded = await S3State(through, through.options).load("k")
        assert loaded is not None
        assert (loaded.version, loaded.data) == (version, b"new")
        await state.commit(StateWrite("k", b"newer", version))

    @pytest.mark.parametrize("fault", AFTER)
    async def test_a_write_that_met_another_is_a_conflict(
        self, through: AwsClients, proxy: FaultyProxy, fault: Fault
    ) -> None:
        one, two = (S3State(through, through.options) for _ in range(2))
        version = await one.commit(StateWrite("k", b"old", None))
        await two.commit(StateWrite("k", b"two", version))
        proxy.plan = first(fault, only=writing("state/k"))
        with pytest.raises(Conflict):
            await one.commit(StateWrite("k", b"one", version))
        loaded = await one.load("k")
        assert loaded is not None
        assert loaded.data == b"two"

    @pytest.mark.parametrize("fault", AFTER)
    async def test_an_object_that_was_put_was_absent(
        self, through: AwsClients, proxy: FaultyProxy, fault: Fault
    ) -> None:
        objects = S3Objects(through, through.options)
        proxy.plan = first(fault, only=writing("objects/a"))
        assert await objects.put_if_absent("a", b"1")
        proxy.plan = first(fault, only=writing("objects/a"))
        assert not await objects.put_if_absent("a", b"2")
        assert await objects.get("a") == b"1"

    async def test_a_body_that_breaks_off_is_asked_for_again(
        self, through: AwsClients, proxy: FaultyProxy
    ) -> None:
        objects = S3Objects(through, through.options)
        await objects.put("a", b"x" * 1_000_000)
        proxy.plan = first(Fault.CUT_ANSWER, 2, only=lambda request: request.method == "GET")
        assert await objects.get("a") == b"x" * 1_000_000
        assert proxy.injected["CUT_ANSWER"] == 2

    async def test_faults_without_end_are_told(self, through: AwsClients, proxy: FaultyProxy) -> None:
        proxy.plan = some(1.0, faults=[Fault.REFUSE])
        with pytest.raises(EngineError, match=r"writing 'k' to S3 failed: .*SlowDown"):
            await S3State(through, through.options).commit(StateWrite("k", b"", None))

    async def test_faults_lose_and_double_nothing(self, through: AwsClients, proxy: FaultyProxy) -> None:
        """One request of five fails, of which most have been carried out; an operator adds up all the same."""
        memory = MemoryEngine()
        engine = SteppedEngine(
            memory.queue,
            S3State(through, through.options),
            S3Objects(through, through.options),
            close=memory.aclose,
        )
        proxy.plan = some(0.2, faults=FAULTS)
        async with engine:
            await engine.queue.publish_many([Message("in", {"number": 1}, id=f"{n}") for n in range(60)])
            await count(engine, "in", None)
            loaded = await engine.state.load("in")
            assert loaded is not None
            assert b'"total": 60' in loaded.data
            assert len(await names(engine.objects.list("in/"))) == 60
        assert sum(proxy.injected.values()) > 10


class TestRefusals:
    @pytest.mark.parametrize("code", ["ConditionalRequestConflict", "OperationAborted"])
    async def test_a_write_that_met_another_under_way_is_tried_again(
        self, through: AwsClients, proxy: FaultyProxy, code: str
    ) -> None:
        state = S3State(through, through.options)
        proxy.plan = first(s3_error(409, code), 3, only=writing("state/k"))
        version = await state.commit(StateWrite("k", b"1", None))
        assert proxy.injected["409"] == 3
        assert await state.load("k") is not None
        proxy.plan = first(s3_error(409, code), 99, only=writing("state/k"))
        with pytest.raises(EngineError, match=code):
            await state.commit(StateWrite("k", b"2", version))

    async def test_keys_that_were_not_deleted_are_deleted_again(
        self, through: AwsClients, proxy: FaultyProxy
    ) -> None:
        objects = S3Objects(through, through.options)
        for name in ("a", "b"):
            await objects.put(name, b"")
        some_left = (
            b"<DeleteResult><Error><Key>airless/objects/b</Key><Code>InternalError</Code>"
            b"<Message>We encountered an internal error.</Message></Error></DeleteResult>"
        )
        deleting = first(Answer(200, some_left), only=lambda request: request.method == "POST")
        proxy.plan = deleting
        await objects.delete(["a", "b"])
        assert await objects.get("b") is None
        assert (
            await objects.get("a") is not None
        )  # the first answer was made up: it said that only b was left
        proxy.plan = first(Answer(200, some_left), 99, only=lambda request: request.method == "POST")
        with pytest.raises(EngineError, match=r"1 keys, of which 'airless/objects/b': InternalError"):
            await objects.delete(["b"])

    async def test_a_bucket_that_is_not_there_is_told_with_what_to_do(self, s3_endpoint: str) -> None:
        async with opened(fresh_options(s3_endpoint, create=False)) as clients:
            state, objects = S3State(clients, clients.options), S3Objects(clients, clients.options)
            calls: list[Callable[[], Awaitable[Any]]] = [
                lambda: state.load("k"),
                lambda: state.commit(StateWrite("k", b"", None)),
                lambda: state.commit(StateWrite("k", b"", '"0"')),
                lambda: objects.put("a", b""),
                lambda: objects.delete(["a"]),
                lambda: names(objects.list("")),
            ]
            for call in calls:
                with pytest.raises(ConfigError, match=r"no bucket 'test-.*aws s3 mb s3://test-.*create=yes"):
                    await call()

    async def test_the_bucket_is_made_where_that_is_asked_for(self, s3_endpoint: str) -> None:
        options = fresh_options(s3_endpoint)
        async with opened(options) as one, opened(options) as two:
            assert await S3State(one, options).load("k") is None
            results = await asyncio.gather(
                *(S3Objects(c, options).put_if_absent("a", b"") for c in (one, two))
            )
            assert sorted(results) == [False, True]

    async def test_a_name_that_a_bucket_can_not_have_is_told(self, ministack_endpoint: str) -> None:
        async with opened(fresh_options(ministack_endpoint, bucket="No")) as clients:
            with pytest.raises(ConfigError, match="name"):
                await S3Objects(clients, clients.options).put("a", b"")

    async def test_no_credentials_are_told(
        self, ministack_endpoint: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
            monkeypatch.setenv(name, "/nowhere")
        async with opened(fresh_options(ministack_endpoint)) as clients:
            with pytest.raises(ConfigError, match="AWS_ACCESS_KEY_ID"):
                await S3State(clients, clients.options).load("k")

    @pytest.mark.parametrize(
        ("status", "code", "says"),
        [
            (403, "AccessDenied", r"allow it to these credentials .or s3:ListBucket"),
            (403, "SignatureDoesNotMatch", "doesn't know these credentials"),
            (400, "ExpiredToken", "have expired"),
            (400, "AuthorizationHeaderMalformed", "isn't in the region"),
        ],
    )
    async def test_what_the_user_has_to_put_right_is_said(
        self, through: AwsClients, proxy: FaultyProxy, status: int, code: str, says: str
    ) -> None:
        proxy.plan = lambda _: s3_error(status, code)
        with pytest.raises(ConfigError, match=says):
            await S3Objects(through, through.options).get("a")

    async def test_a_server_that_is_not_there_is_told(self, ministack_endpoint: str) -> None:
        with FaultyProxy(ministack_endpoint) as gone:
            options = fresh_options(gone.url)
        async with opened(options) as clients:
            with pytest.raises(EngineError, match=r"reading 'a' from S3 failed: .*onnect"):
                await S3Objects(clients, options).get("a")


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            "ü/ß 1.jsonl",
            "日本語",
            "a+b%20c",
            "a//b",
            "/a",
            "a/",
            "?x=1&y#z",
            "'\"<>\\",
            "\U0010ffff",
            "…" * 330,
        ],
    )
    async def test_names_come_back_as_they_were(self, clients: AwsClients, name: str) -> None:
        objects = S3Objects(clients, clients.options)
        await objects.put(name, b"1")
        assert await objects.get(name) == b"1"
        assert await names(objects.list("")) == [name]
        assert await names(objects.list(name[:1])) == [name]
        await objects.delete([name])
        assert await names(objects.list("")) == []

    @pytest.mark.parametrize("name", ["a\x00", "a\nb", "../a", "a/./b", "..", "\ud800", "ü" * 510])
    async def test_names_that_s3_can_not_keep_are_refused_and_are_not_there(
        self, clients: AwsClients, name: str
    ) -> None:
        state, objects = S3State(clients, clients.options), S3Objects(clients, clients.options)
        for call in (
            objects.put(name, b""),
            objects.put_if_absent(name, b""),
            state.commit(StateWrite(name, b"", None)),
        ):
            with pytest.raises(MessageError, match="can't be a name in S3"):
                await call
        assert await objects.get(name) is None
        assert await state.load(name) is None
        await objects.delete([name])
        assert not clients.requests

    async def test_more_than_a_request_holds_is_listed_and_deleted(self, ministack_endpoint: str) -> None:
        async with opened(fresh_options(ministack_endpoint)) as clients:
            objects = S3Objects(clients, clients.options)
            wanted = sorted(f"many/{n}" for n in range(1010))
            for at in range(0, len(wanted), 101):
                await asyncio.gather(*(objects.put(name, b"") for name in wanted[at : at + 101]))
            clients.requests.clear()
            assert await names(objects.list("many/")) == wanted
            await objects.delete([*wanted, "", *wanted])
            assert clients.requests == {"s3.ListObjectsV2": 2, "s3.DeleteObjects": 2}
            assert await names(objects.list("")) == []
            await objects.delete([])
            assert clients.requests["s3.DeleteObjects"] == 2

    async def test_state_objects_and_prefixes_are_apart(self, clients: AwsClients) -> None:
        options = clients.options
        other = AwsOptions("us-east-1", options.bucket, prefix="airless-2", endpoint=options.endpoint)
        await S3State(clients, options).commit(StateWrite("a", b"", None))
        await S3Objects(clients, options).put("b", b"")
        await S3Objects(clients, other).put("c", b"")
        await S3Objects(clients, options, "claims").put("d", b"")
        assert await names(S3State(clients, options).list("")) == ["a"]
        assert await names(S3Objects(clients, options).list("")) == ["b"]
        assert await names(S3Objects(clients, other).list("")) == ["c"]
        assert await names(S3Objects(clients, options, "claims").list("")) == ["d"]
