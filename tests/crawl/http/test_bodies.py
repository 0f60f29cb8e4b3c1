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
from airless.crawl.http.gzip_header import MAGIC
from airless.crawl.http.inflating import Inflater, inflaters

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


@pytest.fixture(params=inflaters(), ids=lambda inflater: inflater.name)
def inflater(request: pytest.FixtureRequest) -> Inflater:
    """Each that is installed: they have to be the same."""
    found: Inflater = request.param
    return found


def decoded(
    inflater: Inflater, coded: tuple[str, ...], wire: bytes, *, step: int = 0, limit: int = LIMIT
) -> bytes:
    body = Body("GET http://a.test/", coded, limit, inflater)
    step = step or len(wire) or 1
    for start in range(0, len(wire), step):
        body.feed(wire[start : start + step])
    assert body.wire_bytes == len(wire)
    return body.finish()


@pytest.mark.parametrize("coding", CODERS)
@pytest.mark.parametrize("step", [0, 1, 4096])
def test_each_coding_comes_out_as_it_went_in(inflater: Inflater, coding: str, step: int) -> None:
    data = PAGE[:20_000] if step == 1 else PAGE
    assert decoded(inflater, (coding,), CODERS[coding](data), step=step) == data


@pytest.mark.parametrize("coding", CODERS)
def test_an_empty_page_and_no_bytes_at_all_are_both_empty(inflater: Inflater, coding: str) -> None:
    assert decoded(inflater, (coding,), CODERS[coding](b"")) == b""
    assert decoded(inflater, (coding,), b"") == b""


@pytest.mark.parametrize("coding", CODERS)
@pytest.mark.parametrize("cut", [1, 5, 500])
def test_a_stream_without_its_end_is_truncated(inflater: Inflater, coding: str, cut: int) -> None:
    wire = CODERS[coding](random.Random(1).randbytes(5000))
    with pytest.raises(TruncatedBody, match=r"http://a\.test/"):
        decoded(inflater, (coding,), wire[:-cut])
    with pytest.raises(TruncatedBody):
        decoded(inflater, (coding,), wire[:1])


@pytest.mark.parametrize("coding", CODERS)
def test_bytes_of_another_kind_are_a_protocol_error(inflater: Inflater, coding: str) -> None:
    with pytest.raises(ProtocolError, match=coding):
        decoded(inflater, (coding,), b"\xff\xfe<html>this is plain text</html>" * 10)


def test_deflate_without_the_zlib_wrapper_is_read_too(inflater: Inflater) -> None:
    assert decoded(inflater, ("deflate",), bare_deflate(PAGE), step=1000) == PAGE
    assert decoded(inflater, ("deflate",), bare_deflate(b"hi"), step=1) == b"hi"


@pytest.mark.parametrize("step", [0, 1, 7])
def test_gzip_members_follow_each_other_and_what_is_none_is_ignored(inflater: Inflater, step: int) -> None:
    wire = gzip.compress(b"one ") + gzip.compress(b"two")
    assert decoded(inflater, ("gzip",), wire, step=step) == b"one two"
    assert decoded(inflater, ("gzip",), wire + b"\0\0\0trailing", step=step) == b"one two"
    assert decoded(inflater, ("gzip",), wire + b"\x1f", step=step) == b"one two"
    with pytest.raises(TruncatedBody):
        decoded(inflater, ("gzip",), wire + gzip.compress(b"three")[:-2], step=step)


@pytest.mark.parametrize("step", [0, 1, 7])
def test_zstd_frames_follow_each_other(inflater: Inflater, step: int) -> None:
    wire = zstd.compress(b"one ") + zstd.compress(b"two")
    assert decoded(inflater, ("zstd",), wire, step=step) == b"one two"
    with pytest.raises(TruncatedBody):
        decoded(inflater, ("zstd",), wire + zstd.compress(b"three")[:-2], step=step)


def test_what_follows_the_end_of_deflate_is_ignored(inflater: Inflater) -> None:
    assert decoded(inflater, ("deflate",), zlib.compress(b"page") + b"\n\n", step=5) == b"page"


def test_codings_are_undone_in_the_reverse_of_their_order(inflater: Inflater) -> None:
    wire = CODERS["br"](CODERS["zstd"](gzip.compress(PAGE)))
    assert decoded(inflater, ("gzip", "zstd", "br"), wire, step=1000) == PAGE


def test_a_truncated_inner_coding_is_noticed(inflater: Inflater) -> None:
    with pytest.raises(TruncatedBody, match="gzip"):
        decoded(inflater, ("gzip", "br"), CODERS["br"](gzip.compress(PAGE)[:-4]))


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


def test_a_body_of_exactly_the_cap_passes_and_one_byte_more_does_not(inflater: Inflater) -> None:
    for coding, encode in CODERS.items():
        assert len(decoded(inflater, (coding,), encode(b"a" * 100_000), limit=100_000)) == 100_000
        with pytest.raises(BodyTooLarge):
            decoded(inflater, (coding,), encode(b"a" * 100_001), limit=100_000)
    assert decoded(inflater, (), b"a" * 10, limit=10) == b"a" * 10
    with pytest.raises(BodyTooLarge):
        decoded(inflater, (), b"a" * 11, limit=10)


def zeros(encode: Callable[[bytes], bytes], total: int) -> bytes:
    return encode(bytes(total))


