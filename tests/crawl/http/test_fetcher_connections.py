"""Where a fetcher connects to, what it keeps open, and when it hangs up."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import subprocess
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from fetchers import FETCHERS, Make, on_connect
from support.hostile_server import (
    ANY,
    Handler,
    HostileServer,
    answer,
    hostile_server,
    in_pieces,
    in_turn,
    never_ends,
    reset,
    says,
    says_and_closes,
    says_and_resets,
)

from airless.core.clock import SystemClock
from airless.core.errors import ConfigError
from airless.crawl.errors import AddressRefused, BodyTooLarge, ConnectError, ProtocolError, TlsError
from airless.crawl.http import AddressGuard, CookieJar, Fetching
from airless.crawl.http.dialling import GuardedResolver
from airless.crawl.request import Request
from airless.crawl.settings import Http

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
CAP = 1_000_000


class TestTheCap:
    async def test_refuses_a_length_over_it_before_the_body(self, make: Make, server: HostileServer) -> None:
        server.routes["/"] = says(b"HTTP/1.1 200 OK\r\nContent-Length: 1000001\r\n\r\n")
        async with make(page_bytes=CAP) as fetcher:
            with pytest.raises(BodyTooLarge, match=server.url("/")):
                await fetcher.fetch(Request(server.url("/")))
            await asyncio.wait_for(server.closed_by_peer.wait(), 5)

    @pytest.mark.parametrize("head", [CHUNKED + b"\r\n", b"HTTP/1.0 200 OK\r\n\r\n"], ids=["chunks", "close"])
    async def test_ends_an_endless_body(self, make: Make, server: HostileServer, head: bytes) -> None:
        piece = b"a" * 16384
        server.routes["/"] = never_ends(
            head, b"4000\r\n" + piece + b"\r\n" if head.startswith(CHUNKED) else piece
        )
        async with make(page_bytes=CAP) as fetcher:
            with pytest.raises(BodyTooLarge):
                await fetcher.fetch(Request(server.url("/")))
            await asyncio.wait_for(server.closed_by_peer.wait(), 5)

    async def test_counts_what_comes_out_of_a_bomb_and_hangs_up(
        self, make: Make, server: HostileServer
    ) -> None:
        async def bomb(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: str) -> None:
            writer.write(CHUNKED + b"Content-Encoding: gzip\r\n\r\n")
            stream = zlib.compressobj(9, wbits=31)
            for _ in range(100):
                piece = stream.compress(bytes(1 << 20)) + stream.flush(zlib.Z_SYNC_FLUSH)
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()

        server.routes["/"] = bomb
        async with make(page_bytes=8 << 20) as fetcher:
            tracemalloc.start()
            try:
                with pytest.raises(BodyTooLarge):
                    await fetcher.fetch(Request(server.url("/")))
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            await asyncio.wait_for(server.closed_by_peer.wait(), 5)
        assert peak < 30 << 20

    async def test_is_met_by_a_body_of_that_size(self, make: Make, server: HostileServer) -> None:
        server.routes["/"] = says(answer(b"a" * CAP))
        server.routes["/gzip"] = says(answer(gzip.compress(b"a" * CAP), headers={"Content-Encoding": "gzip"}))
        async with make(page_bytes=CAP) as fetcher:
            for path in ("/", "/gzip"):
                assert len((await fetcher.fetch(Request(server.url(path)))).body) == CAP


class TestAConnection:
    async def test_is_used_again(self, make: Make, server: HostileServer) -> None:
        server.routes["/"] = says(answer(b"x" * 100_000))
        async with make() as fetcher:
            for _ in range(5):
                response = await fetcher.fetch(Request(server.url("/")))
        assert server.connections == 1
        assert response.address == "127.0.0.1"

    async def test_is_one_of_no_more_than_a_host_may_have(self, make: Make, server: HostileServer) -> None:
        server.routes["/"] = in_pieces(b"", answer(b"ok"))
        async with make(per_host=2) as fetcher:
            fetches = [fetcher.fetch(Request(server.url("/"))) for _ in range(8)]
            responses = await asyncio.gather(*fetches)
        assert [response.body for response in responses] == [b"ok"] * 8
        assert server.connections == 2

    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
    @pytest.mark.parametrize("ending", [says_and_closes(b""), says_and_resets(b"", after_s=0)])
    async def test_that_the_server_closed_meanwhile_costs_nothing(
        self, make: Make, server: HostileServer, ending: Handler, method: str
    ) -> None:
        body = b"put" if method == "PUT" else None
        server.routes["/"] = in_turn(says(answer()), ending, _reads(3 if body else 0, answer()))
        async with make() as fetcher:
            await fetcher.fetch(Request(server.url("/")))
            response = await fetcher.fetch(Request(server.url("/"), method=method, body=body))
        assert response.status == 200
        assert [received.connection for received in server.requests] == [1, 1, 2]

    async def test_that_was_closed_is_not_retried_for_a_post(self, make: Make, server: HostileServer) -> None:
        server.routes["/"] = in_turn(says(answer()), says_and_closes(b""), says(answer()))
        async with make() as fetcher:
            await fetcher.fetch(Request(server.url("/")))
            with pytest.raises(ConnectError):
                await fetcher.fetch(Request(server.url("/"), method="POST"))
        assert len(server.requests) == 2

    async def test_that_breaks_within_the_answer_is_not_retried(
        self, make: Make, server: HostileServer
    ) -> None:
        server.routes["/"] = in_turn(
            says(answer()), says_and_closes(b"HTTP/1.1 200 OK\r\nX-"), says(answer())
        )
        async with make() as fetcher:
            await fetcher.fetch(Request(server.url("/")))
            with pytest.raises(ConnectError):
                await fetcher.fetch(Request(server.url("/")))
        assert len(server.requests) == 2

    async def test_race_is_lost_by_every_stale_one_and_won_by_a_new_one(
        self, make: Make, server: HostileServer
    ) -> None:
        server.routes["/warm"] = in_pieces(b"", answer())
        first_of_its_connection: set[int] = set()

        async def only_new(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: str) -> None:
            number = server.requests[-1].connection
            if any(r.connection == number for r in server.requests[:-1]):
                reset(writer)
                return
            first_of_its_connection.add(number)
            writer.write(answer(b"new"))

        server.routes["/"] = only_new
        async with make() as fetcher:
            await asyncio.gather(*(fetcher.fetch(Request(server.url("/warm"))) for _ in range(4)))
            response = await fetcher.fetch(Request(server.url("/")))
        assert response.body == b"new"
        assert first_of_its_connection == {5}

    async def test_with_an_answer_that_nobody_asked_for_is_dropped(
        self, make: Make, server: HostileServer
    ) -> None:
        server.routes["/"] = in_pieces(answer(b"first"), answer(b"poison"))
        server.routes["/next"] = says(answer(b"next"))
        async with make() as fetcher:
            assert (await fetcher.fetch(Request(server.url("/")))).body == b"first"
            await asyncio.sleep(0.2)
            assert (await fetcher.fetch(Request(server.url("/next")))).body == b"next"
        assert server.connections == 2

    async def test_with_bytes_left_over_is_not_held_against_the_next_page(
        self, make: Make, server: HostileServer
    ) -> None:
        server.routes["/"] = in_turn(
            says(answer(b"first")), says(b"left over from before\r\n"), says(answer(b"next"))
        )
        async with make() as fetcher:
            await fetcher.fetch(Request(server.url("/")))
            assert (await fetcher.fetch(Request(server.url("/")))).body == b"next"

    async def test_closed_while_idle_says_nothing(
        self, make: Make, server: HostileServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        server.routes["/"] = says_and_resets(answer(b"x"))
        async with make() as fetcher:
            await fetcher.fetch(Request(server.url("/")))
            await asyncio.sleep(0.2)
            assert (await fetcher.fetch(Request(server.url("/")))).body == b"x"
        assert not caplog.records


def _reads(body_bytes: int, data: bytes) -> Handler:
    """Take a request's body and write."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: str) -> None:
        await reader.readexactly(body_bytes)
        writer.write(data)

    return handler


