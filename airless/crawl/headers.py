"""Header fields of a response: names in any case, order and repetition kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping


class Headers(Mapping[str, str]):
    """Field names are compared without case (RFC 9110 §5.1).

    `headers[name]` is the first value, `get_all` has all.
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = [(name.lower(), value) for name, value in fields]

    def __getitem__(self, name: str) -> str:
        name = name.lower()
        for field, value in self._fields:
            if field == name:
                return value
        raise KeyError(name)

    def get_all(self, name: str) -> list[str]:
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