@pytest.mark.parametrize("coding", CODERS)
def test_a_bomb_stops_at_the_cap_and_not_in_memory(inflater: Inflater, coding: str) -> None:
    wire = zeros(CODERS[coding], 64 * 1024 * 1024)
    body = Body("GET http://a.test/", (coding,), LIMIT, inflater)
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


def test_a_body_that_decodes_to_nothing_for_ever_stops_at_the_wire(inflater: Inflater) -> None:
    body = Body("GET http://a.test/", ("gzip",), 100_000, inflater)
    with pytest.raises(BodyTooLarge):
        deque(map(body.feed, empty_blocks()), maxlen=0)
    assert body.wire_bytes < wire_limit(100_000) + 60_000


def test_an_inner_bomb_that_decodes_to_nothing_stops_too(inflater: Inflater) -> None:
    member = gzip.compress(b"")
    wire = gzip.compress(member * 500_000)
    assert len(wire) < 100_000
    with pytest.raises(BodyTooLarge):
        decoded(inflater, ("gzip", "gzip"), wire, limit=100_000)


def test_a_zstd_window_over_eight_megabytes_is_refused(inflater: Inflater) -> None:
    # RFC 9659: decoders on the web need not take more.
    wire = zstd.compress(bytes(1024), options={zstd.CompressionParameter.window_log: 24})
    frame = bytearray(b"\x28\xb5\x2f\xfd\x00" + bytes([(24 - 10) << 3]) + wire[6:])
    with pytest.raises(ProtocolError, match="zstd"):
        decoded(inflater, ("zstd",), bytes(frame))


def test_an_announced_length_over_the_cap_is_refused_before_a_byte() -> None:
    Body("GET http://a.test/", (), 100).expect(100)
    with pytest.raises(BodyTooLarge, match="101 bytes"):
        Body("GET http://a.test/", (), 100).expect(101)
    Body("GET http://a.test/", ("gzip",), 100).expect(101)
    with pytest.raises(BodyTooLarge):
        Body("GET http://a.test/", ("gzip",), 100).expect(wire_limit(100) + 1)


def test_the_standard_library_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "isal", None)
    assert [inflater.name for inflater in inflaters()] == ["zlib"]


def test_the_faster_library_is_taken_where_it_is_installed() -> None:
    pytest.importorskip("isal")
    assert [inflater.name for inflater in inflaters()] == ["isal", "zlib"]


@pytest.mark.parametrize("step", [0, 1, 100])
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_checksum_that_is_wrong_never_makes_a_page(inflater: Inflater, coding: str, step: int) -> None:
    wire = bytearray(CODERS[coding](PAGE[:1000]))
    # The checksum stands before the length in gzip (RFC 1952 §2.3), and last in zlib (RFC 1950 §2.2).
    wire[-8 if coding == "gzip" else -4] ^= 1
    with pytest.raises(ProtocolError, match=coding):
        decoded(inflater, (coding,), bytes(wire), step=step)


def with_fields(name: bytes = b"name") -> bytes:
    """A member with all that a header can have (RFC 1952 §2.3.1): an extra field, a name, a comment, a check."""
    header = MAGIC + b"\x08\x1e" + bytes(5) + b"\xff" + b"\x06\0AB\2\0\0\0" + name + b"\0comment\0"
    header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little")
    return header + bare_deflate(b"page") + zlib.crc32(b"page").to_bytes(4, "little") + b"\4\0\0\0"


@pytest.mark.parametrize("step", [0, 1, 3, 11, 20])
def test_every_field_that_a_gzip_header_can_have_is_read_over(inflater: Inflater, step: int) -> None:
    assert decoded(inflater, ("gzip",), with_fields() * 2, step=step) == b"pagepage"
    for cut in range(1, len(with_fields())):
        with pytest.raises(TruncatedBody):
            decoded(inflater, ("gzip",), with_fields()[:cut], step=step)


def test_a_gzip_header_that_does_not_end_is_refused(inflater: Inflater) -> None:
    assert decoded(inflater, ("gzip",), with_fields(b"n" * 65_000), step=1000) == b"page"
    with pytest.raises(ProtocolError, match="header of more than"):
        decoded(inflater, ("gzip",), with_fields(b"n" * 150_000), step=1000)


@pytest.mark.parametrize("flag", [0x20, 0x40, 0x80])
def test_a_gzip_header_with_flags_of_another_time_is_refused(inflater: Inflater, flag: int) -> None:
    # RFC 1952 §2.3.1.2: they may say that a field follows which is unknown here.
    wire = bytearray(gzip.compress(b"page"))
    wire[3] |= flag
    with pytest.raises(ProtocolError, match="gzip"):
        decoded(inflater, ("gzip",), bytes(wire))


def test_whatever_is_decoded_is_the_same_by_each_library() -> None:
    chance = random.Random(1952)
    for _ in range(300):
        data = PAGE[: chance.choice([0, 1, 100, 70_000])] + chance.randbytes(chance.choice([0, 1, 3000]))
        coding = chance.choice(["gzip", "deflate"])
        wire = CODERS[coding](data)
        cut = chance.randrange(len(wire)) if chance.random() < 0.3 else len(wire)
        more = chance.randbytes(chance.randrange(9))
        pieces = wire[:cut] if cut < len(wire) else wire + more
        step = chance.choice([0, 5, 1000, 65_536]) if len(pieces) < 20_000 else 10_000
        results = set()
        for inflater in inflaters():
            try:
                results.add(decoded(inflater, (coding,), pieces, step=step))
            except TruncatedBody as error:
                results.add(str(error).encode())
        assert len(results) == 1
