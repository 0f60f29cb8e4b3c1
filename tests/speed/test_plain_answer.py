"""The head of a plain answer: read in one go, or left to the full parser."""

from __future__ import annotations

import random

import httptools
import pytest

speed = pytest.importorskip("airless._speed", reason="needs a C compiler at install")
PLAIN = b"HTTP/1.1 200 OK\r\nServer: x/1 \r\nContent-Length: 12\r\nConnection: keep-alive\r\nX:\r\n\r\n"


def test_status_fields_and_lengths_are_read() -> None:
    fields = b"\nServer\nx/1\nContent-Length\n12\nConnection\nkeep-alive\nX\n"
    assert speed.plain_answer(PLAIN, len(PLAIN)) == (200, fields, 12, b"", False)
    assert speed.plain_answer(memoryview(PLAIN + b"body and more"), len(PLAIN) + 4)[3] == b"body"


def test_a_coding_is_told() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nCONTENT-ENCODING: gzip\r\n\r\n"
    assert speed.plain_answer(head, len(head))[2:] == (1, b"", True)


def test_a_head_that_is_not_whole_is_left() -> None:
    for size in range(len(PLAIN)):
        assert speed.plain_answer(PLAIN[:size], size) is None
        assert speed.plain_answer(PLAIN, size) is None
    assert speed.plain_answer(PLAIN, len(PLAIN) + 1) is None
    assert speed.plain_answer(PLAIN, -1) is None


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
    assert speed.plain_answer(head + b"x", len(head) + 1) is None


def test_what_is_taken_for_plain_reads_the_same_to_the_full_parser() -> None:
    r = random.Random(3)
    alphabet = [bytes([c]) for c in range(256)] + [b"\r\n", b": ", b"content-length: 3\r\n", b"\r\n\r\n"]
    taken = 0
    for _ in range(20_000):
        head = bytearray(PLAIN)
        for _ in range(r.randrange(3)):
            at = r.randrange(len(head))
            head[at : at + r.randrange(3)] = r.choice(alphabet)
        found = speed.plain_answer(bytes(head), len(head))
        if found is None:
            continue
        taken += 1
        status, fields, length, begun, _ = found
        size = len(head) - len(begun)
        if size + length > len(head):
            head += b"y" * (size + length - len(head))
        told = _Told()
        parser = told.parser = httptools.HttpResponseParser(told)
        parser.feed_data(bytes(head[: size + length]))
        assert told.complete
        assert told.keeps_alive
        assert (parser.get_status_code(), told.body) == (status, bytes(head[size : size + length]))
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
