"""The port of outputs. Calls block: they belong in a thread, one at a time (`close` and `abort` wait)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol


class Sink(Protocol):
    """Takes segments as they come, and can go back to any state that was recorded after a `flush`.

    `restore` comes first, and comes again after any call that failed. Faults of the place are OutputError.
    """

    keeps_segments: Literal[False]

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Be as `flush` left it when it returned `state`; None begins anew, with an empty output.

        Raises OutputError where the output is not what it was: missing, shorter, or changed from outside.
        """
        ...

    def write(self, segment: bytes) -> None:
        """Append a segment: JSON objects, one a line, each with its newline."""
        ...

    def flush(self) -> dict[str, Any]:
        """Durable when it returns: the state to record, a small JSON object with `length` (bytes) in it."""
        ...

    def close(self) -> None:
        """Let go of the output, which stays as it is. May be called twice."""
        ...

    def abort(self) -> None:
        """Let go of it after a failure, without a word; an empty file that opening had made is taken away."""
        ...


class WholeSink(Protocol):
    """An output that can only be made in one piece: the segments stay in the engine until `finish`."""

    keeps_segments: Literal[True]

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Take up where `finish` returned `state`; None is a new crawl.

        What a run left half made is taken away. The output of an earlier crawl stays until `finish`.
        """
        ...

    def finish(self, segments: Iterable[bytes]) -> dict[str, Any]:
        """Put the output of all segments in place of what was there, in one durable step; the state to keep.

        Goes through `segments` twice, so they must give the same from the start each time. Doing it again is
        harmless, also when the segments were let go after the state was recorded: without any, what `state`
        says stays. Raises OutputError where that isn't there any more.
        """
        ...

    def close(self) -> None:
        """Let go of the output. May be called twice."""
        ...

    def abort(self) -> None:
        """Let go of it after a failure; what was half made is taken away."""
        ...
