"""Content codings, undone piece by piece, with a cap on what comes out."""

from __future__ import annotations

import gzip
import random
import sys
import tracemalloc
import zlib
from collections import deque
from collections.abc import Callable, Iterator

import brotli
import pytest

from airless.crawl.errors import BodyTooLarge, ProtocolError, TruncatedBody
from airless.crawl.headers import Headers
from airless.crawl.http.bodies import Body, codings, wire_limit

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LIMIT = 4 * 1024 * 1024
PAGE = b"".join(b"<p>%d</p>\n" % n for n in range(60_000))


def bare_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


CODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda data: bytes(brotli.compress(data, quality=4)),
    "zstd": zstd.compress,
}


def decoded(coded: tuple[str, ...], wire: bytes, *, step: int = 0, limit: int = LIMIT) -> bytes:
    body = Body("GET http://a.test/", coded, limit)
    step = step or len(wire) or 1
    for start in range(0, len(wire), step):
        body.feed(wire[start : start + step])
    assert body.wire_bytes == len(wire)
    return body.finish()


@pytest.mark.parametrize("coding", CODERS)
@pytest.mark.parametrize("step", [0, 1, 4096])
def test_each_coding_comes_out_as_it_went_in(coding: str, step: int) -> None:
    data = PAGE[:20_000] if step == 1 else PAGE
    assert decoded((coding,), CODERS[coding](data), step=step) == data


@pytest.mark.parametrize("coding", CODERS)
def test_an_empty_page_and_no_bytes_at_all_are_both_empty(coding: str) -> None:
    assert decoded((coding,), CODERS[coding](b"")) == b""
    assert decoded((coding,), b"") == b""


@pytest.mark.parametrize("coding", CODERS)
@pytest.mark.parametrize("cut", [1, 5, 500])
def test_a_stream_without_its_end_is_truncated(coding: str, cut: int) -> None:
    wire = CODERS[coding](random.Random(1).randbytes(5000))
    with pytest.raises(TruncatedBody, match=r"http://a\.test/"):
        decoded((coding,), wire[:-cut])
    with pytest.raises(TruncatedBody):
        decoded((coding,), wire[:1])


@pytest.mark.parametrize("coding", CODERS)
def test_bytes_of_another_kind_are_a_protocol_error(coding: str) -> None:
    with pytest.raises(ProtocolError, match=coding):
        decoded((coding,), b"\xff\xfe<html>this is plain text</html>" * 10)


def test_deflate_without_the_zlib_wrapper_is_read_too() -> None:
    assert decoded(("deflate",), bare_deflate(PAGE), step=1000) == PAGE
    assert decoded(("deflate",), bare_deflate(b"hi"), step=1) == b"hi"


@pytest.mark.parametrize("step", [0, 1, 7])
def test_gzip_members_follow_each_other_and_what_is_none_is_ignored(step: int) -> None:
    wire = gzip.compress(b"one ") + gzip.compress(b"two")
    assert decoded(("gzip",), wire, step=step) == b"one two"
    assert decoded(("gzip",), wire + b"\0\0\0trailing", step=step) == b"one two"
    assert decoded(("gzip",), wire + b"\x1f", step=step) == b"one two"
    with pytest.raises(TruncatedBody):
        decoded(("gzip",), wire + gzip.compress(b"three")[:-2], step=step)


@pytest.mark.parametrize("step", [0, 1, 7])
def test_zstd_frames_follow_each_other(step: int) -> None:
    wire = zstd.compress(b"one ") + zstd.compress(b"two")
    assert decoded(("zstd",), wire, step=step) == b"one two"
    with pytest.raises(TruncatedBody):
        decoded(("zstd",), wire + zstd.compress(b"three")[:-2], step=step)


def test_what_follows_the_end_of_deflate_is_ignored() -> None:
    assert decoded(("deflate",), zlib.compress(b"page") + b"\n\n", step=5) == b"page"


