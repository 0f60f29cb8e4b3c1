"""The narrowest column types that hold every item, found in one pass over them.

null            nothing but null was seen           whole, float, truth, text
whole + float   float, as long as each whole number seen is exact in a double (≤ 2^53)
ListOf          lists; the types of the members are one
RecordOf        objects; the fields are those of all of them
json            anything else, and what would be too deep, too wide or over 64 bits: JSON text
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from airless.local.outputs import lines

MAX_LEVELS = 16
MAX_FIELDS = 256
"""Objects with more fields than this are maps with open keys; a column for each key helps nobody."""

_EXACT = 2**53


class Scalar(Enum):
    NULL = "null"
    TRUTH = "truth"
    WHOLE = "whole"
    LARGE = "large"
    FLOAT = "float"
    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class ListOf:
    member: Shape


@dataclass(frozen=True, slots=True)
class RecordOf:
    fields: Mapping[str, Shape]


Shape = Scalar | ListOf | RecordOf

_NUMBERS = {
    frozenset({Scalar.WHOLE, Scalar.LARGE}): Scalar.LARGE,
    frozenset({Scalar.WHOLE, Scalar.FLOAT}): Scalar.FLOAT,
}


def shape_of(value: Any, level: int = 0) -> Shape:
    """The shape of one value as JSON gives it."""
    match value:
        case None:
            return Scalar.NULL
        case bool():
            return Scalar.TRUTH
        case int():
            if abs(value) <= _EXACT:
                return Scalar.WHOLE
            return Scalar.LARGE if -(2**63) <= value < 2**63 else Scalar.JSON
        case float():
            return Scalar.FLOAT
        case str():
            return Scalar.TEXT
        case list() if level < MAX_LEVELS:
            member: Shape = Scalar.NULL
            for one in value:
                member = merge(member, shape_of(one, level + 1))
            return ListOf(member)
        case dict() if value and len(value) <= MAX_FIELDS and level < MAX_LEVELS:
            return RecordOf({name: shape_of(one, level + 1) for name, one in value.items()})
        case _:
            return Scalar.JSON


def merge(a: Shape, b: Shape) -> Shape:
    """The narrowest shape that holds what either holds."""
    if a == b or b is Scalar.NULL:
        return a
    if a is Scalar.NULL:
        return b
    if isinstance(a, ListOf) and isinstance(b, ListOf):
        return ListOf(merge(a.member, b.member))
    if isinstance(a, RecordOf) and isinstance(b, RecordOf):
        fields = merge_fields(a.fields, b.fields)
        return RecordOf(fields) if len(fields) <= MAX_FIELDS else Scalar.JSON
    if isinstance(a, Scalar) and isinstance(b, Scalar):
        return _NUMBERS.get(frozenset({a, b}), Scalar.JSON)
    return Scalar.JSON


def merge_fields(a: Mapping[str, Shape], b: Mapping[str, Shape]) -> Mapping[str, Shape]:
    """The fields of both, in order of appearance."""
    if a == b:
        return a
    merged = dict(a)
    for name, shape in b.items():
        merged[name] = merge(merged[name], shape) if name in merged else shape
    return merged


def fit(value: Any, shape: Shape) -> Any:
    """The value as a column of this shape takes it; what the shape was not merged from is not handled."""
    if value is None:
        return None
    if shape is Scalar.JSON:
        return lines.text(value)
    if shape is Scalar.FLOAT:
        return float(value)
    if isinstance(shape, ListOf):
        return [fit(member, shape.member) for member in value]
    if isinstance(shape, RecordOf):
        return {name: fit(value[name], inner) for name, inner in shape.fields.items() if name in value}
    return value
