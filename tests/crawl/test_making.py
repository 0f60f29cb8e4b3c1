"""Records made like an example, compiled and not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airless.crawl import making
from airless.crawl.making import maker_like
from airless.crawl.request import Request


class Leaf:
    __slots__ = ("colour", "veins")

    def __init__(self, colour: str) -> None:
        self.colour = colour
        self.veins: list[str] = []


class Needle(Leaf):
    __slots__ = ("length", "unset")

    unset: str

    def __init__(self, colour: str, length: int) -> None:
        super().__init__(colour)
        self.length = length


@pytest.fixture(params=["as it is", "pure"])
def like(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    if request.param == "pure":
        monkeypatch.setattr(making, "speed", None)
    return maker_like


def test_a_record_is_like_the_example_but_for_what_is_given(like: Callable[..., Any]) -> None:
    made = like(Needle("green", 3), "length")(5)
    assert type(made) is Needle
    assert (made.colour, made.length, made.veins) == ("green", 5, [])
    assert not hasattr(made, "unset")


def test_values_are_given_in_the_order_of_the_names(like: Callable[..., Any]) -> None:
    made = like(Needle("green", 3), "unset", "colour", "length")("x", "red", 7)
    assert (made.unset, made.colour, made.length) == ("x", "red", 7)


def test_no_two_records_share_a_list(like: Callable[..., Any]) -> None:
    example = Leaf("green")
    make = like(example)
    first, second = make(), make()
    first.veins.append("x")
    assert second.veins == example.veins == []


def test_a_list_that_is_given_is_kept(like: Callable[..., Any]) -> None:
    veins = ["x"]
    assert like(Leaf("green"), "veins")(veins).veins is veins


@pytest.mark.parametrize("values", [(), (1, 2)])
def test_as_many_values_as_names(like: Callable[..., Any], values: tuple[int, ...]) -> None:
    make = like(Leaf("green"), "colour")
    with pytest.raises(TypeError, match=r"takes 1 values \([02] given\)"):
        make(*values)


@pytest.mark.parametrize("value", [["x"], {}, {"x": 1}, {1}])
def test_what_would_be_shared_and_can_change_is_refused(like: Callable[..., Any], value: object) -> None:
    example = Leaf("green")
    example.veins = value  # type: ignore[assignment]
    with pytest.raises(ValueError, match="'veins' can't be shared"):
        like(example)


def test_a_name_that_is_no_slot_is_refused(like: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="Leaf lacks one of the slots"):
        like(Leaf("green"), "length")


def test_a_request_that_was_made_is_one_that_was_built(like: Callable[..., Any]) -> None:
    url = "https://a.example/"
    made, built = like(Request(""), "url")(url), Request(url)
    assert all(getattr(made, name) == getattr(built, name) for name in Request.__slots__)
