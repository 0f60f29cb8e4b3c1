"""Items as CSV (RFC 4180, UTF-8, CRLF), a header first, the columns in the order in which their fields
appeared.

A field that is missing and one that is null are both empty. Truth values and numbers stand as in JSON; lists
and objects as JSON text. A field that appears later widens the table: the file is rewritten beside itself,
each row with the empty columns added, and takes the old one's place in one step. Text is written as it is: a
spreadsheet may take a field that starts with ``=``, ``+``, ``-`` or ``@`` for a formula, so don't open tables
of untrusted pages in one.

**Crash safety of a widening.** The recorded state knows the columns and the number of rows. A widening adds
to each recorded row as many commas as there are columns more, so `restore` finds the end of the recorded rows
in the wider file by arithmetic, whether the crash came before or after the file was replaced.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

from airless.local.outputs import lines
from airless.local.outputs.append import AppendFile
from airless.local.outputs.faults import changed


class TableSink:
    def __init__(self, path: Path) -> None:
        self.keeps_segments: Literal[False] = False
        self._file = AppendFile(path)
        self._columns: list[str] = []
        self._rows = 0

    def restore(self, state: Mapping[str, Any] | None) -> None:
        state = state or {"format": "csv", "columns": [], "rows": 0, "length": 0}
        columns, rows, length = state.get("columns"), state.get("rows"), state.get("length")
        if not (isinstance(columns, list) and isinstance(rows, int) and isinstance(length, int)):
            raise changed(self._file.name, "what was recorded for it is no table")
        if length and (header := self._file.head(_first_record)):
            wide = _fields(header)
            more = len(wide) - len(columns)
            if wide[: len(columns)] != columns or header != _record(wide):
                raise changed(self._file.name, "its header is not the one that had been written")
            if more:
                end = length + len(header) - len(_record(columns)) + more * rows
                self._file.cut({"length": end}, ending=b"," * more + b"\r\n")
                self._columns, self._rows = wide, rows
                return
        self._file.cut(state)
        self._columns, self._rows = list(columns), rows

    def write(self, segment: bytes) -> None:
        items = list(lines.read(segment))
        columns = list(dict.fromkeys((*self._columns, *(name for item in items for name in item))))
        if columns and not self._columns:
            # Items without any field may have come before there was a column to leave empty.
            self._file.append(_record(columns) + _record([""] * len(columns)) * self._rows)
        elif len(columns) > len(self._columns):
            self._widen(columns)
        self._columns = columns  # at once: the file has them, even if the rows don't get there
        if columns:
            self._file.append(_records([_cell(item.get(name)) for name in columns] for item in items))
        self._rows += len(items)

    def flush(self) -> dict[str, Any]:
        self._file.sync()
        return {"format": "csv", "columns": list(self._columns), "rows": self._rows, **self._file.state()}

    def close(self) -> None:
        self._file.close()

    def abort(self) -> None:
        self._file.abort()

    def _widen(self, columns: list[str]) -> None:
        added = b"," * (len(columns) - len(self._columns)) + b"\r\n"

        def rewrite(old: BinaryIO, new: BinaryIO) -> None:
            _first_record(old)
            new.write(_record(columns))
            for line, ends in _lines(old):
                new.write(line[:-2] + added if ends else line)

        self._file.replace(rewrite)


def _lines(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """The physical lines, and whether a record ends there: a quoted line break is data (RFC 4180 §2.6)."""
    quoted = False
    for line in file:
        quoted ^= bool(line.count(b'"') & 1)
        yield line, not quoted and line.endswith(b"\r\n")


def _first_record(file: BinaryIO) -> bytes:
    record = b""
    for line, ends in _lines(file):
        record += line
        if ends:
            break
    return record


def _fields(record: bytes) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(record.decode(), newline=""), strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        return []  # no header that was ever written here: the caller compares and says so


def _record(fields: list[str]) -> bytes:
    return _records([fields])


def _records(rows: Iterable[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else lines.text(value)
