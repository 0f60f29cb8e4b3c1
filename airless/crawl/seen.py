"""The URLs a shard has seen, as 64-bit fingerprints in sorted arrays: about nine bytes each."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator

# A part this long moves 16 KiB on an average insert, about a microsecond.
_PART_LIMIT = 4096


class SeenSet:
    """A set of integers below 2**64 that are spread evenly (a hash's).

    The range is cut into 2**k equal parts, each a sorted array; k grows with the set, so that an insert moves
    a few kilobytes and no step of growth touches more than the set itself, once. Integers that crowd together
    make inserts slower, nothing else.
    """

    __slots__ = ("_bits", "_count", "_parts", "_shift")

    def __init__(self, fingerprints: Iterable[int] = ()) -> None:
        self._bits = 0
        self._shift = 64
        self._parts: list[array[int]] = [array("Q")]
        self._count = 0
        self.update(fingerprints)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, fingerprint: int) -> bool:
        part = self._parts[fingerprint >> self._shift]
        at = bisect_left(part, fingerprint)
        return at < len(part) and part[at] == fingerprint

    def __iter__(self) -> Iterator[int]:
        for part in self._parts:
            yield from part

    def add(self, fingerprint: int) -> bool:
        """True if it was not there before."""
        part = self._parts[fingerprint >> self._shift]
        at = bisect_left(part, fingerprint)
        if at < len(part) and part[at] == fingerprint:
            return False
        part.insert(at, fingerprint)
        self._count += 1
        if len(part) > _PART_LIMIT and self._count > len(self._parts) * _PART_LIMIT // 2:
            self._split()
        return True

    def update(self, fingerprints: Iterable[int] | bytes) -> None:
        """Add many, packed ones too; in sorted order, which keeps the inserts at the parts' ends."""
        if isinstance(fingerprints, bytes):
            fingerprints = unpack_fingerprints(fingerprints)
        for fingerprint in sorted(fingerprints):
            self.add(fingerprint)

    def _split(self) -> None:
        self._bits += 1
        self._shift = 64 - self._bits
        halves: list[array[int]] = []
        for index, part in enumerate(self._parts):
            middle = bisect_left(part, (2 * index + 1) << self._shift)
            halves.append(part[:middle])
            halves.append(part[middle:])
        self._parts = halves


def pack_fingerprints(fingerprints: Iterable[int]) -> bytes:
    """Eight bytes each, little-endian, in the given order."""
    packed = array("Q", fingerprints)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def unpack_fingerprints(data: bytes) -> array[int]:
    """The inverse of `pack_fingerprints`. Raises ValueError where the length is no multiple of eight."""
    packed = array("Q")
    packed.frombytes(data)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed
