"""The reading end of a connection: plain answers taken in one go, others left to whoever parses."""

from __future__ import annotations

import errno
import gc
import random
import socket
import struct
import sys
import weakref
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import httptools
import pytest

from airless.crawl.errors import FetchError
from airless.crawl.http.fast.line import PureLine
from airless.crawl.request import Request

speed = pytest.importorskip("airless._speed", reason="needs a C compiler at install")
PLAIN = b"HTTP/1.1 200 OK\r\nServer: x/1 \r\nContent-Length: 12\r\nConnection: keep-alive\r\nX:\r\n\r\n"
FIELDS = b"\nServer\nx/1\nContent-Length\n12\nConnection\nkeep-alive\nX\n"
ROOM = 32 * 1024
PAGE = Request("http://a.test/")


class Outgoing(list[Any]):
    """An outbox that counts how often it was due."""

    dues = 0

    def due(self) -> None:
        self.dues += 1


if TYPE_CHECKING:
    Base = PureLine
else:
    Base = object


class Recorded(Base):
    """What a line asks of the class that extends it."""

    def __init__(self, buffer: memoryview, descriptor: int = -1) -> None:
        self.outbox = Outgoing()
        super().__init__(buffer, descriptor, self.outbox)
        self.pieces: list[bytes] = []
        self.aborted = 0
        self.heard: list[FetchError | None] = []
        self.written: list[bytes] = []
        self.ends: list[int] = []

    def parse(self, nbytes: int) -> None:
        self.pieces.append(bytes(self.get_buffer(-1)[:nbytes]))

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def hung_up(self, code: int) -> None:
        self.ends.append(code)

    def abort(self) -> None:
        self.aborted += 1

    def reads(self, data: bytes) -> None:
        self.get_buffer(-1)[: len(data)] = data
        self.buffer_updated(len(data))

    def asked(self, limit_bytes: int = 1_000, *, plain: bool = True) -> None:
        self.asks(self.hear, limit_bytes, plain)

    def asks(self, told: Any, limit_bytes: int = 1_000, plain: bool = True, head: bytes = b"GET") -> None:
        self.ask(head, PAGE, limit_bytes, plain, told)

    def hear(self, line: Recorded, error: FetchError | None) -> None:
        assert line is self
        self.heard.append(error)


class Pure(Recorded, PureLine):
    pass


class Compiled(Recorded, speed.Line):  # type: ignore[misc, name-defined]
    pass


def compiled() -> Compiled:
    return Compiled(memoryview(bytearray(ROOM)))


@pytest.fixture(params=[Pure, Compiled])
def line(request: pytest.FixtureRequest) -> Recorded:
    made: Recorded = request.param(memoryview(bytearray(ROOM)))
    return made


class TestEitherLine:
    def test_is_ready_until_something_is_asked(self, line: Recorded) -> None:
        assert (line.ready, line.reused, line.told) == (True, False, None)
        line.asked()
        assert (line.ready, line.plain) == (False, False)

    def test_hangs_up_on_bytes_that_nobody_waits_for(self, line: Recorded) -> None:
        line.reads(PLAIN)
        line.asked()
        line.told = None
        line.reads(PLAIN)
        assert (line.aborted, line.pieces, line.heard) == (2, [], [])

    def test_leaves_to_the_parser_what_is_not_plain(self, line: Recorded) -> None:
        line.asked()
        line.reads(b"HTTP/1.0 200 OK\r\n")
        line.reads(PLAIN)
        assert line.pieces == [b"HTTP/1.0 200 OK\r\n", PLAIN]
        assert line.take() is None
        line.asked(plain=False)
        line.reads(PLAIN)
        assert line.pieces[2:] == [PLAIN]

    def test_sends_what_somebody_waits_for(self, line: Recorded) -> None:
        line.send()
        line.asks(line.hear, head=b"request")
        line.send()
        line.send()
        line.asks(line.hear, head=b"another")
        line.told = None
        line.send()
        assert line.written == [b"request"]

    def test_is_put_into_its_outbox_which_is_due_once(self, line: Recorded) -> None:
        line.asks(line.hear)
        line.asks(line.hear)
        assert (line.outbox, line.outbox.dues) == ([line, line], 1)

    def test_knows_what_was_asked(self, line: Recorded) -> None:
        line.asks(line.hear, 12)
        assert (line.request, line.limit_bytes, line.parsed) == (PAGE, 12, False)


