"""HTTP/2 with a real server over TLS: what goes on the wire, many at once, and every way in which it breaks."""

from __future__ import annotations

import asyncio
import gzip
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("h2", reason="needs the extra http2")

from fetchers import on_connect
from h2.errors import ErrorCodes
from h2_server import ANY, Asked, H2Server, Handler, Link, h2_server, make_certificate
from hyperframe.frame import DataFrame, HeadersFrame, PingFrame
from support.hostile_server import silent

from airless.core.clock import SystemClock
from airless.crawl.errors import (
    AddressRefused,
    BodyTooLarge,
    ConnectError,
    FetchError,
    FetchTimeout,
    ProtocolError,
    TlsError,
    TruncatedBody,
)
from airless.crawl.fetch import Fetcher
from airless.crawl.http import AddressGuard, CookieJar, Fetching
from airless.crawl.http.http2 import Http2Fetcher, connection, pool
from airless.crawl.http.http2.frames import MAX_PAYLOAD_BYTES, Frame, Frames, GoAway
from airless.crawl.request import Request
from airless.crawl.response import Response
from airless.crawl.settings import Http, Settings
from airless.local.crawl import Plan, run

PAGE = b"<html>" + b"<p>page</p>" * 5000
CAP = 1_000_000


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(autouse=True)
def trusted(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))


@pytest.fixture
async def server(certificate: tuple[Path, Path]) -> AsyncIterator[H2Server]:
    async with h2_server(certificate, ["h2", "http/1.1"]) as running:
        yield running


def http2(
    *, guard: AddressGuard | None = None, per_host: int = 8, cookies: CookieJar | None = None, **http: Any
) -> Http2Fetcher:
    settings = {"timeout_s": 20.0, "connect_timeout_s": 5.0, "http2": True, **http}
    return Http2Fetcher(
        Fetching(
            Http(**settings),
            concurrency=64,
            per_host=per_host,
            page_bytes=CAP,
            guard=guard or AddressGuard(allow_private=True),
            clock=SystemClock(),
            cookies=cookies,
        )
    )


@pytest.fixture
async def fetcher() -> AsyncIterator[Http2Fetcher]:
    opened = http2()
    yield opened
    await opened.aclose()


def answers(body: bytes = b"", *, status: int = 200, **fields: str) -> Handler:
    pairs = [(name.replace("_", "-"), value) for name, value in fields.items()]

    async def handler(asked: Asked) -> None:
        await asked.answer(body, status=status, fields=pairs)

    return handler


def in_turn(*handlers: Handler) -> Handler:
    """One handler after the other, a request each; the last one stays."""
    left = list(handlers)

    async def handler(asked: Asked) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(asked)

    return handler


async def hangs_up(asked: Asked) -> None:
    asked.link.hang_up()


async def waits(asked: Asked) -> None:
    await asked.reset_by_client.wait()


def resets(code: ErrorCodes | int) -> Handler:
    async def handler(asked: Asked) -> None:
        asked.reset(code)

    return handler


async def got(fetcher: Fetcher, server: H2Server, path: str = "/", **options: Any) -> Response:
    return await fetcher.fetch(Request(server.url(path), **options))


