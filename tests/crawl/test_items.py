"""Items become one JSON line each, and nothing in them is lost or makes the crawl stop without saying why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import OrderedDict, deque, namedtuple
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, ClassVar
from uuid import UUID

import attrs
import pydantic
import pytest

from airless.core.errors import AirlessError
from airless.crawl import items
from airless.crawl.items import MAX_LEVELS, ItemError, encode, is_item, to_dict


@dataclass
class Book:
    title: str
    price: Decimal | None = None
    _shelf: str = "a"
    shop: ClassVar[str] = "x"


@dataclass(slots=True)
class Late:
    title: str = field(init=False)


@attrs.define
class Film:
    title: str
    year: int = 1999


class Model(pydantic.BaseModel):
    name: str
    seen: datetime = datetime(2024, 1, 2, tzinfo=UTC)
    blob: bytes = b"x"


class Names(pydantic.RootModel[list[str]]):
    pass


class Colour(Enum):
    RED = "red"
    PAIR = ("a", 1)


class Level(IntEnum):
    LOW = 1


Point = namedtuple("Point", "x y")


def line(item: object) -> Any:
    encoded = encode(item)
    assert encoded.endswith(b"\n")
    assert encoded.count(b"\n") == 1
    return json.loads(encoded)


@pytest.mark.parametrize("item", [{}, OrderedDict(a=1), Book("x"), Film("x"), Model(name="x")])
def test_dicts_and_records_are_items(item: object) -> None:
    assert is_item(item)


@pytest.mark.parametrize("other", [None, "text", 1, ["a"], Book, Model, Film, Names(["a"]), object()])
def test_nothing_else_is_an_item(other: object) -> None:
    assert not is_item(other)
    with pytest.raises(ItemError, match="dict, dataclass, attrs or pydantic"):
        to_dict(other)


def test_the_fields_keep_their_order_and_their_values() -> None:
    assert list(to_dict(Book("x")).items()) == [("title", "x"), ("price", None), ("_shelf", "a")]
    assert to_dict(Film("x")) == {"title": "x", "year": 1999}
    assert to_dict(Model(name="x")) == {"name": "x", "seen": "2024-01-02T00:00:00Z", "blob": "x"}


def test_the_dict_of_a_dict_is_a_copy() -> None:
    item = {"a": 1}
    to_dict(item)["b"] = 2
    assert item == {"a": 1}


def test_no_model_library_is_loaded_for_a_dict() -> None:
    code = (
        "import sys; from airless.crawl.items import encode, is_item; encode({'a': 1}); is_item(object());"
        "sys.exit(bool({'pydantic', 'attr', 'attrs'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], env=ENV, check=False).returncode == 0


ENV = {**os.environ, "PYTHONPATH": str(Path(items.__file__).parents[2])}

ODD = {
    "when": (datetime(2024, 1, 2, 3, 4, 5), "2024-01-02T03:04:05"),
    "when_utc": (datetime(2024, 1, 2, 3, 4, 5, 600, tzinfo=UTC), "2024-01-02T03:04:05.000600+00:00"),
    "day": (date(2024, 1, 2), "2024-01-02"),
    "hour": (time(3, 4), "03:04:00"),
    "id": (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    "price": (Decimal("19.90"), "19.90"),
    "path": (PurePosixPath("/a/b"), "/a/b"),
    "blob": (b"\x00\xff", "AP8="),
    "colour": (Colour.RED, "red"),
    "pair": (Colour.PAIR, ["a", 1]),
    "level": (Level.LOW, 1),
    "tags": ({"b", "a", "c"}, ["a", "b", "c"]),
    "frozen": (frozenset({2, 1}), [1, 2]),
    "point": (Point(1, 2), [1, 2]),
    "queue": (deque([1, 2]), [1, 2]),
    "proxy": (MappingProxyType({"a": {1}}), {"a": [1]}),
    "nan": (float("nan"), None),
    "inf": (float("-inf"), None),
    "book": (Book("x", Decimal("1.0")), {"title": "x", "price": "1.0", "_shelf": "a"}),
    "film": (Film("x"), {"title": "x", "year": 1999}),
    "model": (Model(name="x"), {"name": "x", "seen": "2024-01-02T00:00:00Z", "blob": "x"}),
    "names": (Names(["a"]), ["a"]),
    "truth": (True, True),
    "text": ("a\nb\u2028é", "a\nb\u2028é"),
}


@pytest.mark.parametrize("name", ODD)
def test_every_documented_value_has_its_form(name: str) -> None:
    value, expected = ODD[name]
    assert line({"v": [value]}) == {"v": [expected]}


def test_the_slow_way_writes_the_same_as_the_fast_one() -> None:
    values = {name: value for name, (value, _) in ODD.items()}
    slow = line({**values, "large": 2**64})
    assert slow.pop("large") == 2**64
    assert slow == line(values) == {name: expected for name, (_, expected) in ODD.items()}


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**63) - 1, 10**40])
def test_whole_numbers_are_exact_however_large(number: int) -> None:
    assert line({"n": {"deep": [number]}}) == {"n": {"deep": [number]}}


def test_keys_that_are_no_text_become_text() -> None:
    day = date(2024, 1, 2)
    item = {True: "b", None: "c", 1.5: "d", day: "e", Colour.RED: "f", (2**70): "g"}
    assert line({"k": item, 2: "x"}) == {
        "k": {"true": "b", "null": "c", "1.5": "d", "2024-01-02": "e", "red": "f", str(2**70): "g"},
        "2": "x",
    }


def test_two_keys_of_the_same_text_are_an_error_and_not_a_lost_value() -> None:
    with pytest.raises(ItemError, match=r"'prices\.1'.*twice") as caught:
        encode({"prices": {1: "a", "1": "b"}})
    assert caught.value.field == "prices.1"


def test_lone_surrogates_are_replaced_and_pairs_are_joined() -> None:
    assert line({"t": "a\ud800b", "u\udc00": "\ud83d\ude00"}) == {"t": "a\ufffdb", "u\ufffd": "\U0001f600"}


def test_a_set_gives_the_same_line_in_every_process() -> None:
    code = "from airless.crawl.items import encode; print(encode({'s': set('abcdefgh') | {1, 2.5, None}}))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={**ENV, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1


def test_an_error_names_the_field() -> None:
    with pytest.raises(ItemError, match=r"'offers\[1\]\.price' of the item is of type object") as caught:
        encode({"offers": [{"price": 1}, {"price": object()}]})
    assert caught.value.field == "offers[1].price"
    assert isinstance(caught.value, AirlessError)


@pytest.mark.parametrize(
    ("item", "where"),
    [
        ({"a": {1, 2j}}, "a[]"),
        ({"a": {(1, 2): 3}}, "a"),
        ({"a": Late()}, "a"),
        ({"a": Book}, "a"),
        ({"a": (n for n in "xy")}, "a"),
    ],
)
def test_what_has_no_form_is_refused_where_it_stands(item: object, where: str) -> None:
    with pytest.raises(ItemError) as caught:
        encode(item)
    assert caught.value.field == where


def test_a_model_that_refuses_is_named() -> None:
    with pytest.raises(ItemError, match="'m' of the item can't be dumped by its model Model"):
        encode({"m": Model(name="x", blob=b"\xff")})


def test_a_number_with_too_many_digits_is_refused() -> None:
    with pytest.raises(ItemError, match="digits"):
        encode({"n": 10**5000})


def test_an_item_that_holds_itself_is_refused() -> None:
    item: dict[str, Any] = {}
    item["self"] = item
    with pytest.raises(ItemError, match=f"deeper than {MAX_LEVELS} levels"):
        encode(item)
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ItemError, match=f"deeper than {MAX_LEVELS} levels"):
        encode({"loop": loop})