@pytest.fixture(params=[Pure, Compiled])
def wired(request: pytest.FixtureRequest) -> Iterator[tuple[Recorded, socket.socket]]:
    """A line, and the server's end of its socket."""
    listener = socket.create_server(("127.0.0.1", 0))
    near = socket.create_connection(listener.getsockname())
    far, _ = listener.accept()
    near.setblocking(False)
    with listener, near, far:
        yield request.param(memoryview(bytearray(ROOM)), near.fileno()), far


@pytest.mark.skipif(sys.platform == "win32", reason="there the transport reads")
class TestReading:
    def test_takes_what_is_there_and_no_more(self, wired: tuple[Recorded, socket.socket]) -> None:
        line, far = wired
        line.asked(plain=False)
        line.readable()
        assert line.pieces == []
        far.sendall(b"HTTP/1.1 ")
        line.readable()
        line.readable()
        assert line.pieces == [b"HTTP/1.1 "]

    def test_tells_of_the_end(self, wired: tuple[Recorded, socket.socket]) -> None:
        line, far = wired
        far.close()
        line.readable()
        assert line.ends == [0]

    def test_tells_of_a_reset(self, wired: tuple[Recorded, socket.socket]) -> None:
        line, far = wired
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.close()
        line.readable()
        assert line.ends == [errno.ECONNRESET]

    @pytest.mark.parametrize("wired", [Compiled], indirect=True)
    @pytest.mark.parametrize("stray", [b"", b"H"])
    def test_of_a_long_body_fills_it(self, wired: tuple[Recorded, socket.socket], stray: bytes) -> None:
        line, far = wired
        body = random.Random(1).randbytes(5 * ROOM)
        line.asked(len(body))
        far.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        line.readable()
        rest = body + stray
        while rest:
            far.sendall(rest[:50_000])
            rest = rest[50_000:]
            for _ in range(3):
                if not line.heard:
                    line.readable()
        answer = line.take()
        assert answer is not None
        assert answer[2] == body
        assert line.ready == (not stray)


class TestSending:
    def test_goes_to_the_socket_and_the_rest_to_the_transport(self) -> None:
        near, far = socket.socketpair()
        with near, far:
            near.setblocking(False)
            line = Compiled(memoryview(bytearray(ROOM)), near.fileno())
            line.asks(line.hear, head=b"request")
            line.send()
            assert (far.recv(100), line.written) == (b"request", [])
            data = bytes(10_000_000)
            line.asks(line.hear, head=data)
            line.send()
            assert 0 < len(line.written[0]) < len(data)

    def test_leaves_a_broken_socket_to_the_transport(self) -> None:
        near, far = socket.socketpair()
        with near:
            far.close()
            line = Compiled(memoryview(bytearray(ROOM)), near.fileno())
            line.asks(line.hear, head=b"request")
            line.send()
            assert line.written == [b"request"]


