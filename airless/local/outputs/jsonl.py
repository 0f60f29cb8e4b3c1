"""Items as JSON lines (UTF-8, one object a line): the segments as they are, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from airless.local.outputs.append import AppendFile
from airless.local.outputs.faults import changed


class JsonLinesSink:
    def __init__(self, path: Path) -> None:
        self.keeps_segments: Literal[False] = False
        self._file = AppendFile(path)

    def restore(self, state: Mapping[str, Any] | None) -> None:
        if state is not None and state.get("format") != "jsonl":
            raise changed(self._file.name, "what was recorded for it is no file of JSON lines")
        self._file.cut(state or {"length": 0})

    def write(self, segment: bytes) -> None:
        self._file.append(segment)

    def flush(self) -> dict[str, Any]:
        self._file.sync()
        return {"format": "jsonl", **self._file.state()}

    def close(self) -> None:
        self._file.close()

    def abort(self) -> None:
        self._file.abort()
