"""What every Fetcher does, over real sockets, with servers that mean well and servers that don't.

A second fetcher joins by a line in FETCHERS.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import sys
import zlib
from collections.abc import Callable

import brotli
import pytest
from fetchers import Make, on_connect
from support.hostile_server import (
    ANY,
    Handler,
    HostileServer,
    answer,
    drips,
    in_pieces,
    never_ends,
    says,
    says_and_closes,
    says_and_resets,
    silent,
)

from airless.crawl.errors import ConnectError, FetchTimeout, ProtocolError, ResolveError, TruncatedBody
from airless.crawl.request import Request

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PAGE = b"<html>" + b"<p>page</p>" * 5000


class TestAnAnswer:
    async def test_comes_with_all_that_is_known_of_it(self, make: Make, server: HostileServer) -> None:
        server.routes["/"] = says(
            answer(b"hello", headers={"X-One": "1", "x-one": "2", "Content-Type": "text/html"})
        )
        request = Request(server.url("/"))
        async with make() as fetcher:
            response = await fetcher.fetch(request)
        assert (response.status, response.body, response.url) == (200, b"hello", request.url)
        assert response.request is request
        assert response.headers.get_all("x-one") == ["1", "2"]
        assert response.wire_bytes == 5
        assert response.address == "127.0.0.1"
        assert response.elapsed_s > 0

    @pytest.mark.parametrize("status", ["301 Moved", "404 Not Found", "429 Slow", "503 Down", "999 Own"])
    async def test_is_a_response_whatever_its_status(
        self, make: Make, server: HostileServer, status: str
    ) -> None:
        server.routes["/"] = says(answer(b"body", status=status, headers={"Location": "/elsewhere"}))
        async with make() as fetcher:
            response = await fetcher.fetch(Request(server.url("/")))
        assert response.status == int(status[:3])
        assert response.body == b"body"
        assert response.headers["location"] == "/elsewhere"
        assert len(server.requests) == 1

    @pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
    async def test_without_a_body_may_name_a_coding(
        self, make: Make, server: HostileServer, status: str
    ) -> None:
        server.routes["/"] = says(f"HTTP/1.1 {status}\r\nContent-Encoding: gzip\r\n\r\n".encode())
        async with make() as fetcher:
            response = await fetcher.fetch(Request(server.url("/")))
        assert response.body == b""

    async def test_to_head_has_headers_alone(self, make: Make, server: HostileServer) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\nContent-Encoding: br\r\n\r\n"
        server.routes["/"] = says(head)
        async with make() as fetcher:
            for _ in range(2):
                response = await fetcher.fetch(Request(server.url("/"), method="HEAD"))
        assert (response.body, response.headers["content-length"]) == (b"", "99999999")
        assert server.connections == 1

    async def test_of_http_1_0_ends_with_the_connection(self, make: Make, server: HostileServer) -> None:
        server.routes["/"] = says_and_closes(b"HTTP/1.0 200 OK\r\n\r\n" + PAGE)
        async with make() as fetcher:
            assert (await fetcher.fetch(Request(server.url("/")))).body == PAGE

    async def test_may_come_in_chunks_after_early_hints(self, make: Make, server: HostileServer) -> None:
        hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
        server.routes["/"] = says(hints + CHUNKED + b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-T: 1\r\n\r\n")
        async with make() as fetcher:
            response = await fetcher.fetch(Request(server.url("/")))
        assert (response.status, response.body) == (200, b"hello world")

    async def test_has_its_fields_in_utf_8_or_latin_1_and_no_lone_surrogates(
        self, make: Make, server: HostileServer
    ) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-U: caf\xc3\xa9\r\nX-L: caf\xe9\r\n\r\n"
        server.routes["/"] = says(head)
        async with make() as fetcher:
            headers = (await fetcher.fetch(Request(server.url("/")))).headers
        assert (headers["x-u"], headers["x-l"]) == ("café", "café")

    @pytest.mark.parametrize(
        ("coding", "encode"),
        [
            ("gzip", gzip.compress),
            ("x-gzip", gzip.compress),
            ("deflate", zlib.compress),
            ("br", brotli.compress),
            ("zstd", zstd.compress),
            ("gzip, br", lambda data: brotli.compress(gzip.compress(data))),
        ],
    )
    async def test_comes_decoded(
        self, make: Make, server: HostileServer, coding: str, encode: Callable[[bytes], bytes]
    ) -> None:
        wire = encode(PAGE)
        server.routes["/"] = says(answer(wire, headers={"Content-Encoding": coding}))
        async with make() as fetcher:
            response = await fetcher.fetch(Request(server.url("/")))
        assert response.body == PAGE
        assert response.wire_bytes == len(wire)


class TestARequest:
    @pytest.mark.parametrize(
        "target",
        [
            "/a%2Fb?x=%7e&y=|",
            "/a?",
            "/?",
            "/a?b=c?d=e",
            "//double//slash/",
            "/a/../b/./c",
            "/%zz/%C3%A9/%c3%a9",
            "/a;p=1?q=a+b%20c&&=&q",
            "/'()*!~$,@:[]",
            "/{a}?{b}^`\\",
        ],
    )
    async def test_has_its_url_on_the_wire_untouched(
        self, make: Make, server: HostileServer, target: str
    ) -> None:
        server.routes[ANY] = says(answer())
        async with make() as fetcher:
            response = await fetcher.fetch(Request(server.url(target)))
        assert server.requests[0].line == f"GET {target} HTTP/1.1"
        assert response.url == server.url(target)

    async def test_names_the_crawler_and_what_it_takes(self, make: Make, server: HostileServer) -> None:
        server.routes["/"] = says(answer())
        async with make(user_agent="bot/1", headers={"X-From": "settings"}) as fetcher:
            await fetcher.fetch(Request(server.url("/")))
        fields = server.requests[0].fields
        assert fields["user-agent"] == "bot/1"
        assert fields["accept-encoding"] == "gzip, deflate, br, zstd"
        assert fields["accept"].startswith("text/html")
        assert fields["x-from"] == "settings"
        assert fields["host"] == f"127.0.0.1:{server.port}"
        assert "accept-language" not in fields
        assert "cookie" not in fields

    async def test_overrides_the_defaults_in_any_case(self, make: Make, server: HostileServer) -> None:
        server.routes["/"] = says(answer())
        async with make(headers={"X-From": "settings"}) as fetcher:
            headers = {"user-AGENT": "mine", "ACCEPT-encoding": "identity", "x-from": "request"}
            await fetcher.fetch(Request(server.url("/"), headers=headers))
        head = server.requests[0].head.lower()
        fields = server.requests[0].fields
        assert head.count(b"user-agent:") == head.count(b"x-from:") == head.count(b"accept-encoding:") == 1
        assert (fields["user-agent"], fields["accept-encoding"]) == ("mine", "identity")
        assert fields["x-from"] == "request"

    async def test_carries_its_method_and_its_body(self, make: Make, server: HostileServer) -> None:
        got: list[bytes] = []

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: str) -> None:
            got.append(await reader.readexactly(9))
            writer.write(answer(b"taken"))

        server.routes["/"] = take
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        async with make() as fetcher:
            response = await fetcher.fetch(
                Request(server.url("/"), method="POST", body=b"a=b&c=%20", headers=form)
            )
            await fetcher.fetch(Request(server.url("/"), method="PUT", body="123456789"))
        assert response.body == b"taken"
        assert got == [b"a=b&c=%20", b"123456789"]
        assert server.requests[0].line == "POST / HTTP/1.1"
        assert server.requests[0].fields["content-type"] == form["Content-Type"]
        assert server.requests[0].fields["content-length"] == "9"
        assert "content-type" not in server.requests[1].fields

    async def test_sends_the_credentials_of_its_url_unless_it_has_its_own(
        self, make: Make, server: HostileServer
    ) -> None:
        server.routes["/"] = says(answer())
        url = server.url("/").replace("://", "://us%40er:p%3Aw@")
        async with make() as fetcher:
            await fetcher.fetch(Request(url))
            await fetcher.fetch(Request(url, headers={"authorization": "Bearer x"}))
        basic = "Basic " + base64.b64encode(b"us@er:p:w").decode()
        assert [r.fields["authorization"] for r in server.requests] == [basic, "Bearer x"]
        assert server.requests[0].fields["host"] == f"127.0.0.1:{server.port}"

    @pytest.mark.parametrize(
        "url", ["ftp://127.0.0.1/", "http:///x", "http://127.0.0.1/a b", "http://127.0.0.1/\r\nX: y", "/x"]
    )
    async def test_with_a_url_that_is_none_is_refused(self, make: Make, url: str) -> None:
        async with make() as fetcher:
            with pytest.raises(ProtocolError):
                await fetcher.fetch(Request(url))

    @pytest.mark.parametrize("url", ["http://127.0.0.1:99999/", "http://127.1/", "http://:127/"])
    async def test_with_a_host_that_is_none_is_refused(self, make: Make, url: str) -> None:
        async with make() as fetcher:
            with pytest.raises(ProtocolError, match="127"):
                await fetcher.fetch(Request(url))

    async def test_cannot_smuggle_a_field(self, make: Make, server: HostileServer) -> None:
        server.routes["/"] = says(answer())
        async with make() as fetcher:
            with pytest.raises(ProtocolError, match="can't be sent"):
                await fetcher.fetch(Request(server.url("/"), headers={"X-A": "b\r\nX-C: d"}))
        assert all("x-c" not in received.fields for received in server.requests)


class TestABrokenAnswer:
    @pytest.mark.parametrize(
        "handler",
        [
            says_and_closes(answer(b"hello", length=10)),
            says_and_resets(answer(b"hello", length=10)),
            says_and_closes(CHUNKED + b"5\r\nhel"),
            says_and_closes(CHUNKED + b"5\r\nhello\r\n"),
            says_and_resets(CHUNKED + b"5\r\nhello\r\n"),
            says(CHUNKED + b"5\r\nhello\r\nzz\r\nxx"),
            in_pieces(CHUNKED + b"5\r\nhello\r\n", b"zz\r\nxx"),
            says_and_resets(b"HTTP/1.0 200 OK\r\n\r\nhello"),
            in_pieces(answer(gzip.compress(PAGE)[:-10], headers={"Content-Encoding": "gzip"})),
            says_and_closes(b"HTTP/1.0 200 OK\r\nContent-Encoding: zstd\r\n\r\n" + zstd.compress(PAGE)[:-1]),
            says_and_closes(b"HTTP/1.0 200 OK\r\nContent-Encoding: br\r\n\r\n" + brotli.compress(PAGE)[:-1]),
        ],
        ids=[
            "short-length",
            "reset-within-length",
            "cut-chunk",
            "no-last-chunk",
            "reset-within-chunks",
            "bad-chunk",
            "bad-chunk-later",
            "reset-without-length",
            "cut-gzip",
            "cut-zstd",
            "cut-br",
        ],
    )
    async def test_with_a_body_that_breaks_off_is_truncated(
        self, make: Make, server: HostileServer, handler: Handler
    ) -> None:
        server.routes["/"] = handler
        async with make() as fetcher:
            with pytest.raises(TruncatedBody, match=server.url("/")) as caught:
                await fetcher.fetch(Request(server.url("/")))
        assert caught.value.retryable

    @pytest.mark.parametrize(
        "data",
        [
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"<html>no head</html>\r\n\r\n",
            b"HTTP/1.1 abc OK\r\n\r\n",
            b"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nbytes",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
            b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"X-Bomb: 1\r\n" * 5000 + b"\r\n",
            b"HTTP/1.1 200 OK\r\nX-Bomb: " + b"1" * 200_000 + b"\r\n\r\n",
            b"HTTP/1.1 200 " + b"O" * 50_000 + b"\r\n\r\n",
            answer(b"x", headers={"Content-Encoding": "rot13"}),
            answer(b"plain text after all", headers={"Content-Encoding": "gzip"}),
        ],
        ids=[
            "not-http",
            "no-head",
            "no-status",
            "http-2",
            "status-099",
            "switch",
            "two-lengths",
            "negative-length",
            "length-and-chunks",
            "transfer-gzip",
            "many-fields",
            "long-field",
            "long-line",
            "unknown-coding",
            "wrong-coding",
        ],
    )
    async def test_that_is_no_valid_http_is_a_protocol_error(
        self, make: Make, server: HostileServer, data: bytes
    ) -> None:
        server.routes["/"] = says(data)
        async with make() as fetcher:
            with pytest.raises(ProtocolError, match=server.url("/")) as caught:
                await fetcher.fetch(Request(server.url("/")))
        assert not caught.value.retryable
        assert len(str(caught.value)) < 500

    @pytest.mark.parametrize(
        "handler",
        [
            says_and_closes(b""),
            says_and_resets(b"", after_s=0),
            says_and_closes(b"HTTP/1.1 200 OK\r\nContent-"),
            says_and_closes(b"HTT"),
        ],
        ids=["closed", "reset", "within-the-head", "within-the-first-word"],
    )
    async def test_that_never_comes_is_a_connect_error_after_one_try(
        self, make: Make, server: HostileServer, handler: Handler
    ) -> None:
        server.routes["/"] = handler
        async with make() as fetcher:
            with pytest.raises(ConnectError, match=server.url("/")) as caught:
                await fetcher.fetch(Request(server.url("/")))
        assert caught.value.__cause__ is not None
        assert len(server.requests) == 1

    async def test_from_a_closed_port_is_a_connect_error(self, make: Make, server: HostileServer) -> None:
        async with make() as fetcher:
            with pytest.raises(ConnectError, match="no connection"):
                await fetcher.fetch(Request("http://127.0.0.1:1/"))

    @pytest.mark.parametrize("host", ["no-such-name.invalid", "a" * 64 + ".test"])
    async def test_from_a_name_without_address_is_a_resolve_error(self, make: Make, host: str) -> None:
        async with make() as fetcher:
            with pytest.raises(ResolveError, match=host):
                await fetcher.fetch(Request(f"http://{host}/"))


class TestTheTimeout:
    @pytest.mark.parametrize(
        "handler",
        [
            silent,
            drips(answer(b"x" * 1000), every_s=0.05),
            drips(CHUNKED + b"5\r\nhello\r\n" * 100, every_s=0.05),
            never_ends(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
            in_pieces(CHUNKED + b"5\r\nhello\r\n"),
        ],
        ids=["silence", "dripping-head", "dripping-chunks", "endless-hints", "stalled-body"],
    )
    async def test_covers_the_whole_fetch(self, make: Make, server: HostileServer, handler: Handler) -> None:
        server.routes["/"] = handler
        async with make(timeout_s=0.4) as fetcher:
            with pytest.raises(FetchTimeout, match=r"0\.4 s") as caught:
                await fetcher.fetch(Request(server.url("/")))
        assert caught.value.retryable

    async def test_leaves_the_fetcher_usable(self, make: Make, server: HostileServer) -> None:
        server.routes["/slow"] = silent
        server.routes["/"] = says(answer(b"fine"))
        async with make(timeout_s=0.4) as fetcher:
            slow = [fetcher.fetch(Request(server.url("/slow"))) for _ in range(4)]
            results = await asyncio.gather(*slow, return_exceptions=True)
            assert [type(result) for result in results] == [FetchTimeout] * 4
            assert (await fetcher.fetch(Request(server.url("/")))).body == b"fine"

    async def test_of_connecting_is_its_own(self, make: Make) -> None:
        async with on_connect(says(b"")) as port, make(connect_timeout_s=0.3) as fetcher:
            with pytest.raises(FetchTimeout, match="connecting"):
                await fetcher.fetch(Request(f"https://127.0.0.1:{port}/"))
