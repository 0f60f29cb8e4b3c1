"""Pages that haven't changed are not sent again (RFC 9111 §3 and §4.3)."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
from support.hostile_server import Handler, HostileServer, answer, in_turn, says

from airless.core.clock import SystemClock
from airless.crawl.errors import ConnectError
from airless.crawl.http import AddressGuard, AiohttpFetcher, CachingFetcher, Fetching
from airless.crawl.http.cache import MARK, PREFIX
from airless.crawl.request import Request
from airless.crawl.settings import Http
from airless.engines.memory import MemoryEngine

BODY = b"<html>kept\npage</html>"
DATE = "Tue, 15 Nov 1994 12:45:26 GMT"


@pytest.fixture
async def engine() -> AsyncIterator[MemoryEngine]:
    async with MemoryEngine() as opened:
        yield opened


@pytest.fixture
async def fetcher(engine: MemoryEngine) -> AsyncIterator[CachingFetcher]:
    clock = SystemClock()
    inner = AiohttpFetcher(
        Fetching(
            Http(timeout_s=10.0),
            concurrency=4,
            per_host=4,
            page_bytes=1_000_000,
            guard=AddressGuard(allow_private=True),
            clock=clock,
        )
    )
    caching = CachingFetcher(inner, engine.objects, clock)
    yield caching
    await caching.aclose()


def page(
    server: HostileServer, fields: dict[str, str], *, unchanged: dict[str, str] | None = None
) -> Handler:
    """The page; to a conditional request a 304 with the fields of `unchanged`."""

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: str) -> None:
        if any(name.startswith("if-") for name in server.requests[-1].fields):
            lines = "".join(f"{name}: {value}\r\n" for name, value in (unchanged or {}).items())
            writer.write(f"HTTP/1.1 304 Not Modified\r\n{lines}\r\n".encode())
        else:
            writer.write(answer(BODY, headers=fields))

    return handler


def conditions(server: HostileServer) -> list[dict[str, str]]:
    """What each request asked to be compared."""
    return [{n: v for n, v in received.fields.items() if n.startswith("if-")} for received in server.requests]


async def names(engine: MemoryEngine) -> list[str]:
    return [name async for name in engine.objects.list(PREFIX)]


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"ETag": '"v1"'}, {"if-none-match": '"v1"'}),
        ({"ETag": 'W/"v1"'}, {"if-none-match": 'W/"v1"'}),
        ({"Last-Modified": DATE}, {"if-modified-since": DATE}),
        ({"ETag": '"v1"', "Last-Modified": DATE}, {"if-none-match": '"v1"', "if-modified-since": DATE}),
    ],
)
async def test_an_unchanged_page_is_served_from_what_was_kept(
    fetcher: CachingFetcher, server: HostileServer, fields: dict[str, str], sent: dict[str, str]
) -> None:
    server.routes["/"] = page(server, {**fields, "Content-Type": "text/html"})
    first = await fetcher.fetch(Request(server.url("/")))
    request = Request(server.url("/"), meta={"n": 1})
    second = await fetcher.fetch(request)
    assert MARK not in first.headers
    assert (second.status, second.body, second.url) == (200, BODY, first.url)
    assert second.headers[MARK] == "revalidated"
    assert second.headers["content-type"] == "text/html"
    assert (second.wire_bytes, second.address) == (0, "127.0.0.1")
    assert second.request is request
    assert request.headers is None
    assert conditions(server) == [{}, sent]


async def test_a_changed_page_takes_the_kept_ones_place(
    fetcher: CachingFetcher, server: HostileServer, engine: MemoryEngine
) -> None:
    server.routes["/"] = in_turn(
        says(answer(b"one", headers={"ETag": '"1"'})), says(answer(b"two", headers={"ETag": '"2"'}))
    )
    request = Request(server.url("/"))
    bodies = [(await fetcher.fetch(request)).body for _ in range(3)]
    assert bodies == [b"one", b"two", b"two"]
    assert [asked.get("if-none-match") for asked in conditions(server)] == [None, '"1"', '"2"']
    assert len(await names(engine)) == 1


async def test_the_answer_to_a_conditional_request_names_the_request_as_it_was(
    fetcher: CachingFetcher, server: HostileServer
) -> None:
    server.routes["/"] = says(answer(b"always new", headers={"ETag": '"1"'}))
    request = Request(server.url("/"))
    await fetcher.fetch(request)
    assert (await fetcher.fetch(request)).request is request


async def test_the_fields_of_a_304_replace_the_kept_ones(
    fetcher: CachingFetcher, server: HostileServer
) -> None:
    kept = {"ETag": '"1"', "X-Old": "kept", "Link": "<a>\r\nLink: <b>", "Date": DATE}
    new = {
        "ETag": '"1"',
        "Link": "<c>",
        "Content-Length": "999",
        "Content-Encoding": "br",
        "Connection": "X-Hop",
        "X-Hop": "this one only",
        "X-New": "added",
    }
    server.routes["/"] = page(server, kept, unchanged=new)
    await fetcher.fetch(Request(server.url("/")))
    for _ in range(2):
        headers = (await fetcher.fetch(Request(server.url("/")))).headers
        assert headers.get_all("link") == ["<c>"]
        assert (headers["x-old"], headers["x-new"], headers["date"]) == ("kept", "added", DATE)
        assert headers["content-length"] == str(len(BODY))
        assert "content-encoding" not in headers
        assert "x-hop" not in headers
        assert headers.get_all(MARK) == ["revalidated"]


async def test_a_304_about_another_page_is_not_believed(
    fetcher: CachingFetcher, server: HostileServer
) -> None:
    server.routes["/"] = page(server, {"ETag": '"1"'}, unchanged={"ETag": '"other"'})
    for _ in range(2):
        response = await fetcher.fetch(Request(server.url("/")))
    assert response.body == BODY
    assert MARK not in response.headers
    assert [len(asked) for asked in conditions(server)] == [0, 1, 0]


@pytest.mark.parametrize(
    "fields",
    [
        {"Content-Type": "text/html"},
        {"ETag": '"1"', "Cache-Control": "private, No-Store"},
        {"ETag": '"1"', "Vary": "Accept, *"},
    ],
)
async def test_a_page_that_may_not_be_kept_is_not(
    fetcher: CachingFetcher, server: HostileServer, engine: MemoryEngine, fields: dict[str, str]
) -> None:
    server.routes["/"] = page(server, fields)
    for _ in range(2):
        assert (await fetcher.fetch(Request(server.url("/")))).body == BODY
    assert conditions(server) == [{}, {}]
    assert await names(engine) == []


async def test_a_page_that_may_be_kept_no_longer_is_forgotten(
    fetcher: CachingFetcher, server: HostileServer, engine: MemoryEngine
) -> None:
    server.routes["/"] = in_turn(says(answer(b"one", headers={"ETag": '"1"'})), says(answer(b"two")))
    for _ in range(2):
        await fetcher.fetch(Request(server.url("/")))
    assert await names(engine) == []


@pytest.mark.parametrize("status", ["404 Not Found", "301 Moved", "503 Down"])
async def test_only_a_200_is_kept_and_nothing_else_drops_it(
    fetcher: CachingFetcher, server: HostileServer, status: str
) -> None:
    server.routes["/"] = in_turn(
        says(answer(b"one", headers={"ETag": '"1"'})),
        says(answer(b"gone", status=status, headers={"ETag": '"2"'})),
        says(b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    )
    responses = [await fetcher.fetch(Request(server.url("/"))) for _ in range(3)]
    assert [response.status for response in responses] == [200, int(status[:3]), 200]
    assert [response.body for response in responses] == [b"one", b"gone", b"one"]
    assert [asked.get("if-none-match") for asked in conditions(server)] == [None, '"1"', '"1"']


@pytest.mark.parametrize(
    "again",
    [
        {"method": "POST"},
        {"method": "HEAD"},
        {"headers": {"Range": "bytes=0-1"}},
        {"headers": {"if-none-match": '"own"'}},
        {"headers": {"Authorization": "Basic eA=="}},
        {"headers": {"cache-control": "no-store"}},
        {"body": b"a GET with a body"},
    ],
)
async def test_a_request_of_another_kind_passes_by(
    fetcher: CachingFetcher, server: HostileServer, again: dict[str, object]
) -> None:
    server.routes["/"] = says(answer(headers={"ETag": '"1"'}))
    await fetcher.fetch(Request(server.url("/")))
    response = await fetcher.fetch(Request(server.url("/"), **again))  # type: ignore[arg-type]
    assert MARK not in response.headers
    assert conditions(server)[1].get("if-none-match") in (None, '"own"')


async def test_another_variant_is_asked_for_without_conditions(
    fetcher: CachingFetcher, server: HostileServer
) -> None:
    server.routes["/"] = page(
        server, {"ETag": '"1"', "Last-Modified": DATE, "Vary": "Accept-Language, Cookie"}
    )
    languages = [{"Accept-Language": "de"}, {"accept-language": "de"}, {"Accept-Language": "fr"}, None]
    for headers in languages:
        await fetcher.fetch(Request(server.url("/"), headers=headers))
    # A date can't tell the pages of two cookies apart; a tag can.
    assert conditions(server) == [{}, {"if-none-match": '"1"'}, {}, {}]


async def test_a_coded_page_is_kept_decoded(fetcher: CachingFetcher, server: HostileServer) -> None:
    wire = gzip.compress(BODY)
    server.routes["/"] = in_turn(
        says(answer(wire, headers={"Content-Encoding": "gzip", "ETag": '"1"'})),
        says(b"HTTP/1.1 304 Not Modified\r\nContent-Encoding: gzip\r\n\r\n"),
    )
    bodies = [(await fetcher.fetch(Request(server.url("/")))).body for _ in range(2)]
    assert bodies == [BODY, BODY]


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda data: data[:-1],
        lambda data: data[:20] + b"?" + data[21:],
        lambda data: b"\0" * len(data),
    ],
    ids=["empty", "short", "flipped", "zeros"],
)
async def test_a_damaged_entry_is_fetched_anew(
    fetcher: CachingFetcher, server: HostileServer, engine: MemoryEngine, damage: object
) -> None:
    server.routes["/"] = page(server, {"ETag": '"1"'})
    await fetcher.fetch(Request(server.url("/")))
    (name,) = await names(engine)
    kept = await engine.objects.get(name)
    assert kept is not None
    await engine.objects.put(name, damage(kept))  # type: ignore[operator]
    response = await fetcher.fetch(Request(server.url("/")))
    assert (response.body, MARK in response.headers) == (BODY, False)
    assert conditions(server) == [{}, {}]
    assert (await fetcher.fetch(Request(server.url("/")))).headers[MARK] == "revalidated"


async def test_an_entry_of_another_page_is_not_served(
    fetcher: CachingFetcher, server: HostileServer, engine: MemoryEngine
) -> None:
    server.routes["/a"] = server.routes["/b"] = page(server, {"ETag": '"1"'})
    await fetcher.fetch(Request(server.url("/a")))
    (first,) = await names(engine)
    kept = await engine.objects.get(first)
    assert kept is not None
    await fetcher.fetch(Request(server.url("/b")))
    (second,) = set(await names(engine)) - {first}
    await engine.objects.put(second, kept)
    await fetcher.fetch(Request(server.url("/b")))
    assert conditions(server) == [{}, {}, {}]


async def test_a_server_cannot_set_the_mark_itself(fetcher: CachingFetcher, server: HostileServer) -> None:
    server.routes["/"] = says(answer(headers={MARK: "revalidated", "ETag": '"1"'}))
    assert MARK not in (await fetcher.fetch(Request(server.url("/")))).headers


async def test_faults_pass_through_and_keep_the_entry(
    fetcher: CachingFetcher, server: HostileServer, engine: MemoryEngine
) -> None:
    server.routes["/"] = page(server, {"ETag": '"1"'})
    await fetcher.fetch(Request(server.url("/")))
    with pytest.raises(ConnectError):
        await fetcher.fetch(Request("http://127.0.0.1:1/"))
    assert len(await names(engine)) == 1
