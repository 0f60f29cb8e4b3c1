"""Content codings undone while the body streams in, so that a bomb stops at the cap and not in memory.

Sources: RFC 9110 §8.4 (content codings), RFC 1952 (gzip), RFC 1950/1951 (deflate), RFC 7932 (br),
RFC 8878 and RFC 9659 (zstd, and its window of at most 8 MB on the web).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from airless.crawl.errors import BodyTooLarge, ProtocolError, TruncatedBody
from airless.crawl.headers import Headers
from airless.crawl.http.gzip_header import MAGIC, header_bytes
from airless.crawl.http.inflating import Inflater, NotDeflated, Stream, inflaters

ACCEPT_ENCODING = "gzip, deflate, br, zstd"

_PIECE_BYTES = 64 * 1024
_MAX_CODINGS = 4
_ZSTD_WINDOW_LOG = 23


class _Broken(Exception):
    """The coded bytes are not what the coding says."""


class _Decoder(Protocol):
    """One coding being undone. Pieces are at most about 64 KiB; `complete` says whether its end was seen."""

    def feed(self, data: bytes) -> Iterator[bytes]: ...

    @property
    def complete(self) -> bool: ...


class _Gzip:
    """Members one after the other; what follows the last and is no member is ignored, as browsers do."""

    def __init__(self, inflater: Inflater) -> None:
        self._inflater = inflater
        self._stream: Stream | None = None
        self._start = b""
        self._members = 0
        self._ended = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data and not self._ended:
            if self._stream is None:
                data = self._start + data
                if not self._begins(data):
                    self._start = b"" if self._ended else data
                    return
                self._start = b""
                self._stream = self._inflater.gzip(_PIECE_BYTES)
            yield from self._stream.feed(data)
            data = self._stream.rest
            if self._stream.ended:
                self._stream = None
                self._members += 1

    def _begins(self, data: bytes) -> bool:
        """Whether a member's header is there, whole: ISA-L loses its place in one that comes in pieces."""
        if len(data) < len(MAGIC):
            return False
        if not data.startswith(MAGIC):
            self._ended = self._members > 0
            return not self._ended
        try:
            return header_bytes(data) is not None
        except ValueError as error:
            raise _Broken(str(error)) from error

    @property
    def complete(self) -> bool:
        return self._stream is None and self._members > 0 and len(self._start) < len(MAGIC)


class _Deflate:
    """The zlib format, or the bare deflate that some servers send under the same name."""

    def __init__(self, inflater: Inflater) -> None:
        self._inflater = inflater
        self._stream: Stream | None = None
        self._start = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._stream is None:
            data = self._start + data
            if len(data) < 2:
                self._start = data
                return
            is_zlib = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            opened = self._inflater.zlib if is_zlib else self._inflater.bare
            self._stream = opened(_PIECE_BYTES)
        if not self._stream.ended:
            yield from self._stream.feed(data)

    @property
    def complete(self) -> bool:
        return self._stream is not None and self._stream.ended


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


# Brotli and zstd are imported when the first body comes that needs them: most crawls meet none.


class _Brotli:
    def __init__(self, _: Inflater) -> None:
        import brotli  # type: ignore[import-untyped]

        self._stream = brotli.Decompressor()
        self._error = brotli.error

    def feed(self, data: bytes) -> Iterator[bytes]:
        while True:
            try:
                piece = self._stream.process(data, output_buffer_limit=_PIECE_BYTES)
            except self._error as error:
                raise _Broken(str(error)) from error
            if piece:
                yield piece
            # It takes more data already while output is still inside.
            if self._stream.is_finished() or (not piece and self._stream.can_accept_more_data()):
                return
            data = b""

    @property
    def complete(self) -> bool:
        return bool(self._stream.is_finished())


