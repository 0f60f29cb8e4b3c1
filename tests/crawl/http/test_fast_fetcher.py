"""What the fast fetcher does beyond the contract: what it hands over, bounds, keeps and gives up."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.hostile_server import (
    ANY,
    Handler,
    HostileServer,
    answer,
    hostile_server,
    in_pieces,
    in_turn,
    never_ends,
    says,
    says_and_closes,
    silent,
)

from airless.core.clock import Clock, ManualClock, SystemClock
from airless.crawl.errors import (
    ConnectError,
    FetchTimeout,
    ProtocolError,
    TlsError,
    TruncatedBody,
)
from airless.crawl.fetch import Result
from airless.crawl.headers import Headers
from airless.crawl.http import AddressGuard, FastFetcher, Fetching
from airless.crawl.http.fast.connection import Connection
from airless.crawl.http.fast.line import LineProtocol
from airless.crawl.http.fast.names import Names
from airless.crawl.http.fast.origin import origin, split
from airless.crawl.http.fast.slots import Slots
from airless.crawl.request import Request
from airless.crawl.response import Response
from airless.crawl.settings import Http

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def fast(*, per_host: int = 4, concurrency: int = 8, clock: Clock | None = None, **http: Any) -> FastFetcher:
    return FastFetcher(
        Fetching(
            Http(**http),
            concurrency=concurrency,
            per_host=per_host,
            page_bytes=1_000_000,
            guard=AddressGuard(allow_private=True),
            clock=clock or SystemClock(),
        )
    )


def silent_once_asked() -> tuple[asyncio.Event, Handler]:
    """A handler that says nothing, and when it was asked."""
    asked = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
        asked.set()
        await silent(reader, writer, path)

    return asked, handler


@pytest.fixture
async def server() -> AsyncIterator[HostileServer]:
    async with hostile_server() as running:
        yield running


@pytest.fixture
async def fetcher() -> AsyncIterator[FastFetcher]:
    fetcher = fast()
    yield fetcher
    await fetcher.aclose()


class TestWhatIsHandedOver:
    async def test_a_request_that_frames_itself_is_answered(
        self, fetcher: FastFetcher, server: HostileServer
    ) -> None:
        server.routes["/"] = says_and_closes(answer(b"ok", headers={"Connection": "close"}))
        response = await fetcher.fetch(Request(server.url("/"), headers={"Connection": "close"}))
        assert response.body == b"ok"
        assert server.requests[0].fields["connection"] == "close"

    async def test_so_is_every_request_of_settings_that_do(self, server: HostileServer) -> None:
        server.routes["/"] = says(answer(b"ok"))
        fetcher = fast(headers={"TE": "trailers"})
        assert (await fetcher.fetch(Request(server.url("/")))).body == b"ok"
        await fetcher.aclose()
        assert server.requests[0].fields["te"] == "trailers"


class TestAnAnswer:
    @pytest.mark.parametrize(
        ("data", "value"),
        [
            (b"HTTP/1.1 200 OK\nX-A: b \nContent-Length: 2\n\nok", "b"),
            (b"HTTP/1.1 200 OK\r\nX-A: b\r\n  c\r\nContent-Length: 2\r\n\r\nok", "b  c"),
            (b"HTTP/1.1 200\r\nX-A:\r\nContent-Length: 2\r\n\r\nok", ""),
            (b"\r\nHTTP/1.1 200 OK\r\nx-a: \xc3\xa9\r\nContent-Length: 2\r\n\r\nok", "é"),
        ],
        ids=["line-feeds", "folded", "without-a-reason", "after-an-empty-line"],
    )
    async def test_that_is_a_little_off_is_read(
        self, fetcher: FastFetcher, server: HostileServer, data: bytes, value: str
    ) -> None:
        server.routes["/"] = says(data)
        response = await fetcher.fetch(Request(server.url("/")))
        assert (response.body, response.headers["X-A"]) == (b"ok", value)

    async def test_may_come_a_byte_at_a_time(self, fetcher: FastFetcher, server: HostileServer) -> None:
        wire = gzip.compress(b"page " * 100)
        data = answer(wire, headers={"Content-Encoding": "gzip", "X-A": "b"})
        server.routes["/"] = in_pieces(*(data[at : at + 1] for at in range(len(data))), apart_s=0)
        for _ in range(2):
            response = await fetcher.fetch(Request(server.url("/")))
            assert (response.body, response.headers["x-a"]) == (b"page " * 100, "b")
        assert server.connections == 1

    async def test_without_fields_has_none(self, fetcher: FastFetcher, server: HostileServer) -> None:
        server.routes["/"] = says_and_closes(b"HTTP/1.1 200 OK\r\n\r\nbody")
        response = await fetcher.fetch(Request(server.url("/")))
        assert (response.body, response.headers.items_list()) == (b"body", [])

    async def test_of_304_with_the_length_of_the_page_leaves_the_connection(
        self, fetcher: FastFetcher, server: HostileServer
    ) -> None:
        server.routes["/"] = says(answer(status="304 Not Modified", length=5000))
        for _ in range(2):
            assert (await fetcher.fetch(Request(server.url("/")))).status == 304
        assert server.connections == 1

    async def test_with_trailers_has_the_fields_of_its_head_alone(
        self, fetcher: FastFetcher, server: HostileServer
    ) -> None:
        server.routes["/"] = says(CHUNKED + b"2\r\nok\r\n0\r\nX-T: 1\r\n\r\n")
        for _ in range(2):
            headers = (await fetcher.fetch(Request(server.url("/")))).headers
            assert headers.items_list() == [("transfer-encoding", "chunked")]
        assert server.connections == 1

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_that_another_follows_at_once_is_the_last_of_its_connection(
        self, fetcher: FastFetcher, server: HostileServer, method: str
    ) -> None:
        server.routes["/"] = in_turn(says(answer(b"one") + answer(b"poison")), says(answer(b"two")))
        first = await fetcher.fetch(Request(server.url("/"), method=method))
        assert first.body == (b"one" if method == "GET" else b"")
        assert (await fetcher.fetch(Request(server.url("/")))).body == b"two"
        assert server.connections == 2

    async def test_with_garbage_behind_it_is_the_last_of_its_connection(
        self, fetcher: FastFetcher, server: HostileServer
    ) -> None:
        server.routes["/"] = in_turn(says(answer(b"one") + b"?!"), says(answer(b"two")))
        bodies = [(await fetcher.fetch(Request(server.url("/")))).body for _ in range(2)]
        assert (bodies, server.connections) == ([b"one", b"two"], 2)

    async def test_that_says_close_ends_the_connection(
        self, fetcher: FastFetcher, server: HostileServer
    ) -> None:
        server.routes["/"] = says(answer(b"ok", headers={"Connection": "Close"}))
        for method in ("GET", "HEAD", "GET"):
            await fetcher.fetch(Request(server.url("/"), method=method))
        assert server.connections == 3

    async def test_to_half_an_upload_ends_the_connection(
        self, fetcher: FastFetcher, server: HostileServer
    ) -> None:
        server.routes["/"] = in_turn(says(answer(b"no", status="413 Too Large")), silent)
        server.routes["/next"] = says(answer(b"next"))
        response = await fetcher.fetch(Request(server.url("/"), method="POST", body=bytes(20_000_000)))
        assert response.status == 413
        assert (await fetcher.fetch(Request(server.url("/next")))).body == b"next"
        assert server.connections == 2


class TestABound:
    @pytest.mark.parametrize(
        ("head", "piece"),
        [
            (b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * 16384),
            (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 100),
            (CHUNKED + b"5;ext=", b"a" * 16384),
            (CHUNKED + b"2\r\nok\r\n0\r\nX-T: ", b"a" * 16384),
            (CHUNKED + b"2\r\nok\r\n0\r\n", b"X-T: a\r\n" * 1000),
        ],
        ids=["field", "fields", "extension", "trailer", "trailers"],
    )
    async def test_ends_what_goes_on_without_a_body(
        self, fetcher: FastFetcher, server: HostileServer, head: bytes, piece: bytes
    ) -> None:
        server.routes["/"] = never_ends(head, piece)
        with pytest.raises(ProtocolError, match="too much"):
            await fetcher.fetch(Request(server.url("/")))
        await asyncio.wait_for(server.closed_by_peer.wait(), 5)

    async def test_is_kept_by_a_head_of_many_middling_fields(
        self, fetcher: FastFetcher, server: HostileServer
    ) -> None:
        server.routes["/"] = says(answer(headers={f"X-{n}": "a" * 7000 for n in range(10)}))
        with pytest.raises(ProtocolError, match="too many fields or too long"):
            await fetcher.fetch(Request(server.url("/")))

    @pytest.mark.parametrize("field", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
    async def test_is_set_to_what_may_come_before_an_answer(
        self, fetcher: FastFetcher, server: HostileServer, field: bytes
    ) -> None:
        server.routes["/"] = says(b"HTTP/1.1 103 Early Hints\r\n" + field + b"\r\n\r\n" + answer(b"ok"))
        with pytest.raises(ProtocolError, match="status 103"):
            await fetcher.fetch(Request(server.url("/")))


class TestTime:
    async def test_up_ends_an_exchange_by_the_clock(self, server: HostileServer) -> None:
        asked, server.routes["/"] = silent_once_asked()
        clock = ManualClock()
        fetcher = fast(clock=clock)
        fetch = asyncio.create_task(fetcher.fetch(Request(server.url("/"))))
        await asked.wait()
        clock.advance(61)
        with pytest.raises(FetchTimeout, match="60 s"):
            await fetch
        await fetcher.aclose()

    async def test_up_ends_a_fetch_that_waits_for_its_turn(self, server: HostileServer) -> None:
        server.routes["/slow"] = silent
        server.routes["/"] = says(answer(b"fine"))
        fetcher = fast(per_host=1, timeout_s=0.3)
        slow = [fetcher.fetch(Request(server.url("/slow"))) for _ in range(3)]
        results = await asyncio.gather(*slow, return_exceptions=True)
        assert [type(result) for result in results] == [FetchTimeout] * 3
        assert (await fetcher.fetch(Request(server.url("/")))).body == b"fine"
        await fetcher.aclose()

    async def test_without_use_ends_a_kept_connection(self, server: HostileServer) -> None:
        server.routes["/"] = says(answer(b"ok"))
        clock = ManualClock()
        fetcher = fast(clock=clock)
        await fetcher.fetch(Request(server.url("/")))
        clock.advance(29)
        await asyncio.sleep(0.6)
        await fetcher.fetch(Request(server.url("/")))
        assert server.connections == 1
        clock.advance(31)
        await asyncio.wait_for(server.closed_by_peer.wait(), 5)
        await fetcher.aclose()

    async def test_spares_no_more_connections_than_are_worth_keeping(self, server: HostileServer) -> None:
        together = asyncio.Barrier(140)

        async def all_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: str) -> None:
            await together.wait()
            writer.write(answer(b"ok"))

        server.routes[ANY] = all_at_once
        fetcher = fast(per_host=140, concurrency=140, resolve={"other.test": "127.0.0.1"})
        for host in ("127.0.0.1", "other.test"):
            urls = [server.url(f"/{n}", host=host) for n in range(140)]
            await asyncio.gather(*(fetcher.fetch(Request(url)) for url in urls))
        assert server.connections == 280
        await asyncio.wait_for(server.closed_by_peer.wait(), 5)
        await fetcher.aclose()


class TestClosing:
    async def test_ends_the_fetches_under_way(self, server: HostileServer) -> None:
        asked, server.routes["/"] = silent_once_asked()
        fetcher = fast()
        fetch = asyncio.create_task(fetcher.fetch(Request(server.url("/"))))
        await asked.wait()
        await fetcher.aclose()
        with pytest.raises(ConnectError):
            await fetch

    async def test_ends_those_that_were_about_to_connect(self, server: HostileServer) -> None:
        fetcher = fast(resolve={"page.test": "127.0.0.1"})
        fetch = asyncio.create_task(fetcher.fetch(Request(server.url("/", host="page.test"))))
        await asyncio.sleep(0)
        await fetcher.aclose()
        with pytest.raises(ConnectError):
            await fetch


class TestNames:
    async def test_are_looked_up_once_for_all_who_ask(self) -> None:
        asked: list[str] = []

        async def lookup(host: str) -> Sequence[str]:
            asked.append(host)
            await asyncio.sleep(0)
            return ["192.0.2.1"]

        names = Names(lookup)
        found = await asyncio.gather(*(names.addresses("a.test") for _ in range(5)))
        assert found == [["192.0.2.1"]] * 5
        assert await names.addresses("a.test") == ["192.0.2.1"]
        assert asked == ["a.test"]

    async def test_that_fail_are_asked_for_again(self) -> None:
        answers: list[Sequence[str] | OSError] = [socket.gaierror("gone"), ["192.0.2.1"]]

        async def lookup(_: str) -> Sequence[str]:
            found = answers.pop(0)
            if isinstance(found, OSError):
                raise found
            return found

        names = Names(lookup)
        with pytest.raises(OSError, match="gone"):
            await names.addresses("a.test")
        assert await names.addresses("a.test") == ["192.0.2.1"]

    async def test_under_way_end_with_the_fetcher_and_not_with_who_asks(self) -> None:
        async def lookup(_: str) -> Sequence[str]:
            await asyncio.sleep(3600)
            return []

        names = Names(lookup)
        one, other = (asyncio.create_task(names.addresses("a.test")) for _ in range(2))
        await asyncio.sleep(0)
        one.cancel()
        await asyncio.sleep(0)
        assert (one.cancelled(), other.done()) == (True, False)
        await names.aclose()
        with pytest.raises(OSError, match="closed"):
            await other


class TestSlots:
    async def test_go_to_who_came_first(self) -> None:
        slots = Slots(1)
        served: list[int] = []

        async def one(number: int) -> None:
            await slots.take()
            served.append(number)
            slots.give()

        await slots.take()
        tasks = [asyncio.create_task(one(number)) for number in range(4)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        slots.give()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (served, slots.free) == ([0, 2, 3], 1)

    async def test_given_to_who_gave_up_in_that_moment_come_back(self) -> None:
        slots = Slots(1)
        await slots.take()
        task = asyncio.create_task(slots.take())
        await asyncio.sleep(0)
        slots.give()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert slots.free == 1


class TestAnOrigin:
    @pytest.mark.parametrize(
        ("url", "key", "host_field"),
        [
            ("http://example.com/a/b?c", "http://example.com:80", "example.com"),
            ("https://Example.com.:443/", "https://example.com:443", "example.com"),
            ("https://example.com:0008080", "https://example.com:8080", "example.com:8080"),
            ("http://[::1]:80/", "http://::1:80", "[::1]"),
            ("http://u:p@192.0.2.1:81/@", "http://192.0.2.1:81", "192.0.2.1:81"),
            ("http://example.com#f/g", "http://example.com:80", "example.com"),
        ],
    )
    def test_is_what_two_urls_share_a_connection_by(self, url: str, key: str, host_field: str) -> None:
        read = origin(split(url)[0], url)
        assert (read.key, read.host_field) == (key, host_field)

    @pytest.mark.parametrize(
        "url",
        [
            "http://a:1000000080/",
            "http://[::g]/",
            "http://[:::]/",
            "http://a@/",
            "http://./",
            "http://é.test/",
        ],
    )
    def test_that_is_none_is_refused(self, url: str) -> None:
        with pytest.raises(ProtocolError):
            origin(split(url)[0], url)

    def test_is_cut_off_without_touching_the_rest(self) -> None:
        assert split("http://a.test/b//c?d#e") == ("http://a.test", "/b//c?d")
        assert split("http://a.test") == ("http://a.test", "/")


def test_fields_from_the_wire_are_like_any_others() -> None:
    wire = Headers.from_wire(b"\nX-A\nb\t\nx-a\n c\nX-U\ncaf\xc3\xa9\nX-L\ncaf\xe9")
    assert wire.items_list() == [("x-a", "b"), ("x-a", "c"), ("x-u", "café"), ("x-l", "café")]
    assert dict(wire) == {"x-a": "b", "x-u": "café", "x-l": "café"}
    assert repr(Headers.from_wire(b"\nA\nb")) == repr(Headers([("a", "b")]))


@pytest.fixture
async def tls_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HostileServer]:
    """A server with a certificate for localhost that this process trusts."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject]
    await asyncio.to_thread(
        subprocess.run, [*made, "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with hostile_server({"/": says(answer(b"x" * 300_000))}, tls=context) as running:
        yield running


class TestTls:
    async def test_serves_page_after_page_on_one_connection(
        self, fetcher: FastFetcher, tls_server: HostileServer
    ) -> None:
        for _ in range(3):
            response = await fetcher.fetch(Request(tls_server.url("/", host="localhost")))
            assert (len(response.body), response.address) == (300_000, "127.0.0.1")
        assert tls_server.connections == 1

    async def test_with_a_certificate_for_another_name_is_refused(self, tls_server: HostileServer) -> None:
        fetcher = fast(resolve={"other.test": "127.0.0.1"})
        with pytest.raises(TlsError, match="other"):
            await fetcher.fetch(Request(tls_server.url("/", host="other.test")))
        await fetcher.aclose()
        assert tls_server.requests == []


@pytest.fixture(params=["taken", "parsed", "read by the transport"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ways by which an answer comes in."""
    if request.param == "parsed":
        monkeypatch.setattr(
            Connection,
            "ask",
            lambda self, head, request, limit_bytes, plain, told: LineProtocol.ask(
                self, head, request, limit_bytes, False, told
            ),
        )
    elif request.param == "read by the transport":
        monkeypatch.delattr("select.epoll", raising=False)


@pytest.mark.usefixtures("way")
class TestAnswersInPieces:
    @pytest.mark.parametrize(
        ("head", "body"),
        [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
            (b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length:  5 \r\n\r\n", b"hello"),
            (b"HTTP/1.1 404 Not Found\r\nConnection: Keep-Alive\r\nContent-Length: 3\r\n\r\n", b"abc"),
            (b"HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\n", b"abc"),
            (b"HTTP/1.1 200\r\nContent-Length: 3\r\n\r\n", b"abc"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Long: %b\r\n\r\n" % (b"v" * 20_000), b"abc"),
        ],
    )
    @pytest.mark.parametrize("cuts", [(), (5,), (-1,), (-4, -2), (20,)])
    async def test_make_one_whole_and_leave_the_connection_usable(
        self,
        server: HostileServer,
        head: bytes,
        body: bytes,
        cuts: tuple[int, ...],
    ) -> None:
        async def in_pieces(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: str) -> None:
            whole = head + body
            at = 0
            for cut in (*(cut % len(whole) for cut in cuts), len(whole)):
                writer.write(whole[at:cut])
                await writer.drain()
                await asyncio.sleep(0.01)
                at = cut

        server.routes[ANY] = in_pieces
        fetcher = fast()
        for _ in range(2):
            response = await fetcher.fetch(Request(server.url("/")))
            assert response.body == body
            assert response.wire_bytes == len(body)
            assert response.headers["content-length"] == str(len(body))
        assert server.connections == 1
        await fetcher.aclose()

    async def test_bytes_that_nobody_asked_for_end_the_connection(self, server: HostileServer) -> None:
        async def too_much(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: str) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n")

        server.routes[ANY] = too_much
        fetcher = fast()
        for number in (1, 2):
            assert (await fetcher.fetch(Request(server.url("/")))).body == b"ok"
            assert server.connections == number
        await fetcher.aclose()

    async def test_a_connection_that_ends_between_pages_is_replaced(self, server: HostileServer) -> None:
        server.routes[ANY] = says_and_closes(answer(b"ok"))
        fetcher = fast()
        for number in (1, 2, 3):
            assert (await fetcher.fetch(Request(server.url("/")))).body == b"ok"
            await asyncio.sleep(0.02)
            assert server.connections == number
        await fetcher.aclose()

    async def test_a_reset_is_no_end_of_a_body_without_a_length(self, server: HostileServer) -> None:
        async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: str) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\npart of it")
            await asyncio.sleep(0.02)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

        server.routes[ANY] = reset
        fetcher = fast()
        with pytest.raises(TruncatedBody):
            await fetcher.fetch(Request(server.url("/")))
        await fetcher.aclose()


class TestAFetchWithoutACoroutine:
    @staticmethod
    def begun(fetcher: FastFetcher, request: Request) -> asyncio.Future[Result]:
        ended: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def answered(answers: Sequence[tuple[Any, Result]]) -> None:
            [(whose, result)] = answers
            assert whose is ended
            ended.set_result(result)

        assert fetcher.begin([(request, ended)], answered) != [None]
        assert not ended.done()
        return ended

    async def test_begins_where_a_connection_is_kept(
        self, fetcher: FastFetcher, server: HostileServer
    ) -> None:
        server.routes["/"] = says(answer(gzip.compress(b"page"), headers={"Content-Encoding": "gzip"}))
        request = Request(server.url("/"))
        assert fetcher.begin([(request, None)], print) == [None]
        await fetcher.fetch(request)
        assert fetcher.begin([(Request(server.url("/"), method="POST"), None)], print) == [None]
        assert fetcher.begin([(Request(server.url("/"), headers={"X-A": "b"}), None)], print) == [None]
        for _ in range(3):
            response = await self.begun(fetcher, request)
            assert isinstance(response, Response)
            assert (response.status, response.body, response.address) == (200, b"page", "127.0.0.1")
        assert server.connections == 1

    async def test_is_told_of_errors(self, fetcher: FastFetcher, server: HostileServer) -> None:
        server.routes["/"] = says(answer(b"page"))
        server.routes["/broken"] = says(answer(b"no gzip", headers={"Content-Encoding": "gzip"}))
        await fetcher.fetch(Request(server.url("/")))
        assert isinstance(await self.begun(fetcher, Request(server.url("/broken"))), TruncatedBody)

    async def test_does_not_begin_what_can_not_be_sent(
        self, fetcher: FastFetcher, server: HostileServer
    ) -> None:
        server.routes["/"] = says(answer(b"page", headers={"Set-Cookie": "a=b"}))
        unfit = Request(server.url("/ä"))
        for _ in range(2):
            assert fetcher.begin([(unfit, None)], print) == [None]
            # From now on there is a connection, and a cookie goes along.
            await fetcher.fetch(Request(server.url("/")))

    async def test_says_that_the_server_had_hung_up(
        self, fetcher: FastFetcher, server: HostileServer
    ) -> None:
        server.routes["/"] = in_turn(says(answer(b"page")), says_and_closes(b""), says(answer(b"page")))
        request = Request(server.url("/"))
        await fetcher.fetch(request)
        assert await self.begun(fetcher, request) is None
        assert (await fetcher.fetch(request)).body == b"page"

    async def test_that_is_abandoned_is_told_nothing(self, server: HostileServer) -> None:
        asked, handler = silent_once_asked()
        server.routes["/"] = in_turn(says(answer(b"page")), handler)
        fetcher = fast(per_host=1)
        request = Request(server.url("/"))
        await fetcher.fetch(request)
        told: list[Any] = []
        [exchange] = fetcher.begin([(request, None)], told.append)
        assert exchange is not None
        await asked.wait()
        exchange.abandon()
        server.routes["/"] = says(answer(b"other"))
        assert (await fetcher.fetch(request)).body == b"other"
        await fetcher.aclose()
        assert told == []

    async def test_is_told_of_those_that_came_together_in_one_call(self, server: HostileServer) -> None:
        async def large(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: str) -> None:
            writer.write(answer(b"x" * 900_000))

        async def once_all_ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
            await all_ask.wait()
            await says(answer(b"page"))(reader, writer, path)

        all_ask = asyncio.Barrier(8)
        server.routes["/"] = says(answer(b"page"))
        server.routes["/large"] = large
        server.routes["/first"] = once_all_ask
        fetcher = fast(per_host=8)
        await asyncio.gather(*(fetcher.fetch(Request(server.url("/first"))) for _ in range(8)))
        told: list[Sequence[tuple[Any, Result]]] = []
        all_told = asyncio.Event()

        def answered(answers: Sequence[tuple[Any, Result]]) -> None:
            told.append(answers)
            if sum(map(len, told)) == 8:
                all_told.set()

        paths = ["/large" if number < 3 else "/" for number in range(8)]
        asked = [(Request(server.url(path)), number) for number, path in enumerate(paths)]
        assert None not in fetcher.begin(asked, answered)
        await asyncio.wait_for(all_told.wait(), 10)
        ended = {whose: result for answers in told for whose, result in answers}
        assert sorted(ended) == list(range(8))
        for number, result in ended.items():
            assert isinstance(result, Response)
            assert len(result.body) == (900_000 if number < 3 else 4)
        assert len(told) < 8
        await fetcher.aclose()

    async def test_that_is_abandoned_when_its_answer_has_come_is_told_nothing(
        self, server: HostileServer
    ) -> None:
        server.routes["/"] = says(answer(b"page"))
        fetcher = fast(per_host=1)
        request = Request(server.url("/"))
        await fetcher.fetch(request)
        told: list[Any] = []
        [exchange] = fetcher.begin([(request, None)], told.append)
        assert isinstance(exchange, Connection)
        # Whoever was here before the answer goes on before those who are told of it.
        while exchange.told is not None:  # noqa: ASYNC110 - nobody else may be told before this is
            await asyncio.sleep(0)
        assert told == []
        exchange.abandon()
        assert (await fetcher.fetch(request)).body == b"page"
        await fetcher.aclose()
        assert told == []
