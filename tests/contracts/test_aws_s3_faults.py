"""S3 when it fails: answers that are lost, writes that meet, refusals, and what is said of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aws_host import fresh_options, opened
from support.faulty_proxy import FAULTS, Answer, Fault, FaultyProxy, Request, first, s3_error, some
from support.fused import count

from airless.core.errors import ConfigError, Conflict, EngineError
from airless.core.message import Message
from airless.core.ports import StateWrite
from airless.core.steps import SteppedEngine
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.objects import S3Objects
from airless.engines.aws.state import S3State
from airless.engines.memory import MemoryEngine

AFTER = [Fault.LOSE_ANSWER, Fault.FAIL_AFTER, Fault.CUT_ANSWER]


def writing(path: str) -> Callable[[Request], bool]:
    return lambda request: request.method == "PUT" and path in request.path


async def names(listed: AsyncIterator[str]) -> list[str]:
    return [name async for name in listed]


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