class Rebound(AddressGuard):
    """A guard to which a name looks public when it is resolved, and private once it is connected to."""

    __slots__ = ("_seen",)

    def check(self, host: str, address: str) -> None:
        if hasattr(self, "_seen"):
            AddressGuard().check(host, address)
        object.__setattr__(self, "_seen", True)


class TestTheGuard:
    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "localhost", "pinned.test", "0x7f.0.0.1", "[::ffff:7f00:1]"]
    )
    async def test_keeps_a_request_from_a_private_address(
        self, make: Make, server: HostileServer, host: str
    ) -> None:
        async with make(guard=AddressGuard(), resolve={"pinned.test": "127.0.0.1"}) as fetcher:
            with pytest.raises(AddressRefused):
                await fetcher.fetch(Request(server.url("/", host=host)))
        assert server.connections == 0

    async def test_lets_the_host_through_that_a_seed_named(self, make: Make, server: HostileServer) -> None:
        server.routes["/"] = says(answer(b"inside"))
        guard = AddressGuard(allowed_hosts=frozenset({"seed.test"}))
        pinned = {"seed.test": "127.0.0.1", "other.test": "127.0.0.1"}
        async with make(guard=guard, resolve=pinned) as fetcher:
            response = await fetcher.fetch(Request(server.url("/", host="seed.test")))
            assert response.body == b"inside"
            with pytest.raises(AddressRefused, match=r"other\.test"):
                await fetcher.fetch(Request(server.url("/", host="other.test")))
        assert server.requests[0].fields["host"] == f"seed.test:{server.port}"
        assert server.connections == 1

    async def test_looks_at_the_peer_before_a_byte_is_sent(self, make: Make, server: HostileServer) -> None:
        server.routes[ANY] = says(answer())
        async with make(guard=Rebound(), resolve={"rebound.test": "127.0.0.1"}) as fetcher:
            with pytest.raises(AddressRefused, match=r"rebound\.test"):
                await fetcher.fetch(Request(server.url("/", host="rebound.test")))
        assert server.requests == []

    async def test_leaves_the_good_addresses_of_a_name(self) -> None:
        async def lookup(_: str) -> Sequence[str]:
            return ["10.0.0.1", "1.1.1.1", "2606:4700::1111", "::1"]

        resolver = GuardedResolver(lookup, AddressGuard())
        found = await resolver.resolve("mixed.test", 80)
        assert [result["host"] for result in found] == ["1.1.1.1", "2606:4700::1111"]
        await resolver.close()


