"""Records that the hot path makes for each page: in one compiled call, where there is one, in place of `__init__`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from airless.crawl.compiled import speed

_Record = TypeVar("_Record")


def maker_like(example: _Record, *names: str) -> Callable[..., _Record]:
    """A function that makes records like an example of a class with slots, with other values for those named.

    The values are given by position, and kept as they are. The example's own values are shared by all records,
    but for empty lists, of which each gets one of its own. Raises ValueError for other mutable ones, and for a
    name that is no slot.
    """
    kind = type(example)
    slots = _slots(kind)
    if not set(names) <= slots.keys():
        raise ValueError(f"{kind.__name__} lacks one of the slots {names}")
    values = {}
    for name, slot in slots.items():
        try:
            value = slot.__get__(example)
        except AttributeError:  # it has none
            continue
        if name not in names:
            if isinstance(value, (dict, set)) or (isinstance(value, list) and value):
                raise ValueError(f"{name!r} can't be shared")
            values[name] = value
    made = tuple(slots[name] for name in (*names, *values))
    if speed is not None:
        return speed.maker(kind, made, tuple(values.values()))  # type: ignore[no-any-return]
    return _maker(kind, made, tuple(values.values()))


def _maker(kind: type[_Record], slots: tuple[Any, ...], shared: tuple[Any, ...]) -> Callable[..., _Record]:
    new, given = kind.__new__, len(slots) - len(shared)

    def make(*values: Any) -> _Record:
        if len(values) != given:
            raise TypeError(f"make() takes {given} values ({len(values)} given)")
        record = new(kind)
        for slot, value in zip(slots[:given], values, strict=True):
            slot.__set__(record, value)
        for slot, value in zip(slots[given:], shared, strict=True):
            slot.__set__(record, [] if type(value) is list else value)
        return record

    return make


def _slots(kind: type) -> dict[str, Any]:
    """The descriptors of a class's slots, those of its bases among them."""
    found: dict[str, Any] = {}
    for base in kind.__mro__:
        for name in base.__dict__.get("__slots__", ()):
            found.setdefault(name, base.__dict__[name])
    return found
