"""Where a gzip member's header ends (RFC 1952 §2.3)."""

from __future__ import annotations

MAGIC = b"\x1f\x8b"

_FIXED_BYTES = 10
_MOST_BYTES = 128 * 1024
_CHECKED, _EXTRA, _NAME, _COMMENT = 2, 4, 8, 16
_RESERVED = 0xE0


def header_bytes(data: bytes) -> int | None:
    """How long the header is that `data` begins with, or None where more has to come to say so.

    Raises ValueError for a header that a decoder has to refuse, and for one that doesn't end.
    """
    if len(data) < _FIXED_BYTES:
        return None
    flags = data[3]
    if flags & _RESERVED:
        raise ValueError("unknown header flags set")
    end = _end(data, flags)
    if end is not None and end <= len(data):
        return end
    if len(data) > _MOST_BYTES:
        raise ValueError(f"a header of more than {_MOST_BYTES} bytes")
    return None


def _end(data: bytes, flags: int) -> int | None:
    end = _FIXED_BYTES
    if flags & _EXTRA:
        if len(data) < end + 2:
            return None
        end += 2 + int.from_bytes(data[end : end + 2], "little")
    for flag in (_NAME, _COMMENT):
        if flags & flag:
            end = data.find(b"\0", end) + 1
            if not end:
                return None
    return end + 2 if flags & _CHECKED else end
