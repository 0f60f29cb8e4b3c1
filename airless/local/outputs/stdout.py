"""Items on standard output, as JSON lines.

What was written can't be taken back: after a crash the last segments come again, so here an item stands at
least once.
"""

from __future__ import annotations

import select
from collections.abc import Mapping
from typing import Any, BinaryIO, Literal

from airless.local.outputs.faults import told

_NAME = "standard output"


class StdoutSink:
    """Writes past the stream's buffer, so that nothing is left in it to fail when the interpreter ends."""

    def __init__(self, stream: BinaryIO) -> None:
        self.keeps_segments: Literal[False] = False
        self._raw: Any = getattr(stream, "raw", stream)
        self._length = 0

    def restore(self, state: Mapping[str, Any] | None) -> None:
        length = (state or {}).get("length")
        self._length = length if isinstance(length, int) else 0

    def write(self, segment: bytes) -> None:
        rest = memoryview(segment)
        with told(_NAME):
            while rest:
                written = self._raw.write(rest)
                if written is None:  # a pipe that doesn't block, and is full
                    select.select([], [self._raw], [])
                    continue
                rest = rest[written:]
        self._length += len(segment)

    def flush(self) -> dict[str, Any]:
        with told(_NAME):
            self._raw.flush()
        return {"length": self._length}

    def close(self) -> None:
        """The stream is the process's, and stays open."""

    def abort(self) -> None:
        """The stream is the process's, and stays open."""