class _Zstd:
    """Frames one after the other."""

    def __init__(self, _: Inflater) -> None:
        self._zstd = _zstd()
        self._stream = self._frame()

    def _frame(self) -> Any:
        window = self._zstd.DecompressionParameter.window_log_max
        return self._zstd.ZstdDecompressor(options={window: _ZSTD_WINDOW_LOG})

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data or not (self._stream.needs_input or self._stream.eof):
            if self._stream.eof:
                self._stream = self._frame()
            try:
                piece = self._stream.decompress(data, _PIECE_BYTES)
            except self._zstd.ZstdError as error:
                raise _Broken(str(error)) from error
            if piece:
                yield piece
            data = self._stream.unused_data if self._stream.eof else b""

    @property
    def complete(self) -> bool:
        return bool(self._stream.eof)


_FASTEST = inflaters()[0]
_DECODERS: dict[str, Callable[[Inflater], _Decoder]] = {
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstd,
}


def codings(headers: Headers) -> tuple[str, ...]:
    """The content codings in the order in which they were applied; `identity` is none."""
    names = (
        name.strip().lower() for value in headers.get_all("content-encoding") for name in value.split(",")
    )
    return tuple(name for name in names if name not in ("", "identity"))


def whole_gzip(data: bytes, limit_bytes: int) -> bytes | None:
    """The decoded body, where that is simple: all of it is here, as gzip and nothing around it.

    None where it isn't, or where something is wrong with it: then a `Body` is to be fed, which says what.
    """
    try:
        if header_bytes(data) is None:
            return None
    except ValueError:
        return None
    return _FASTEST.whole_gzip(data, limit_bytes)


def wire_limit(limit_bytes: int) -> int:
    """How many coded bytes may stand for `limit_bytes`: what can't be compressed grows, but little."""
    return limit_bytes + limit_bytes // 8 + _PIECE_BYTES


class Body:
    """A body as it arrives: fed with what the wire gave, it keeps what that decodes to.

    `what` names the page in errors. Raises ProtocolError for a coding that is unknown or can't be undone,
    BodyTooLarge over `limit_bytes` decoded, and TruncatedBody from `finish` where a coding's end is missing.
    """

    def __init__(
        self, what: str, coded: Sequence[str], limit_bytes: int, inflater: Inflater = _FASTEST
    ) -> None:
        if len(coded) > _MAX_CODINGS:
            raise ProtocolError(f"{what}: {len(coded)} content codings on one body")
        for name in coded:
            if name not in _DECODERS:
                raise ProtocolError(f"{what}: the content coding {name!r} is unknown")
        self._what = what
        self._coded = tuple(reversed(coded))
        self._stages = [_DECODERS[name](inflater) for name in self._coded]
        # A stage's input is bounded like the wire: codings can be nested so that only the inner ones are a
        # bomb.
        self._taken = [0] * (len(self._stages) + 1)
        self._limits = [wire_limit(limit_bytes)] * len(self._stages) + [limit_bytes]
        self._limit_bytes = limit_bytes
        self._pieces: list[bytes] = []
        self.wire_bytes = 0

    def expect(self, wire_bytes: int) -> None:
        """Refuse a body by the length that its headers announce."""
        if wire_bytes > self._limits[0]:
            raise BodyTooLarge(f"{self._what}: {wire_bytes} bytes are announced, over {self._limit_bytes}")

    def feed(self, chunk: bytes) -> None:
        self.wire_bytes += len(chunk)
        self._pass_on(0, chunk)

    def _pass_on(self, stage: int, data: bytes) -> None:
        self._taken[stage] += len(data)
        if self._taken[stage] > self._limits[stage]:
            raise BodyTooLarge(f"{self._what}: the body is over {self._limit_bytes} bytes")
        if stage == len(self._stages):
            self._pieces.append(data)
            return
        try:
            for piece in self._stages[stage].feed(data):
                self._pass_on(stage + 1, piece)
        except (_Broken, NotDeflated) as error:
            raise ProtocolError(f"{self._what}: the body is no {self._coded[stage]}: {error}") from error

    def finish(self) -> bytes:
        """The whole decoded body. No bytes at all are an empty body under any coding."""
        for taken, name, stage in zip(self._taken, self._coded, self._stages, strict=False):
            if taken and not stage.complete:
                raise TruncatedBody(f"{self._what}: the {name} body ends before its end")
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