class TestAPlainAnswer:
    @pytest.mark.parametrize("cuts", [(), (0,), (5,), (11,), (3, 4, 9)])
    def test_is_taken_in_any_number_of_reads(self, cuts: tuple[int, ...]) -> None:
        body, line = b"twelve bytes", compiled()
        for _ in range(2):
            line.asked()
            line.reads(PLAIN + body[: (*cuts, len(body))[0]])
            for start, end in pairwise((*cuts, len(body)) if cuts else ()):
                assert (line.heard, line.take()) == ([], None)
                line.reads(body[start:end])
            assert line.heard == [None]
            line.heard.clear()
            assert (line.ready, line.reused, line.plain, line.told) == (True, True, True, None)
            assert line.take() == (200, FIELDS, body, False)
            assert line.take() is None
        assert line.pieces == []

    def test_tells_of_a_coding(self) -> None:
        line = compiled()
        line.asked()
        line.reads(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nCONTENT-ENCODING: gzip\r\n\r\nx")
        assert line.take()[2:] == (b"x", True)

    def test_without_a_body_is_complete_with_its_head(self) -> None:
        line = compiled()
        line.asked()
        line.reads(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        assert line.take() == (404, b"\nContent-Length\n0", b"", False)

    def test_is_the_parsers_where_it_is_over_the_limit(self) -> None:
        line = compiled()
        for limit, taken in ((11, False), (12, True)):
            line.asked(limit)
            line.reads(PLAIN)
            assert line.plain == taken

    def test_with_bytes_after_it_leaves_a_line_that_is_not_ready(self) -> None:
        line = compiled()
        line.asked()
        line.reads(PLAIN + b"twelve bytesHTTP/1.1")
        assert line.take()[2] == b"twelve bytes"
        assert not line.ready

    def test_may_be_followed_by_a_request_from_within_the_call(self) -> None:
        line = compiled()
        taken = []

        def told(_: Recorded, __: FetchError | None) -> None:
            taken.append(line.take())
            line.asked()

        line.asks(told)
        line.reads(PLAIN + b"twelve bytes")
        line.reads(PLAIN + b"twelve more ")
        assert [answer[2] for answer in (*taken, line.take())] == [b"twelve bytes", b"twelve more "]

    def test_passes_on_what_is_raised_by_whoever_is_told(self) -> None:
        line = compiled()
        line.asks(lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            line.reads(PLAIN + b"twelve bytes")
        assert line.take()[2] == b"twelve bytes"


def test_a_line_is_told_of_no_more_than_its_buffer_holds() -> None:
    line = compiled()
    line.asked()
    for size in (-1, ROOM + 1):
        with pytest.raises(ValueError, match="buffer"):
            line.buffer_updated(size)
    with pytest.raises(TypeError):
        speed.Line.__init__(line, memoryview(bytearray(1)), -1, [])
    with pytest.raises(BufferError):
        speed.Line(memoryview(b"read-only"), -1, [])
    with pytest.raises(ValueError, match="buffer"):
        speed.Line.__new__(speed.Line).buffer_updated(0)


def test_a_line_that_waits_for_itself_is_collected() -> None:
    line = compiled()
    line.asks(line.hear)
    gone = weakref.ref(line)
    del line
    gc.collect()
    assert gone() is None


def test_a_head_that_is_not_whole_is_left() -> None:
    for size in range(len(PLAIN)):
        line = compiled()
        line.asked()
        line.reads(PLAIN[:size])
        assert line.pieces == [PLAIN[:size]]


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Encoding: gzip\r\nContent-Encoding: br\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 1\n\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1234567890123456\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX: \x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX: a\rb\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTrailer: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n%b\r\n" % (b"a: b\r\n" * 300),
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX: %b\r\n\r\n" % (b"v" * 20_000),
    ],
)
def test_what_is_not_plain_is_left(head: bytes) -> None:
    line = compiled()
    line.asked()
    line.reads(head + b"x")
    assert line.pieces == [head + b"x"]


def test_what_is_taken_for_plain_reads_the_same_to_the_full_parser() -> None:
    r = random.Random(3)
    alphabet = [bytes([c]) for c in range(256)] + [b"\r\n", b": ", b"content-length: 3\r\n", b"\r\n\r\n"]
    taken = 0
    line = compiled()
    for _ in range(20_000):
        head = bytearray(PLAIN)
        for _ in range(r.randrange(3)):
            at = r.randrange(len(head))
            head[at : at + r.randrange(3)] = r.choice(alphabet)
        line.pieces.clear()
        line.asked(10_000)
        line.reads(bytes(head))
        if line.pieces:
            continue
        taken += 1
        missing = 0
        while not line.heard:
            line.reads(b"y")
            missing += 1
        line.heard.clear()
        status, fields, body, _ = line.take()
        head += b"y" * missing
        length = len(body)
        size = bytes(head).index(b"\r\n\r\n") + 4
        told = _Told()
        parser = told.parser = httptools.HttpResponseParser(told)
        parser.feed_data(bytes(head[: size + length]))
        assert told.complete
        assert told.keeps_alive
        assert (parser.get_status_code(), told.body) == (status, body)
        raw = fields.split(b"\n")[1:]
        assert told.fields == list(zip(raw[::2], raw[1::2], strict=True))
    assert taken > 5_000


class _Told:
    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.complete = False
        self.keeps_alive = False
        self.parser: httptools.HttpResponseParser | None = None

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value.strip(b" \t")))

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_complete(self) -> None:
        self.complete = True
        assert self.parser is not None
        self.keeps_alive = self.parser.should_keep_alive()


class TestAnAnswerForAList:
    def test_has_the_line_put_into_it(self) -> None:
        first, second = (Compiled(memoryview(bytearray(ROOM))) for _ in range(2))
        told = Outgoing()
        for line in (first, second):
            line.asks(told)
            line.reads(PLAIN + b"twelve bytes")
            assert line.told is None
        assert (told, told.dues) == ([first, second], 1)
        assert first.take() == (200, FIELDS, b"twelve bytes", False)

    def test_raises_what_the_list_raises(self) -> None:
        line = Compiled(memoryview(bytearray(ROOM)))
        line.asks([])
        with pytest.raises(AttributeError, match="due"):
            line.reads(PLAIN + b"twelve bytes")
