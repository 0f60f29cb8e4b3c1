"""Records that the hot path makes for each page: in one compiled call, where there is one, in place of `__init__`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    if speed is not None:
        made = tuple(slots[name] for name in (*names, *values))
        return speed.maker(kind, made, tuple(values.values()))  # type: ignore[no-any-return]
    return _maker(kind, names, values)


def _maker(kind: type[_Record], names: Sequence[str], shared: Mapping[str, Any]) -> Callable[..., _Record]:
    """The function written out, as dataclasses write theirs: a loop over the slots takes several times as long."""
    given = [f"given_{number}" for number in range(len(names))]
    stored = dict(zip(names, given, strict=True))
    stored |= {name: "[]" if type(value) is list else f"shared[{name!r}]" for name, value in shared.items()}
    wrong = f'TypeError(f"make() takes {len(names)} values ({{len(values)}} given)")'
    lines = ["def make(*values):", "    try:", f"        [{', '.join(given)}] = values"]
    lines += ["    except ValueError:", f"        raise {wrong} from None", "    record = new(kind)"]
    lines += [f"    record.{name} = {value}" for name, value in stored.items()]
    scope: dict[str, Any] = {"kind": kind, "new": kind.__new__, "shared": shared}
    exec("\n".join([*lines, "    return record"]), scope)  # noqa: S102 - names of our own slots
    return scope["make"]  # type: ignore[no-any-return]


def _slots(kind: type) -> dict[str, Any]:
    """The descriptors of a class's slots, those of its bases among them."""
    found: dict[str, Any] = {}
    for base in kind.__mro__:
        for name in base.__dict__.get("__slots__", ()):
            found.setdefault(name, base.__dict__[name])
    return found
