"""The library that undoes deflate: ISA-L where the extra `speed` is installed, zlib anywhere else.

What can be decoded comes out of both the same, if a gzip header comes in one piece. Of what is broken, ISA-L
lets a set of distance codes pass that is incomplete and that zlib refuses; the data is checked all the same.
"""

from __future__ import annotations

import importlib.util
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_BARE = -zlib.MAX_WBITS


class NotDeflated(Exception):
    """The coded bytes are not what deflate and its wrappers allow."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unconsumed_tail(self) -> bytes: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Stream:
    """One deflated stream; `ended` says whether its end was seen, `rest` is what followed that."""

    __slots__ = ("_decompressor", "_error", "_piece_bytes")

    def __init__(self, decompressor: _Decompressor, error: type[Exception], piece_bytes: int) -> None:
        self._decompressor = decompressor
        self._error = error
        self._piece_bytes = piece_bytes

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What the data decodes to, in pieces of at most so many bytes. Raises NotDeflated."""
        decompressor, piece_bytes = self._decompressor, self._piece_bytes
        while True:
            try:
                piece = decompressor.decompress(data, piece_bytes)
            except self._error as error:
                raise NotDeflated(str(error)) from error
            if piece:
                yield piece
            data = decompressor.unconsumed_tail
            if decompressor.eof or (not data and len(piece) < piece_bytes):
                return

    @property
    def ended(self) -> bool:
        return self._decompressor.eof

    @property
    def rest(self) -> bytes:
        return self._decompressor.unused_data


@dataclass(frozen=True, slots=True)
class Inflater:
    """Opens streams of gzip (RFC 1952, one member), zlib (RFC 1950) and bare deflate (RFC 1951)."""

    name: str
    decompressor: Callable[[int], _Decompressor]
    error: type[Exception]

    def gzip(self, piece_bytes: int) -> Stream:
        return Stream(self.decompressor(_GZIP), self.error, piece_bytes)

    def whole_gzip(self, data: bytes, limit_bytes: int) -> bytes | None:
        """What one member and nothing else decodes to; None where it isn't that, or comes to more than the limit."""
        stream = self.decompressor(_GZIP)
        try:
            decoded = stream.decompress(data, limit_bytes + 1)
        except self.error:
            return None
        whole = stream.eof and not stream.unused_data and len(decoded) <= limit_bytes
        return decoded if whole else None

    def zlib(self, piece_bytes: int) -> Stream:
        return Stream(self.decompressor(_ZLIB), self.error, piece_bytes)

    def bare(self, piece_bytes: int) -> Stream:
        return Stream(self.decompressor(_BARE), self.error, piece_bytes)


def inflaters() -> tuple[Inflater, ...]:
    """Those that are installed, the fastest first."""
    found = [Inflater("zlib", zlib.decompressobj, zlib.error)]
    if importlib.util.find_spec("isal") is not None:
        from isal import isal_zlib

        # Its stubs have the class for an instance.
        error = cast(type[Exception], isal_zlib.IsalError)
        found.insert(0, Inflater("isal", isal_zlib.decompressobj, error))
    return tuple(found)
