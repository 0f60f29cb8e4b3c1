"""Which output a name means."""

from __future__ import annotations

import sys
from pathlib import Path

from airless.core.errors import ConfigError
from airless.local.outputs.jsonl import JsonLinesSink
from airless.local.outputs.port import Sink, WholeSink
from airless.local.outputs.stdout import StdoutSink
from airless.local.outputs.table import TableSink

_KNOWN = "there are .jsonl (or .ndjson), .csv, .parquet, and - for JSON lines on standard output"


def open_sink(path: str) -> Sink | WholeSink:
    """The sink for this name, its parent directories made. Nothing that is there is changed before `restore`.

    Raises ConfigError for a name that no output has, a place that can't be a file, or a missing extra;
    OutputError where the place refuses to be written.
    """
    if path == "-":
        if sys.stdout is None:
            raise ConfigError("items can't go to standard output: this process has none; name a .jsonl file")
        sys.stdout.flush()
        return StdoutSink(sys.stdout.buffer)
    match Path(path).suffix.lower():
        case ".jsonl" | ".ndjson":
            return JsonLinesSink(Path(path))
        case ".csv":
            return TableSink(Path(path))
        case ".parquet":
            return _parquet(Path(path))
        case ".json":
            better = Path(path).with_suffix(".jsonl")
            raise ConfigError(
                f"can't write items to {path}: one JSON array can't be appended to safely; write {better}"
            )
        case suffix:
            what = (
                f"the format {suffix!r} is unknown" if suffix else "the name has no suffix to tell the format"
            )
            raise ConfigError(f"can't write items to {path or repr(path)}: {what}; {_KNOWN}")


def _parquet(path: Path) -> WholeSink:
    try:
        from airless.local.outputs.parquet import ParquetSink
    except ImportError as error:
        raise ConfigError(
            f"can't write items to {path}: Parquet needs pyarrow ({error}); pip install airless[parquet]"
        ) from error
    return ParquetSink(path)