def test_codings_are_undone_in_the_reverse_of_their_order() -> None:
    wire = CODERS["br"](CODERS["zstd"](gzip.compress(PAGE)))
    assert decoded(("gzip", "zstd", "br"), wire, step=1000) == PAGE


def test_a_truncated_inner_coding_is_noticed() -> None:
    with pytest.raises(TruncatedBody, match="gzip"):
        decoded(("gzip", "br"), CODERS["br"](gzip.compress(PAGE)[:-4]))


def test_the_names_of_codings_are_read_from_all_fields() -> None:
    headers = Headers([("Content-Encoding", "GZip, identity"), ("content-encoding", " br ,")])
    assert codings(headers) == ("gzip", "br")
    assert codings(Headers()) == ()


@pytest.mark.parametrize("coded", [("compress",), ("gzip", "aes128gcm"), ("utf-8",)])
def test_an_unknown_coding_is_a_protocol_error(coded: tuple[str, ...]) -> None:
    with pytest.raises(ProtocolError, match="unknown"):
        Body("GET http://a.test/", coded, LIMIT)


def test_a_tower_of_codings_is_refused() -> None:
    with pytest.raises(ProtocolError, match="5 content codings"):
        Body("GET http://a.test/", ("gzip",) * 5, LIMIT)


def test_a_body_of_exactly_the_cap_passes_and_one_byte_more_does_not() -> None:
    for coding, encode in CODERS.items():
        assert len(decoded((coding,), encode(b"a" * 100_000), limit=100_000)) == 100_000
        with pytest.raises(BodyTooLarge):
            decoded((coding,), encode(b"a" * 100_001), limit=100_000)
    assert decoded((), b"a" * 10, limit=10) == b"a" * 10
    with pytest.raises(BodyTooLarge):
        decoded((), b"a" * 11, limit=10)


def zeros(encode: Callable[[bytes], bytes], total: int) -> bytes:
    return encode(bytes(total))


@pytest.mark.parametrize("coding", CODERS)
def test_a_bomb_stops_at_the_cap_and_not_in_memory(coding: str) -> None:
    wire = zeros(CODERS[coding], 64 * 1024 * 1024)
    body = Body("GET http://a.test/", (coding,), LIMIT)
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            body.feed(wire)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * LIMIT


def empty_blocks() -> Iterator[bytes]:
    """A gzip member that goes on for ever and holds nothing: empty stored blocks."""
    yield b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    while True:
        yield b"\x00\x00\x00\xff\xff" * 10_000


def test_a_body_that_decodes_to_nothing_for_ever_stops_at_the_wire() -> None:
    body = Body("GET http://a.test/", ("gzip",), 100_000)
    with pytest.raises(BodyTooLarge):
        deque(map(body.feed, empty_blocks()), maxlen=0)
    assert body.wire_bytes < wire_limit(100_000) + 60_000


def test_an_inner_bomb_that_decodes_to_nothing_stops_too() -> None:
    member = gzip.compress(b"")
    wire = gzip.compress(member * 500_000)
    assert len(wire) < 100_000
    with pytest.raises(BodyTooLarge):
        decoded(("gzip", "gzip"), wire, limit=100_000)


def test_a_zstd_window_over_eight_megabytes_is_refused() -> None:
    # RFC 9659: decoders on the web need not take more.
    wire = zstd.compress(bytes(1024), options={zstd.CompressionParameter.window_log: 24})
    frame = bytearray(b"\x28\xb5\x2f\xfd\x00" + bytes([(24 - 10) << 3]) + wire[6:])
    with pytest.raises(ProtocolError, match="zstd"):
        decoded(("zstd",), bytes(frame))


def test_an_announced_length_over_the_cap_is_refused_before_a_byte() -> None:
    Body("GET http://a.test/", (), 100).expect(100)
    with pytest.raises(BodyTooLarge, match="101 bytes"):
        Body("GET http://a.test/", (), 100).expect(101)
    Body("GET http://a.test/", ("gzip",), 100).expect(101)
    with pytest.raises(BodyTooLarge):
        Body("GET http://a.test/", ("gzip",), 100).expect(wire_limit(100) + 1)
