"""Header fields in wire form read the same in both halves."""

from __future__ import annotations

import random
from typing import Any

import pytest

from airless.crawl.fields import Fields
from airless.crawl.request import Request

speed = pytest.importorskip("airless._speed", reason="needs a C compiler at install")


class Pure(Fields):
    __slots__ = ()

    def _find(self, name: str, default: object) -> object:
        return (name, default)


class Compiled(speed.Fields):  # type: ignore[misc, name-defined]
    __slots__ = ()

    def _find(self, name: str, default: object) -> object:
        return (name, default)


NAMES = ["a", "A", "Set-Cookie", "set-cookie", "SET-COOKIE", "x", "", "é", "É", "\u212a", "k", "a\nb"]
VALUES = [b"", b" x \t", b"a", b"set-cookie", "é".encode(), b"caf\xe9", b"\xe9 ", b"\t\xc3", b"  "]


def both(wire: bytes, name: str, *default: Any) -> tuple[object, object]:
    return Pure.from_wire(wire).get(name, *default), Compiled.from_wire(wire).get(name, *default)


def test_every_field_is_found_as_the_pure_path_finds_it() -> None:
    r = random.Random(5)
    for _ in range(3000):
        fields = [(r.choice(NAMES[:10]), r.choice(VALUES)) for _ in range(r.randrange(5))]
        wire = b"".join(b"\n%b\n%b" % (name.encode(), value) for name, value in fields)
        for name in NAMES:
            pure, compiled = both(wire, name, r)
            assert pure == compiled, (wire, name)


def test_what_is_no_longer_in_wire_form_is_asked_of_the_subclass() -> None:
    for kind in (Pure, Compiled):
        fields = kind.from_wire(b"\na\nb")
        assert fields._known is None
        assert fields.get("a") == "b"
        fields._wire, fields._known = None, []
        assert fields.get("a", default=7) == ("a", 7)
        assert fields.get("a") == ("a", None)


def test_arguments_are_checked() -> None:
    fields = Compiled.from_wire(b"\na\nb")
    for call in (
        fields.get,
        lambda: fields.get(1),
        lambda: fields.get("a", 1, 2),
        lambda: Compiled.from_wire("x"),
    ):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(UnicodeEncodeError):
        fields.get("\ud800")


def test_slots_alone_are_filled() -> None:
    slot = Request.__dict__["url"]
    for arguments in (
        (Request, (1,), ()),
        (Request, (slot,), (1, 2)),
        (Request, [slot], ()),
        (1, (slot,), ()),
    ):
        with pytest.raises(TypeError):
            speed.maker(*arguments)
    with pytest.raises(TypeError):
        speed.maker(int, (slot,), ())("x")
