"""The frames in a stream of bytes (RFC 9113 §4.1), one by one.

The protocol library takes many at once, but gives nothing of those that came before a broken one, and nothing
at all after a GOAWAY, although the streams that the server has accepted go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

GOAWAY = 7

# What we allow, since we don't ask for more (RFC 9113 §6.5.2).
MAX_PAYLOAD_BYTES = 16_384

_HEADER_BYTES = 9
_STREAM_ID = 0x7FFF_FFFF


@dataclass(frozen=True, slots=True)
class Frame:
    """`whole` is the frame as it came, with its header."""

    kind: int
    stream_id: int
    whole: bytes

    @property
    def payload(self) -> bytes:
        return self.whole[_HEADER_BYTES:]


@dataclass(frozen=True, slots=True)
class GoAway:
    """RFC 9113 §6.8: streams over `last_stream_id` were not looked at."""

    last_stream_id: int
    code: int

    @classmethod
    def read(cls, frame: Frame) -> GoAway:
        """Raises ValueError where the frame is none."""
        payload = frame.payload
        if frame.stream_id or len(payload) < 8:
            raise ValueError("a GOAWAY frame that is none")
        last = int.from_bytes(payload[:4], "big") & _STREAM_ID
        return cls(last, int.from_bytes(payload[4:8], "big"))


class Frames:
    """Fed with what arrives, it gives the frames that are whole."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Raises ValueError for a frame that is larger than allowed."""
        data = self._rest + data
        start = 0
        while len(data) - start >= _HEADER_BYTES:
            length = int.from_bytes(data[start : start + 3], "big")
            if length > MAX_PAYLOAD_BYTES:
                raise ValueError(f"a frame of {length} bytes")
            end = start + _HEADER_BYTES + length
            if end > len(data):
                break
            stream_id = int.from_bytes(data[start + 5 : start + 9], "big") & _STREAM_ID
            yield Frame(data[start + 3], stream_id, data[start:end])
            start = end
        self._rest = data[start:]
