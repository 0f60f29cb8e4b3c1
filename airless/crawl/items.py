"""Items: what a spider yields, and the one JSON line (RFC 8259, UTF-8) that each of them becomes.

How values that JSON lacks are written:

    datetime, date, time     ISO 8601, as they are: a naive one gets no zone
    Decimal, UUID, path      their text
    Enum                     its value
    bytes                    base64 (RFC 4648 §4)
    set, frozenset           an array in the order of its members' JSON text: a replay gives the same line
    NaN, ±Infinity           null
    keys that are no text    1 → "1", True → "true", None → "null", dates and the like as above
    lone surrogates          U+FFFD, the replacement character
    whole numbers            exact, however large
    dataclass, attrs, model  an object
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
from collections import deque
from collections.abc import Mapping, Set
from datetime import date, datetime, time
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

import orjson

from airless.core.errors import AirlessError

MAX_LEVELS = 250
"""How deep an item may nest: what readers of JSON commonly take; an item that holds itself ends here."""

# Without OPT_NON_STR_KEYS on purpose: it would write {1: …, "1": …} as one key twice, and a reader then drops
# one.
_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_DATACLASS


class ItemError(AirlessError):
    """An item, or a value in it, that has no JSON form. `field` is the path to it ("" is the item itself)."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"field {field!r} of the item {reason}" if field else f"the item {reason}")
        self.field = field


def is_item(obj: object) -> bool:
    """Whether a spider may yield this as an item: a dict, or a dataclass, attrs or pydantic instance."""
    return isinstance(obj, dict) or _is_record(type(obj))


def to_dict(item: object) -> dict[str, Any]:
    """The item's fields, in their order; values inside stay as they are (a pydantic model gives its own JSON
    values).

    Raises ItemError for what is no item, and where a model refuses to be dumped or a field was never set.
    """
    if isinstance(item, dict):
        return dict(item)
    if not _is_record(type(item)):
        raise ItemError(
            "", f"can't be a {type(item).__name__}: dict, dataclass, attrs or pydantic was expected"
        )
    return _fields(item, "")


def encode(item: object) -> bytes:
    """The item as one line of JSON with its newline, by the rules above.

    Raises ItemError, which names the field, for a value that has no JSON form.
    """
    fields = item if isinstance(item, dict) else to_dict(item)
    try:
        return orjson.dumps(fields, _default, _OPTIONS)
    except (orjson.JSONEncodeError, ItemError):
        # The slow way knows the path to the fault, and takes large numbers, lone surrogates and odd keys.
        plain = _plain(fields, "", 0)
    try:
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except ValueError as error:  # a number with more digits than the interpreter converts
        raise ItemError("", f"has no JSON form: {error}") from error


def _is_record(kind: type) -> bool:
    return (
        hasattr(kind, "__dataclass_fields__")
        or hasattr(kind, "__attrs_attrs__")
        or getattr(kind, "__pydantic_root_model__", None) is False
    )


def _fields(record: Any, path: str) -> dict[str, Any]:
    kind = type(record)
    if getattr(kind, "__pydantic_root_model__", None) is False:
        try:
            return dict(record.model_dump(mode="json"))
        except Exception as error:  # serialisers of the user's model run in there
            raise ItemError(path, f"can't be dumped by its model {kind.__name__}: {error}") from error
    described = dataclasses.fields(kind) if hasattr(kind, "__dataclass_fields__") else kind.__attrs_attrs__
    try:
        return {field.name: getattr(record, field.name) for field in described}
    except AttributeError as error:
        raise ItemError(path, f"has a field that was never set: {error}") from error


def _default(value: Any) -> Any:
    """The nearest thing that orjson knows."""
    known, plain = _scalar(value)
    if known:
        return plain
    if _is_record(type(value)):
        return _fields(value, "")
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set):
        return _ordered(value, "", 0)
    if isinstance(value, (tuple, deque)):
        return list(value)
    raise TypeError(type(value).__name__)


def _plain(value: Any, path: str, level: int) -> Any:
    """Nothing but what the standard library's JSON writes, by the same rules."""
    if level > MAX_LEVELS:
        raise ItemError(_short(path), f"is nested deeper than {MAX_LEVELS} levels, or holds itself")
    if isinstance(value, Enum):
        return _plain(value.value, path, level)
    known, plain = _scalar(value)
    if known:
        return plain
    if _is_record(type(value)):
        value = _fields(value, path)
    elif getattr(type(value), "__pydantic_root_model__", None) is True:
        return _plain(value.model_dump(mode="json"), path, level + 1)
    if isinstance(value, Mapping):
        return _object(value, path, level)
    if isinstance(value, Set):
        return _ordered(value, path, level)
    if isinstance(value, (list, tuple, deque)):
        return [_plain(member, f"{path}[{i}]", level + 1) for i, member in enumerate(value)]
    raise ItemError(
        path,
        f"is of type {type(value).__name__}, which has no JSON form: give its text, a number or a list",
    )


def _scalar(value: Any) -> tuple[bool, Any]:
    """Whether the value is one that becomes a scalar of JSON, and that scalar."""
    if value is None or isinstance(value, bool):
        return True, value
    if isinstance(value, str):
        return True, _text(value)
    if isinstance(value, int):
        return True, int(value)
    if isinstance(value, float):
        return True, float(value) if math.isfinite(value) else None
    if isinstance(value, (datetime, date, time)):
        return True, value.isoformat()
    # Not at the top: to import it takes 3 ms, and few items come this far.
    from decimal import Decimal

    if isinstance(value, (Decimal, UUID, PurePath)):
        return True, _text(str(value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return True, base64.b64encode(value).decode("ascii")
    return False, None


def _object(value: Mapping[Any, Any], path: str, level: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, member in value.items():
        name = _key(key, path)
        inside = f"{path}.{name}" if path else name
        if name in made:
            raise ItemError(inside, "stands there twice: two different keys have the same text")
        made[name] = _plain(member, inside, level + 1)
    return made


def _key(key: Any, path: str) -> str:
    known, plain = _scalar(key.value if isinstance(key, Enum) else key)
    if not known:
        raise ItemError(path, f"has a key that is a {type(key).__name__}, which has no JSON form")
    return plain if isinstance(plain, str) else json.dumps(plain)


def _ordered(members: Set[Any], path: str, level: int) -> list[Any]:
    plain = [_plain(member, f"{path}[]", level + 1) for member in members]
    return sorted(plain, key=json.dumps)


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        # UTF-16 joins the halves that belong together; those that are left alone are replaced.
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return str(value)


def _short(path: str) -> str:
    return path if len(path) <= 60 else path[:60] + "…"