class TestCookies:
    async def test_come_back_to_who_set_them(self, make: Make, server: HostileServer) -> None:
        server.routes["/"] = says(
            answer(headers={"Set-Cookie": "a=1; Path=/\r\nSet-Cookie: b=2; Path=/deep"})
        )
        server.routes["/deep"] = says(answer())
        jar = CookieJar()
        async with make(cookies=jar) as fetcher:
            await fetcher.fetch(Request(server.url("/")))
            await fetcher.fetch(Request(server.url("/deep")))
            await fetcher.fetch(Request(server.url("/deep"), headers={"cookie": "own=1"}))
        assert [r.fields.get("cookie") for r in server.requests] == [None, "b=2; a=1", "own=1"]
        assert len(jar) == 2

    async def test_are_not_kept_without_a_jar(self, make: Make, server: HostileServer) -> None:
        server.routes["/"] = says(answer(headers={"Set-Cookie": "a=1"}))
        async with make() as fetcher:
            for _ in range(2):
                await fetcher.fetch(Request(server.url("/")))
        assert "cookie" not in server.requests[1].fields


@pytest.fixture
async def tls_server(tmp_path: Path) -> AsyncIterator[HostileServer]:
    """A server whose certificate nobody signed."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=localhost",
    ]
    await asyncio.to_thread(
        subprocess.run, [*command, "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with hostile_server({"/": says(answer())}, tls=context) as running:
        yield running


class TestTls:
    async def test_with_a_certificate_of_its_own_making_is_refused(
        self, make: Make, tls_server: HostileServer
    ) -> None:
        async with make() as fetcher:
            with pytest.raises(TlsError, match="certificate"):
                await fetcher.fetch(Request(tls_server.url("/")))
        assert tls_server.requests == []

    async def test_with_who_speaks_none_is_refused(self, make: Make) -> None:
        async with on_connect(says(b"220 mail.example ready\r\n")) as port, make() as fetcher:
            with pytest.raises(TlsError, match="handshake"):
                await fetcher.fetch(Request(f"https://127.0.0.1:{port}/"))

    async def test_broken_off_by_the_server_is_a_connect_error(self, make: Make) -> None:
        async with on_connect(says_and_closes(b"")) as port, make() as fetcher:
            with pytest.raises(ConnectError):
                await fetcher.fetch(Request(f"https://127.0.0.1:{port}/"))


class TestAProxy:
    async def test_gets_the_whole_url_and_is_the_one_connected_to(
        self, make: Make, server: HostileServer
    ) -> None:
        server.routes[ANY] = says(answer(b"by proxy"))
        # The proxy is on loopback: who configures it names it.
        async with make(guard=AddressGuard(), proxy=server.url("")) as fetcher:
            response = await fetcher.fetch(Request("http://never-looked-up.invalid/a%2Fb?"))
        assert response.body == b"by proxy"
        assert response.address == "127.0.0.1"
        assert server.requests[0].line == "GET http://never-looked-up.invalid/a%2Fb? HTTP/1.1"

    async def test_is_not_asked_for_an_address_that_the_guard_refuses(
        self, make: Make, server: HostileServer
    ) -> None:
        async with make(guard=AddressGuard(), proxy=server.url("")) as fetcher:
            with pytest.raises(AddressRefused):
                await fetcher.fetch(Request("http://169.254.169.254/latest/"))
        assert server.connections == 0

    async def test_that_refuses_a_tunnel_is_a_connect_error(self, make: Make, server: HostileServer) -> None:
        server.routes[ANY] = says(answer(status="403 No"))
        async with make(proxy=server.url("")) as fetcher:
            with pytest.raises(ConnectError, match="403"):
                await fetcher.fetch(Request("https://never-looked-up.invalid/"))
        assert server.requests[0].line == "CONNECT never-looked-up.invalid:443 HTTP/1.1"

    async def test_that_is_down_is_a_connect_error(self, make: Make) -> None:
        async with make(proxy="http://127.0.0.1:1") as fetcher:
            with pytest.raises(ConnectError, match="proxy"):
                await fetcher.fetch(Request("http://never-looked-up.invalid/"))

    @pytest.mark.parametrize("proxy", ["socks5://h:1", "h:1", "http://", "http://h:x"])
    async def test_that_is_none_is_refused_at_once(self, make: Make, proxy: str) -> None:
        with pytest.raises(ConfigError, match="proxy"):
            async with make(proxy=proxy):
                pass


class TestAFetcher:
    async def test_can_be_closed_twice_and_used_again(self, make: Make, server: HostileServer) -> None:
        server.routes["/"] = says(answer(b"ok"))
        async with make() as fetcher:
            await fetcher.aclose()
            for _ in range(2):
                assert (await fetcher.fetch(Request(server.url("/")))).body == b"ok"
                await fetcher.aclose()
                await fetcher.aclose()
        assert server.connections == 2

    @pytest.mark.parametrize("name", FETCHERS)
    @pytest.mark.parametrize("closes", [True, False])
    # Without aclose the loop ended with connections open, which asyncio reports.
    @pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_opens_again_on_a_second_event_loop(self, name: str, closes: bool) -> None:
        fetching = Fetching(
            Http(),
            concurrency=4,
            per_host=2,
            page_bytes=CAP,
            guard=AddressGuard(allow_private=True),
            clock=SystemClock(),
        )
        fetcher = FETCHERS[name](fetching)

        async def invocation(last: bool) -> bytes:
            async with hostile_server({"/": says(answer(b"warm"))}) as server:
                response = await fetcher.fetch(Request(server.url("/")))
                if closes or last:
                    await fetcher.aclose()
                return response.body

        assert [asyncio.run(invocation(last)) for last in (False, False, True)] == [b"warm"] * 3

    async def test_gives_the_connections_of_a_living_loop_back_to_it(self, make: Make) -> None:
        other = asyncio.new_event_loop()
        thread = asyncio.create_task(asyncio.to_thread(other.run_forever))
        async with hostile_server({"/": says(answer(b"ok"))}) as server, make() as fetcher:
            there = asyncio.run_coroutine_threadsafe(fetcher.fetch(Request(server.url("/"))), other)
            assert (await asyncio.wrap_future(there)).body == b"ok"
            assert (await fetcher.fetch(Request(server.url("/")))).body == b"ok"
            await asyncio.wait_for(server.closed_by_peer.wait(), 5)
        other.call_soon_threadsafe(other.stop)
        await thread
        other.close()

    async def test_that_is_cancelled_hangs_up(self, make: Make, server: HostileServer) -> None:
        server.routes["/"] = in_pieces(CHUNKED + b"\r\n5\r\nhello\r\n", apart_s=0.0)
        async with make() as fetcher:
            fetch = asyncio.create_task(fetcher.fetch(Request(server.url("/"))))
            await asyncio.sleep(0.2)
            fetch.cancel()
            with pytest.raises(asyncio.CancelledError):
                await fetch
            await asyncio.wait_for(server.closed_by_peer.wait(), 5)

    async def test_reports_a_refusal_for_each_of_many_waiting(self, make: Make) -> None:
        async with make(guard=AddressGuard()) as fetcher:
            fetches = [fetcher.fetch(Request("http://localhost:1/")) for _ in range(20)]
            results = await asyncio.gather(*fetches, return_exceptions=True)
        assert {type(result) for result in results} == {AddressRefused}

    async def test_with_an_odd_method_is_refused(self, make: Make, server: HostileServer) -> None:
        async with make() as fetcher:
            with pytest.raises(ProtocolError):
                await fetcher.fetch(Request(server.url("/"), method="GET / HTTP/1.1\r\nX:"))
