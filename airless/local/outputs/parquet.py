"""Items as Apache Parquet, made in one piece at the end: a first pass finds the schema, a second writes row
groups.

A field that is missing and one that is null are both null. Importing this module needs the extra ``parquet``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from airless.core.errors import OutputError
from airless.local.outputs import lines
from airless.local.outputs.faults import changed, told
from airless.local.outputs.place import beside, claim, resolve, sync_directory
from airless.local.outputs.schema import ListOf, RecordOf, Scalar, Shape, fit, merge_fields, shape_of

_GROUP_ROWS = 50_000
_GROUP_BYTES = 32 * 1024 * 1024


class ParquetSink:
    """A WholeSink. A row group holds at most 50,000 items or about 32 MiB of their JSON, which bounds the
    memory.

    Items without any field are not counted among the rows as long as no item has one: Parquet has no such
    row.
    """

    def __init__(self, path: Path) -> None:
        self.keeps_segments: Literal[True] = True
        self._name = path
        self._path = resolve(path)
        self._part = beside(self._path)
        self._state: dict[str, Any] = {}
        with told(path):  # a place that can't be written is told now, not after the crawl
            os.close(claim(self._part)[0])
        self.abort()

    def restore(self, state: Mapping[str, Any] | None) -> None:
        self._state = dict(state or {})
        with told(self._name):
            self._part.unlink(missing_ok=True)

    def finish(self, segments: Iterable[bytes]) -> dict[str, Any]:
        """As the port says. Raises OutputError; the output is then as it was before."""
        if iter(segments) is segments:
            raise TypeError("segments are gone through twice: an iterator gives them only once")
        if self._state and not any(True for _ in segments):
            return self._kept()
        fields: Mapping[str, Shape] = {}
        for segment in segments:
            for item in lines.read(segment):
                fields = merge_fields(fields, {name: shape_of(value) for name, value in item.items()})
        try:
            with told(self._name):
                rows = self._write(segments, fields)
                length = self._part.stat().st_size
                descriptor = os.open(self._part, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                os.rename(self._part, self._path)
                sync_directory(self._path.parent)
        except pa.ArrowException as error:
            raise OutputError(
                f"can't make {self._name} of the items: {error}; they are kept in the state directory, "
                "and a .jsonl output takes them as they are"
            ) from error
        finally:
            self.abort()
        self._state = {"format": "parquet", "length": length, "rows": rows}
        return dict(self._state)

    def close(self) -> None:
        """Nothing stays open between calls."""

    def abort(self) -> None:
        with contextlib.suppress(OSError):  # what is left behind is found again by `restore`
            self._part.unlink(missing_ok=True)

    def _kept(self) -> dict[str, Any]:
        """The recorded state, if the output is still what was made of the segments that were let go."""
        with told(self._name):
            length = self._path.stat().st_size if self._path.exists() else None
        if length != self._state.get("length"):
            raise changed(self._name, "it is gone, or not the one that was made of the crawl's items")
        return dict(self._state)

    def _write(self, segments: Iterable[bytes], fields: Mapping[str, Shape]) -> int:
        schema = pa.schema([pa.field(name, _type(shape)) for name, shape in fields.items()])
        rows = 0
        self._part.unlink(missing_ok=True)
        with pq.ParquetWriter(str(self._part), schema, compression="zstd") as writer:
            for group in _groups(segments):
                fitted = [
                    {name: fit(item.get(name), shape) for name, shape in fields.items()} for item in group
                ]
                table = pa.Table.from_pylist(fitted, schema=schema)
                writer.write_table(table)
                rows += table.num_rows
        return rows


def _groups(segments: Iterable[bytes]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    size = 0
    for segment in segments:
        for item in lines.read(segment):
            group.append(item)
            if len(group) >= _GROUP_ROWS:
                yield group
                group, size = [], 0
        size += len(segment)
        if size >= _GROUP_BYTES and group:
            yield group
            group, size = [], 0
    if group:
        yield group


def _type(shape: Shape) -> pa.DataType:
    if isinstance(shape, ListOf):
        return pa.list_(_type(shape.member))
    if isinstance(shape, RecordOf):
        return pa.struct([pa.field(name, _type(inner)) for name, inner in shape.fields.items()])
    match shape:
        case Scalar.TRUTH:
            return pa.bool_()
        case Scalar.WHOLE | Scalar.LARGE:
            return pa.int64()
        case Scalar.FLOAT:
            return pa.float64()
        case _:
            return pa.string()
