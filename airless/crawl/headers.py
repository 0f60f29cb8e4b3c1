"""Header fields of a response: names in any case, order and repetition kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar, overload

from airless.crawl.compiled import speed

_T = TypeVar("_T")


class Headers(Mapping[str, str]):
    """Field names are compared without case (RFC 9110 §5.1).

    `headers[name]` is the first value, `get_all` has all.
    """

    __slots__ = ("_known", "_wire")

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._known = [(name.lower(), value) for name, value in fields]
        self._wire: bytes | None = None

    @classmethod
    def from_wire(cls, fields: bytes) -> Headers:
        """Headers as they came, decoded when they are first looked at: names and values in turn.

        A line feed, which none of them can hold, stands before each.
        A field in UTF-8 is read as that, any other as ISO 8859-1 (RFC 9110 §5.5): no lone surrogates.
        """
        headers = cls.__new__(cls)
        headers._wire = fields
        return headers

    @property
    def _fields(self) -> list[tuple[str, str]]:
        if self._wire is not None:
            self._known = _decoded(self._wire)
            self._wire = None
        return self._known

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, /, default: str) -> str: ...
    @overload
    def get(self, name: str, /, default: _T) -> str | _T: ...
    def get(self, name: str, /, default: object = None) -> object:
        """`headers[name]`, or the default where there is no such field."""
        name = name.lower()
        wire = self._wire
        if wire is None:
            return next((value for field, value in self._known if field == name), default)
        raw = _first(wire, name)
        return default if raw is None else _text(raw).strip(" \t")

    def get_all(self, name: str) -> list[str]:
        name = name.lower()
        if self._wire is not None and _first(self._wire, name) is None:
            return []
        return [value for field, value in self._fields if field == name]

    def items_list(self) -> list[tuple[str, str]]:
        """All fields in their order, names in lower case."""
        return list(self._fields)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(field for field, _ in self._fields))

    def __len__(self) -> int:
        return len({field for field, _ in self._fields})

    def __repr__(self) -> str:
        return f"Headers({self._fields!r})"


def _searched(wire: bytes, name: str) -> bytes | None:
    """The first value of a field, without decoding the others."""
    lower, wanted = wire.lower(), f"\n{name}\n".encode()
    at = lower.find(wanted)
    # Names stand after an even number of line feeds: what is found elsewhere is a value.
    while at >= 0 and lower.count(b"\n", 0, at) % 2:
        at = lower.find(wanted, at + 1)
    if at < 0:
        return None
    start = at + len(wanted)
    end = wire.find(b"\n", start)
    return wire[start:] if end < 0 else wire[start:end]


_first: Callable[[bytes, str], bytes | None] = _searched if speed is None else speed.header_field


def _decoded(wire: bytes) -> list[tuple[str, str]]:
    # One call in place of one a field.
    texts = wire.decode().split("\n") if wire.isascii() else [_text(raw) for raw in wire.split(b"\n")]
    return [(name.lower(), value.strip(" \t")) for name, value in zip(texts[1::2], texts[2::2], strict=True)]


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
