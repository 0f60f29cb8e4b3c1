"""Landing-zone rows: what came in, as it came, under a name that a replay gives again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson


def landing_row(
    event_id: str, resource: str, data: Any, *, created_at: str, metadata: Mapping[str, Any] | None = None
) -> bytes:
    """``_event_id, _resource, _json, _created_at`` as a JSON line; `_json` is text, which any table takes."""
    row = {
        "_event_id": event_id,
        "_resource": resource,
        "_json": orjson.dumps({"data": data, "metadata": dict(metadata or {})}).decode(),
        "_created_at": created_at,
    }
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def landing_name(dataset: str, table: str, *, created_at: str, event_id: str) -> str:
    """``{dataset}/{table}/date=YYYY-MM-DD/{event_id}.json``; `created_at` is ISO 8601."""
    return f"{dataset}/{table}/date={created_at[:10]}/{quote(event_id, safe='')}.json"
