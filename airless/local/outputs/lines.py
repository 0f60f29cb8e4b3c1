"""Segments read back: JSON lines as dicts, every number exact."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from airless.core.errors import OutputError

# Whole numbers over 64 bits have 20 digits; one less is cheap to read exactly as well.
_LARGE = re.compile(rb"\d{19}")


def read(segment: bytes) -> Iterator[dict[str, Any]]:
    """The items of a segment. Raises OutputError for a line that is no JSON object."""
    for line in segment.split(b"\n"):
        if not line:
            continue
        try:
            # orjson would make a float of a whole number over 64 bits.
            item = json.loads(line) if _LARGE.search(line) else orjson.loads(line)
        except ValueError as error:
            raise OutputError(f"a segment of items can't be read: {error}") from error
        if not isinstance(item, dict):
            raise OutputError(
                f"a segment of items holds a {type(item).__name__} where an object was expected"
            )
        yield item


def text(value: object) -> str:
    """The value as JSON text, every number exact."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
