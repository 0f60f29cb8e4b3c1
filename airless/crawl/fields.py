"""Header fields as they came from the wire, and a field's value without the others being decoded.

The compiled `airless._speed.Fields` gives the same answers.
"""

from __future__ import annotations

from typing import Self


class Fields:
    """Fields in wire form: names and values in turn, a line feed, which none of them can hold, before each.

    A field in UTF-8 is read as that, any other as ISO 8859-1 (RFC 9110 §5.5): no lone surrogates. Once they are
    all decoded, or where they never came over a wire, `_wire` is None, and `_find` is asked in place of the wire.
    """

    __slots__ = ("_known", "_wire")

    _known: list[tuple[str, str]] | None
    _wire: bytes | None

    @classmethod
    def from_wire(cls, fields: bytes) -> Self:
        """Headers as they came, decoded when they are first looked at."""
        made = cls.__new__(cls)
        made._known = None
        made._wire = fields
        return made

    def get(self, name: str, /, default: object = None) -> object:
        """The first value of a field, or the default where there is none."""
        if self._wire is None:
            return self._find(name, default)
        raw = _first(self._wire, name.lower())
        return default if raw is None else text_of_field(raw).strip(" \t")

    def _find(self, name: str, default: object) -> object:
        raise NotImplementedError


def text_of_field(raw: bytes) -> str:
    """A name or a value as text."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _first(wire: bytes, name: str) -> bytes | None:
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
