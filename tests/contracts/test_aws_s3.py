"""What is S3's own where nothing fails: versions, races, what is kept, many keys and odd names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aws_host import fresh_options, opened
from support.faulty_proxy import FaultyProxy

from airless.core.errors import Conflict, EngineError, MessageError
from airless.core.ports import StateWrite
from airless.engines.aws.bucket import Bucket
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.objects import S3Objects
from airless.engines.aws.options import AwsOptions
from airless.engines.aws.state import S3State


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
