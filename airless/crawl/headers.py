"""Header fields of a response: names in any case, order and repetition kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar, overload

from airless.crawl.compiled import speed
from airless.crawl.fields import text_of_field

if TYPE_CHECKING or speed is None:
    from airless.crawl.fields import Fields
else:
    Fields = speed.Fields

_T = TypeVar("_T")


class Headers(Fields, Mapping[str, str]):
    """Field names are compared without case (RFC 9110 §5.1).

    `headers[name]` is the first value, `get_all` has all.
    """

    __slots__ = ()

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._known = [(name.lower(), value) for name, value in fields]
        self._wire = None

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        def get(self, name: str, /) -> str | None: ...
        @overload
        def get(self, name: str, /, default: str) -> str: ...
        @overload
        def get(self, name: str, /, default: _T) -> str | _T: ...
        def get(self, name: str, /, default: object = None) -> object:
            """`headers[name]`, or the default where there is no such field."""

    @property
    def _fields(self) -> list[tuple[str, str]]:
        if self._known is None:
            assert self._wire is not None  # noqa: S101 - one of the two is there
            self._known = _decoded(self._wire)
            self._wire = None
        return self._known

    def _find(self, name: str, default: object) -> object:
        name = name.lower()
        return next((value for field, value in self._fields if field == name), default)

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def get_all(self, name: str) -> list[str]:
        if self._wire is not None and self.get(name) is None:
            return []
        name = name.lower()
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


def _decoded(wire: bytes) -> list[tuple[str, str]]:
    # One call in place of one a field.
    texts = wire.decode().split("\n") if wire.isascii() else [text_of_field(raw) for raw in wire.split(b"\n")]
    return [(name.lower(), value.strip(" \t")) for name, value in zip(texts[1::2], texts[2::2], strict=True)]