class TestAnAnswer:
    async def test_comes_with_all_that_is_known_of_it(self, fetcher: Http2Fetcher, server: H2Server) -> None:
        async def handler(asked: Asked) -> None:
            asked.head(103, [("link", "</a.css>")])
            asked.head(404, [("x-one", "1"), ("content-type", "text/html"), ("x-one", "2")])
            await asked.data(b"hel")
            await asked.data(b"lo", end=True)

        server.routes["/"] = handler
        request = Request(server.url("/"))
        response = await fetcher.fetch(request)
        assert (response.status, response.body, response.url) == (404, b"hello", request.url)
        assert response.headers.items_list() == [
            ("x-one", "1"),
            ("content-type", "text/html"),
            ("x-one", "2"),
        ]
        assert response.request is request
        assert (response.wire_bytes, response.address) == (5, "127.0.0.1")
        assert response.elapsed_s > 0
        assert len(server.links) == 1

    async def test_comes_decoded_and_counted_as_it_came(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        wire = gzip.compress(PAGE)
        server.routes["/"] = answers(wire, content_encoding="gzip")
        response = await got(fetcher, server)
        assert (response.body, response.wire_bytes) == (PAGE, len(wire))

    async def test_may_be_larger_than_every_window(self, fetcher: Http2Fetcher, server: H2Server) -> None:
        server.routes["/"] = answers(bytes(CAP))
        for _ in range(4):
            assert len((await got(fetcher, server)).body) == CAP
        assert server.connections == 1

    async def test_may_end_with_trailers_that_are_nobodys(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        async def handler(asked: Asked) -> None:
            asked.head(200, [("trailer", "x-sum")])
            await asked.data(PAGE)
            asked.trailers([("x-sum", "1"), ("content-length", "1")])

        server.routes["/"] = handler
        response = await got(fetcher, server)
        assert response.body == PAGE
        assert response.headers.items_list() == [("trailer", "x-sum")]

    @pytest.mark.parametrize("status", [204, 304])
    @pytest.mark.parametrize("with_data", [False, True])
    async def test_without_a_body_may_name_a_length_and_a_coding(
        self, fetcher: Http2Fetcher, server: H2Server, status: int, with_data: bool
    ) -> None:
        async def handler(asked: Asked) -> None:
            asked.head(status, [("content-length", "9"), ("content-encoding", "gzip")], end=not with_data)
            if with_data:
                await asked.data(b"", end=True)

        server.routes["/"] = handler
        response = await got(fetcher, server)
        assert (response.status, response.body) == (status, b"")

    async def test_to_head_has_a_head_alone(self, fetcher: Http2Fetcher, server: H2Server) -> None:
        async def handler(asked: Asked) -> None:
            asked.head(200, [("content-length", "99999999")], end=True)

        server.routes["/"] = handler
        response = await got(fetcher, server, method="HEAD")
        assert (response.body, response.headers["content-length"]) == (b"", "99999999")

    async def test_may_have_blanks_around_its_values_and_bytes_over_ascii(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        async def handler(asked: Asked) -> None:
            latin = bytes.fromhex("636166e9")
            block = asked.link.h2.encoder.encode([(":status", "200"), ("x-a", " b "), (b"x-l", latin)])
            frame = HeadersFrame(asked.stream_id, block, flags=["END_HEADERS", "END_STREAM"])
            asked.link.raw(frame.serialize())

        server.routes["/"] = handler
        headers = (await got(fetcher, server)).headers
        assert (headers["x-a"], headers["x-l"]) == ("b", "café")


class TestARequest:
    async def test_has_its_url_and_its_fields_in_their_order(self, server: H2Server) -> None:
        server.routes[ANY] = answers()
        fetcher = http2(user_agent="bot/1", headers={"X-From": "settings"})
        target = "/a%2Fb/../?x=%7e&y=|&&="
        await fetcher.fetch(Request(server.url(target), headers={"Z-Own": "1", "ACCEPT": "text/plain"}))
        await fetcher.aclose()
        assert server.requests[0].fields == [
            (":method", "GET"),
            (":authority", f"localhost:{server.port}"),
            (":scheme", "https"),
            (":path", target),
            ("user-agent", "bot/1"),
            ("accept", "text/plain"),
            ("accept-encoding", "gzip, deflate, br, zstd"),
            ("x-from", "settings"),
            ("z-own", "1"),
        ]

    async def test_carries_a_body_larger_than_the_window(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        server.routes["/"] = answers(b"taken")
        body = bytes(300_000)
        assert (await got(fetcher, server, method="POST", body=body)).body == b"taken"
        fields = dict(server.requests[0].fields)
        assert (fields[":method"], fields["content-length"]) == ("POST", "300000")
        assert server.requests[0].body == body

    async def test_may_be_answered_before_its_body_is_read(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        server.early = frozenset({"/"})
        server.routes["/"] = answers(b"no", status=413)
        server.routes["/next"] = answers(b"next")
        response = await got(fetcher, server, method="POST", body=bytes(300_000))
        assert (response.status, response.body) == (413, b"no")
        assert (await got(fetcher, server, "/next")).body == b"next"
        assert server.connections == 1

    async def test_sends_the_credentials_of_its_url(self, fetcher: Http2Fetcher, server: H2Server) -> None:
        server.routes["/"] = answers()
        await fetcher.fetch(Request(server.url("/", host="user:pw@localhost")))
        assert dict(server.requests[0].fields)["authorization"] == "Basic dXNlcjpwdw=="

    async def test_may_name_another_host(self, fetcher: Http2Fetcher, server: H2Server) -> None:
        server.routes["/"] = answers()
        await got(fetcher, server, headers={"HOST": "other.test"})
        fields = dict(server.requests[0].fields)
        assert fields[":authority"] == "other.test"
        assert "host" not in fields

    async def test_gets_the_cookies_that_were_set(self, server: H2Server) -> None:
        server.routes["/"] = answers(set_cookie="a=1")
        fetcher = http2(cookies=CookieJar())
        for _ in range(2):
            await got(fetcher, server)
        await fetcher.aclose()
        assert [dict(asked.fields).get("cookie") for asked in server.requests] == [None, "a=1"]

    @pytest.mark.parametrize(
        "url",
        ["https:///x", "https://127.0.0.1/a b", "https://127.0.0.1:99999/", "https://127.0.0.1/\r\nX: y"],
    )
    async def test_with_a_url_that_is_none_is_refused(self, fetcher: Http2Fetcher, url: str) -> None:
        with pytest.raises(ProtocolError):
            await fetcher.fetch(Request(url))

    async def test_cannot_smuggle_a_field(self, fetcher: Http2Fetcher, server: H2Server) -> None:
        with pytest.raises(ProtocolError, match="can't be sent"):
            await got(fetcher, server, headers={"X-A": "b\r\nX-C: d"})
        assert server.requests == []


class TestManyRequests:
    async def test_share_one_connection_at_once(self, fetcher: Http2Fetcher, server: H2Server) -> None:
        everyone = asyncio.Barrier(8)

        async def handler(asked: Asked) -> None:
            await everyone.wait()
            await asked.answer(asked.path.encode())

        server.routes[ANY] = handler
        responses = await asyncio.gather(*(got(fetcher, server, f"/{n}") for n in range(8)))
        assert [response.body for response in responses] == [b"/%d" % n for n in range(8)]
        assert (server.connections, server.links[0].most_at_once) == (1, 8)

    async def test_are_no_more_at_once_than_the_crawl_wants(self, server: H2Server) -> None:
        server.routes[ANY] = _slowly
        fetcher = http2(per_host=3)
        await asyncio.gather(*(got(fetcher, server, f"/{n}") for n in range(12)))
        await fetcher.aclose()
        assert (server.connections, server.links[0].most_at_once) == (1, 3)

    async def test_are_no_more_at_once_than_the_server_takes(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        server.streams = 2
        server.routes[ANY] = _slowly
        # The first answer comes after what the server says of itself.
        await got(fetcher, server)
        await asyncio.gather(*(got(fetcher, server, f"/{n}") for n in range(9)))
        assert (server.connections, server.links[0].most_at_once) == (1, 2)

    async def test_whose_dial_fails_have_an_error_each(self, fetcher: Http2Fetcher) -> None:
        urls = [f"https://localhost:1/{n}" for n in range(5)]
        errors = await asyncio.gather(*(fetcher.fetch(Request(url)) for url in urls), return_exceptions=True)
        for url, error in zip(urls, errors, strict=True):
            assert type(error) is ConnectError
            assert str(error).startswith(f"GET {url}: no connection")

    async def test_go_on_when_one_is_given_up(self, fetcher: Http2Fetcher, server: H2Server) -> None:
        server.routes["/slow"] = _slowly
        server.routes["/never"] = waits
        given_up = asyncio.create_task(got(fetcher, server, "/never"))
        going_on = asyncio.create_task(got(fetcher, server, "/slow"))
        await _until(lambda: len(server.requests) == 2)
        given_up.cancel()
        assert (await going_on).status == 200
        with pytest.raises(asyncio.CancelledError):
            await given_up
        never = next(asked for asked in server.requests if asked.path == "/never")
        await asyncio.wait_for(never.reset_by_client.wait(), 5)
        assert server.connections == 1


async def _slowly(asked: Asked) -> None:
    await asyncio.sleep(0.05)
    await asked.answer()


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - what the server sees has no event
            await asyncio.sleep(0.01)


class TestAServerWithoutHttp2:
    @pytest.mark.parametrize("protocols", [["http/1.1"], []], ids=["chosen", "none"])
    async def test_is_spoken_to_in_http_1_1_and_asked_once(
        self, fetcher: Http2Fetcher, certificate: tuple[Path, Path], protocols: list[str]
    ) -> None:
        async with h2_server(certificate, protocols) as server:
            for _ in range(3):
                assert (await got(fetcher, server)).body == b"old"
            assert (len(server.links), server.connections) == (0, 2)
            await fetcher.aclose()

    async def test_for_a_page_gets_it_over_http_1_1(self, fetcher: Http2Fetcher, server: H2Server) -> None:
        server.routes["/"] = resets(ErrorCodes.HTTP_1_1_REQUIRED)
        for _ in range(2):
            assert (await got(fetcher, server)).body == b"old"
        assert len(server.requests) == 1

    async def test_is_what_a_request_gets_that_http_2_has_no_form_for(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        assert (await got(fetcher, server, headers={"Keep-Alive": "timeout=5"})).body == b"old"
        assert server.links == []


class TestAStreamThatIsReset:
    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (ErrorCodes.INTERNAL_ERROR, ConnectError),
            (ErrorCodes.ENHANCE_YOUR_CALM, ConnectError),
            (0xBEEF, ConnectError),
            (ErrorCodes.PROTOCOL_ERROR, ProtocolError),
        ],
    )
    async def test_before_the_answer_fails_after_one_try(
        self, fetcher: Http2Fetcher, server: H2Server, code: ErrorCodes | int, kind: type[FetchError]
    ) -> None:
        server.routes["/"] = resets(code)
        server.routes["/next"] = answers(b"next")
        with pytest.raises(kind, match=server.url("/")) as caught:
            await got(fetcher, server)
        assert type(caught.value) is kind
        assert len(server.requests) == 1
        assert (await got(fetcher, server, "/next")).body == b"next"
        assert server.connections == 1

    async def test_within_the_body_is_truncated(self, fetcher: Http2Fetcher, server: H2Server) -> None:
        async def handler(asked: Asked) -> None:
            asked.head()
            await asked.data(b"hel")
            asked.reset(ErrorCodes.INTERNAL_ERROR)

        server.routes["/"] = handler
        with pytest.raises(TruncatedBody, match=server.url("/")):
            await got(fetcher, server)

    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_because_it_was_refused_is_sent_again(
        self, fetcher: Http2Fetcher, server: H2Server, method: str
    ) -> None:
        server.routes["/"] = in_turn(resets(ErrorCodes.REFUSED_STREAM), answers(b"now"))
        assert (await got(fetcher, server, method=method)).body == b"now"
        assert len(server.requests) == 2

    async def test_because_it_was_refused_is_not_sent_again_for_ever(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        server.routes["/"] = resets(ErrorCodes.REFUSED_STREAM)
        with pytest.raises(ConnectError, match="REFUSED_STREAM"):
            await got(fetcher, server)
        assert len(server.requests) == 3

    async def test_after_the_whole_answer_changes_nothing(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        async def handler(asked: Asked) -> None:
            await asked.answer(b"whole")
            # RFC 9113 §8.1: the rest of the request is not wanted.
            asked.link.raw(struct.pack(">I", 4)[1:] + b"\3\0" + struct.pack(">II", asked.stream_id, 0))

        server.routes["/"] = handler
        for _ in range(2):
            assert (await got(fetcher, server)).body == b"whole"
        assert server.connections == 1


class TestAServerThatGoesAway:
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_ends_what_it_has_and_gets_the_rest_on_another_connection(
        self, fetcher: Http2Fetcher, server: H2Server, method: str
    ) -> None:
        both = asyncio.Barrier(2)

        async def handler(asked: Asked) -> None:
            if asked.link.number > 1:
                await asked.answer(b"second")
                return
            await both.wait()
            if asked.stream_id == 1:
                asked.link.go_away(1)
                asked.head()
                await asked.data(b"first")
                await asyncio.sleep(0.05)
                await asked.data(b" to the end", end=True)

        server.routes["/"] = handler
        responses = await asyncio.gather(*(got(fetcher, server, method=method) for _ in range(2)))
        assert [response.body for response in responses] == [b"first to the end", b"second"]
        assert server.connections == 2

    async def test_between_two_pages_costs_the_second_nothing(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        async def handler(asked: Asked) -> None:
            await asked.answer(b"%d" % asked.link.number)
            asked.link.go_away(asked.stream_id)

        server.routes["/"] = handler
        assert [(await got(fetcher, server, method="POST")).body for _ in range(3)] == [b"1", b"2", b"3"]

    async def test_and_says_to_calm_down_is_not_asked_again_at_once(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        async def handler(asked: Asked) -> None:
            asked.link.go_away(0, ErrorCodes.ENHANCE_YOUR_CALM)

        server.routes["/"] = handler
        with pytest.raises(ConnectError, match="ENHANCE_YOUR_CALM"):
            await got(fetcher, server)
        assert len(server.requests) == 1

    async def test_with_each_new_connection_is_left_alone(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        async def opened(link: Link) -> None:
            link.go_away(0)

        server.opened = opened
        with pytest.raises(ConnectError, match=server.url("/")):
            await got(fetcher, server)
        assert 1 <= server.connections <= 5

    async def test_with_a_notice_that_is_none_is_no_server(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        async def handler(asked: Asked) -> None:
            asked.link.raw(b"\0\0\4\7\0\0\0\0\0" + bytes(4))

        server.routes["/"] = handler
        with pytest.raises(ProtocolError, match="GOAWAY"):
            await got(fetcher, server)


class TestAConnection:
    @pytest.mark.parametrize("closes", [True, False])
    async def test_that_breaks_before_the_first_answer_is_a_connect_error(
        self, fetcher: Http2Fetcher, server: H2Server, closes: bool
    ) -> None:
        async def handler(asked: Asked) -> None:
            if closes:
                asked.link.writer.close()
            else:
                asked.link.hang_up()

        server.routes["/"] = handler
        with pytest.raises(ConnectError, match=server.url("/")) as caught:
            await got(fetcher, server)
        assert caught.value.__cause__ is not None
        assert len(server.requests) == 1

    async def test_that_was_kept_and_breaks_costs_an_idempotent_request_nothing(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        server.routes["/"] = in_turn(answers(), hangs_up, answers(b"new"))
        await got(fetcher, server)
        assert (await got(fetcher, server)).body == b"new"
        assert [asked.link.number for asked in server.requests] == [1, 1, 2]

    async def test_that_was_kept_and_breaks_fails_a_post(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        server.routes["/"] = in_turn(answers(), hangs_up, answers(b"new"))
        await got(fetcher, server)
        with pytest.raises(ConnectError):
            await got(fetcher, server, method="POST")
        assert len(server.requests) == 2

    async def test_that_breaks_within_a_body_is_truncated(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        async def handler(asked: Asked) -> None:
            asked.head()
            await asked.data(b"hel")
            await asyncio.sleep(0.05)
            asked.link.hang_up()

        server.routes["/"] = in_turn(answers(), handler)
        await got(fetcher, server)
        with pytest.raises(TruncatedBody):
            await got(fetcher, server)

    async def test_that_was_closed_while_idle_is_not_used(
        self, fetcher: Http2Fetcher, server: H2Server, caplog: pytest.LogCaptureFixture
    ) -> None:
        server.routes["/"] = answers(b"x")
        await got(fetcher, server)
        server.links[0].hang_up()
        await asyncio.sleep(0.1)
        assert (await got(fetcher, server, method="POST")).body == b"x"
        assert server.connections == 2
        assert not caplog.records

    async def test_that_nobody_uses_is_closed(
        self, server: H2Server, fetcher: Http2Fetcher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "KEPT_S", 0.05)
        server.routes["/"] = answers()
        server.routes["/long"] = _slowly
        await asyncio.gather(got(fetcher, server), got(fetcher, server, "/long"))
        await _until(lambda: server.links[0].writer.is_closing())
        assert (await got(fetcher, server)).status == 200
        assert server.connections == 2

    async def test_gives_way_to_others_when_there_are_too_many(
        self, server: H2Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "_KEPT", 1)
        server.routes["/"] = answers(b"x")
        fetcher = http2(resolve={"a.h2.test": "127.0.0.1", "b.h2.test": "127.0.0.1"})
        for host in ("a.h2.test", "b.h2.test"):
            await fetcher.fetch(Request(server.url("/", host=host)))
        await _until(lambda: server.links[0].writer.is_closing())
        assert not server.links[1].writer.is_closing()
        await fetcher.aclose()

    @pytest.mark.parametrize(
        "data",
        [
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"\0\x40\1\0\0\0\0\0\1",
            b"\0\0\5\1\5\0\0\0\1\x82\x86\x84\x41\xff",
            b"\0\0\0\0\1\0\0\0\0",
            PingFrame(0, b"airless.").serialize() * 20_000,
        ],
        ids=["not-http-2", "too-large", "no-header-block", "data-on-no-stream", "endless-pings"],
    )
    async def test_with_frames_that_are_none_is_a_protocol_error(
        self, fetcher: Http2Fetcher, server: H2Server, data: bytes
    ) -> None:
        async def handler(asked: Asked) -> None:
            asked.link.raw(data)

        server.routes["/"] = handler
        server.routes["/next"] = answers(b"next")
        with pytest.raises(ProtocolError, match=server.url("/")) as caught:
            await got(fetcher, server)
        assert len(str(caught.value)) < 400
        assert (await got(fetcher, server, "/next")).body == b"next"

    async def test_that_has_seen_its_last_number_gives_way_to_another(
        self, fetcher: Http2Fetcher, server: H2Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "_LAST_STREAM", 5)
        server.routes["/"] = answers(b"ok")
        for _ in range(4):
            assert (await got(fetcher, server)).body == b"ok"
        assert [asked.stream_id for asked in server.requests] == [1, 3, 5, 1]


class TestAHeadThatIsNone:
    @pytest.mark.parametrize(
        "fields",
        [
            [("content-type", "text/html")],
            [(":status", "099")],
            [(":status", "2000")],
            [(":status", "200"), (":status", "200")],
            [("x-a", "b"), (":status", "200")],
            [(":status", "200"), (":path", "/")],
            [(":status", "200"), ("x-a", "b\r\nset-cookie: c=d")],
            [(":status", "200"), ("x\na", "b")],
            [(":status", "200"), ("", "b")],
            [(":status", "200"), *((f"x-{n}", "1") for n in range(300))],
        ],
        ids=[
            "no-status",
            "low-status",
            "long-status",
            "two-statuses",
            "late-status",
            "another-pseudo-field",
            "line-in-a-value",
            "line-in-a-name",
            "no-name",
            "many-fields",
        ],
    )
    async def test_fails_its_page_alone(
        self, fetcher: Http2Fetcher, server: H2Server, fields: list[tuple[str, str]]
    ) -> None:
        async def handler(asked: Asked) -> None:
            block = asked.link.h2.encoder.encode(fields)
            asked.link.raw(HeadersFrame(asked.stream_id, block, flags=["END_HEADERS"]).serialize())
            await asked.reset_by_client.wait()

        server.routes["/"] = handler
        server.routes["/next"] = answers(b"next")
        with pytest.raises(ProtocolError, match=server.url("/")):
            await got(fetcher, server)
        assert (await got(fetcher, server, "/next")).body == b"next"
        assert server.connections == 1

    async def test_or_is_too_long_is_refused(self, fetcher: Http2Fetcher, server: H2Server) -> None:
        server.routes["/"] = answers(x_bomb="1" * 70_000)
        with pytest.raises(ProtocolError):
            await got(fetcher, server)

    async def test_or_is_missing_is_a_protocol_error(self, fetcher: Http2Fetcher, server: H2Server) -> None:
        async def handler(asked: Asked) -> None:
            asked.link.raw(DataFrame(asked.stream_id, b"body", flags=["END_STREAM"]).serialize())

        server.routes["/"] = handler
        with pytest.raises(ProtocolError, match=server.url("/")):
            await got(fetcher, server)


class TestALength:
    @pytest.mark.parametrize("with_data", [False, True])
    async def test_that_is_not_met_is_truncated(
        self, fetcher: Http2Fetcher, server: H2Server, with_data: bool
    ) -> None:
        async def handler(asked: Asked) -> None:
            asked.head(200, [("content-length", "10")], end=not with_data)
            if with_data:
                await asked.data(b"hello", end=True)

        server.routes["/"] = handler
        with pytest.raises(TruncatedBody, match="10 bytes"):
            await got(fetcher, server)

    async def test_that_is_exceeded_is_a_protocol_error(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        async def handler(asked: Asked) -> None:
            asked.head(200, [("content-length", "3")])
            await asked.data(b"hello", end=True)

        server.routes["/"] = handler
        with pytest.raises(ProtocolError, match="3 bytes"):
            await got(fetcher, server)

    @pytest.mark.parametrize(("method", "status"), [("GET", 204), ("GET", 304), ("HEAD", 200)])
    async def test_of_a_body_where_there_can_be_none_is_a_protocol_error(
        self, fetcher: Http2Fetcher, server: H2Server, method: str, status: int
    ) -> None:
        async def handler(asked: Asked) -> None:
            asked.head(status)
            await asked.data(b"hello", end=True)

        server.routes["/"] = handler
        with pytest.raises(ProtocolError, match=server.url("/")):
            await got(fetcher, server, method=method)

    @pytest.mark.parametrize("lengths", [["10"], ["5", "6"]])
    async def test_that_is_wrong_is_not_held_against_the_others(
        self, fetcher: Http2Fetcher, server: H2Server, lengths: list[str]
    ) -> None:
        everyone = asyncio.Barrier(3)

        async def wrong(asked: Asked) -> None:
            await everyone.wait()
            asked.head(200, [("content-length", length) for length in lengths])
            await asked.data(b"hello", end=True)

        async def begun(asked: Asked) -> None:
            asked.head()
            await everyone.wait()

        async def unanswered(asked: Asked) -> None:
            await everyone.wait()

        server.routes["/wrong"], server.routes["/begun"] = wrong, begun
        server.routes["/unanswered"] = in_turn(unanswered, answers(b"the second time"))
        results = await asyncio.gather(
            *(got(fetcher, server, path) for path in ("/wrong", "/begun", "/unanswered")),
            return_exceptions=True,
        )
        fault = TruncatedBody if lengths == ["10"] else ProtocolError
        assert [type(result) for result in results] == [fault, TruncatedBody, Response]

    @pytest.mark.parametrize("lengths", [["-1"], ["1_0"], ["five"], ["5", "6"]])
    async def test_that_is_none_is_a_protocol_error(
        self, fetcher: Http2Fetcher, server: H2Server, lengths: list[str]
    ) -> None:
        async def handler(asked: Asked) -> None:
            asked.head(200, [("content-length", length) for length in lengths])

        server.routes["/"] = handler
        with pytest.raises(ProtocolError):
            await got(fetcher, server)


class TestTheCap:
    async def _over(self, fetcher: Fetcher, server: H2Server, handler: Handler) -> None:
        server.routes["/"] = handler
        server.routes["/next"] = answers(b"next")
        with pytest.raises(BodyTooLarge, match=server.url("/")):
            await got(fetcher, server)
        assert (await got(fetcher, server, "/next")).body == b"next"
        assert server.connections == 1
        await asyncio.wait_for(server.requests[0].reset_by_client.wait(), 5)

    async def test_refuses_a_length_over_it_before_the_body(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        async def handler(asked: Asked) -> None:
            asked.head(200, [("content-length", "1200000")])

        await self._over(fetcher, server, handler)

    async def test_ends_an_endless_body_on_its_stream_alone(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        async def handler(asked: Asked) -> None:
            asked.head()
            while not asked.reset_by_client.is_set():
                await asked.data(bytes(16_384))
                await asyncio.sleep(0)

        await self._over(fetcher, server, handler)

    async def test_counts_what_comes_out_of_a_bomb(self, fetcher: Http2Fetcher, server: H2Server) -> None:
        async def handler(asked: Asked) -> None:
            asked.head(200, [("content-encoding", "deflate")])
            await asked.data(zlib.compress(bytes(8 * CAP)))

        await self._over(fetcher, server, handler)

    async def test_may_be_a_requests_own(self, fetcher: Http2Fetcher, server: H2Server) -> None:
        server.routes["/"] = answers(PAGE)
        request = Request(server.url("/"))
        request.max_bytes = len(PAGE) - 1
        with pytest.raises(BodyTooLarge):
            await fetcher.fetch(request)
        request.max_bytes = len(PAGE)
        assert (await fetcher.fetch(request)).body == PAGE

    async def test_has_no_room_for_a_body_that_breaks_its_coding(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        server.routes["/"] = answers(gzip.compress(PAGE)[:-9], content_encoding="gzip")
        with pytest.raises(TruncatedBody):
            await got(fetcher, server)


class TestTime:
    async def test_runs_out_for_a_server_that_says_nothing(self, server: H2Server) -> None:
        server.routes["/"] = waits
        fetcher = http2(timeout_s=0.3)
        with pytest.raises(FetchTimeout, match=server.url("/")):
            await got(fetcher, server)
        await asyncio.wait_for(server.requests[0].reset_by_client.wait(), 5)
        await fetcher.aclose()

    async def test_runs_out_while_waiting_for_a_turn(self, server: H2Server) -> None:
        server.routes["/"] = waits
        fetcher = http2(timeout_s=0.3, per_host=1)
        fetches = [got(fetcher, server) for _ in range(3)]
        results = await asyncio.gather(*fetches, return_exceptions=True)
        assert {type(result) for result in results} == {FetchTimeout}
        await fetcher.aclose()

    async def test_runs_out_within_the_handshake(self) -> None:
        async with on_connect(silent) as port:
            fetcher = http2(connect_timeout_s=0.2)
            with pytest.raises(FetchTimeout, match="connecting"):
                await fetcher.fetch(Request(f"https://localhost:{port}/"))
            await fetcher.aclose()


class TestTheGuard:
    async def test_keeps_a_request_from_a_private_address(self, server: H2Server) -> None:
        fetcher = http2(guard=AddressGuard(), resolve={"pinned.test": "127.0.0.1"})
        for host in ("127.0.0.1", "localhost", "pinned.test"):
            with pytest.raises(AddressRefused):
                await fetcher.fetch(Request(server.url("/", host=host)))
        await fetcher.aclose()
        assert server.connections == 0

    async def test_lets_the_host_through_that_a_seed_named(self, server: H2Server) -> None:
        server.routes["/"] = answers(b"inside")
        guard = AddressGuard(allowed_hosts=frozenset({"seed.h2.test"}))
        fetcher = http2(guard=guard, resolve={"seed.h2.test": "127.0.0.1"})
        response = await fetcher.fetch(Request(server.url("/", host="seed.h2.test")))
        await fetcher.aclose()
        assert (response.body, response.address) == (b"inside", "127.0.0.1")

    async def test_of_certificates_refuses_one_for_another_name(self, server: H2Server) -> None:
        fetcher = http2(resolve={"other.test": "127.0.0.1"})
        with pytest.raises(TlsError, match="other"):
            await fetcher.fetch(Request(server.url("/", host="other.test")))
        await fetcher.aclose()
        assert server.links == []


class TestAFetcher:
    async def test_can_be_closed_twice_and_used_again(self, fetcher: Http2Fetcher, server: H2Server) -> None:
        server.routes["/"] = answers(b"ok")
        for _ in range(2):
            assert (await got(fetcher, server)).body == b"ok"
            await fetcher.aclose()
            await fetcher.aclose()
        assert server.connections == 2

    async def test_that_is_closed_lets_nobody_wait(self, fetcher: Http2Fetcher, server: H2Server) -> None:
        server.routes["/"] = waits
        asked = asyncio.create_task(got(fetcher, server))
        await _until(lambda: len(server.requests) == 1)
        await fetcher.aclose()
        with pytest.raises(ConnectError):
            await asked

    async def test_that_is_closed_within_a_handshake_lets_nobody_wait(self, fetcher: Http2Fetcher) -> None:
        connected = asyncio.Event()

        async def handler(reader: asyncio.StreamReader, _: asyncio.StreamWriter, __: str) -> None:
            connected.set()
            await reader.read()

        async with on_connect(handler) as port:
            asked = asyncio.create_task(fetcher.fetch(Request(f"https://localhost:{port}/")))
            await asyncio.wait_for(connected.wait(), 5)
            await fetcher.aclose()
            with pytest.raises(ConnectError, match="closed"):
                await asked

    async def test_goes_on_with_another_page_where_one_gave_up_dialling(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        server.routes["/"] = answers(b"ok")
        first, second = (asyncio.create_task(got(fetcher, server)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).body == b"ok"
        with pytest.raises(asyncio.CancelledError):
            await first
        assert server.connections == 1

    @pytest.mark.parametrize("closes", [True, False])
    # Without aclose the loop ended with connections open, which asyncio reports.
    @pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_opens_again_on_a_second_event_loop(self, certificate: tuple[Path, Path], closes: bool) -> None:
        fetcher = http2()

        async def invocation(last: bool) -> bytes:
            async with h2_server(certificate, ["h2"]) as server:
                server.routes["/"] = answers(b"warm")
                response = await got(fetcher, server)
                if closes or last:
                    await fetcher.aclose()
                return response.body

        assert [asyncio.run(invocation(last)) for last in (False, False, True)] == [b"warm"] * 3

    async def test_gives_the_connections_of_a_living_loop_back_to_it(
        self, fetcher: Http2Fetcher, server: H2Server
    ) -> None:
        server.routes["/"] = answers(b"ok")
        other = asyncio.new_event_loop()
        thread = asyncio.create_task(asyncio.to_thread(other.run_forever))
        there = asyncio.run_coroutine_threadsafe(got(fetcher, server), other)
        assert (await asyncio.wrap_future(there)).body == b"ok"
        assert (await got(fetcher, server)).body == b"ok"
        await _until(lambda: server.links[0].writer.is_closing())
        other.call_soon_threadsafe(other.stop)
        await thread
        other.close()


class TestACrawl:
    async def test_of_a_site_goes_over_one_connection(self, server: H2Server, tmp_path: Path) -> None:
        links = b"".join(b'<a href="/%d">%d</a>' % (n, n) for n in range(20))
        server.routes[ANY] = answers(links, content_type="text/html")
        server.routes["/robots.txt"] = answers(status=404)
        plan = Plan(
            seeds=(server.url("/"),), settings=Settings(http=Http(http2=True)), state_dir=tmp_path / "state"
        )
        result = await run(plan)
        assert (result.status, result.counts.fetched) == ("finished", 21)
        assert server.connections == 1
        assert len(server.requests) == 22


class TestFrames:
    @pytest.mark.parametrize("step", [1, 8, 9, 10, 1000])
    def test_are_found_however_the_bytes_come(self, step: int) -> None:
        wire = PingFrame(0, b"12345678").serialize() + DataFrame(3, b"x" * 100).serialize()
        frames = Frames()
        found = [frame for at in range(0, len(wire), step) for frame in frames.feed(wire[at : at + step])]
        assert [(frame.kind, frame.stream_id, len(frame.payload)) for frame in found] == [
            (6, 0, 8),
            (0, 3, 100),
        ]
        assert b"".join(frame.whole for frame in found) == wire

    def test_are_refused_by_their_length(self) -> None:
        with pytest.raises(ValueError, match="16385"):
            list(Frames().feed((MAX_PAYLOAD_BYTES + 1).to_bytes(3, "big") + bytes(6)))

    def test_that_say_goodbye_name_the_last_stream(self) -> None:
        payload = (0x8000_0003).to_bytes(4, "big") + (11).to_bytes(4, "big") + b"why"
        assert GoAway.read(Frame(7, 0, bytes(9) + payload)) == GoAway(last_stream_id=3, code=11)
        with pytest.raises(ValueError, match="GOAWAY"):
            GoAway.read(Frame(7, 1, bytes(9) + payload))
