"""Header fields as they came, read when they are asked for."""

from __future__ import annotations

import pytest

from airless.crawl.headers import Headers

WIRE = b"\nServer\n x \nSet-Cookie\na=1\nX-Like\nset-cookie\nSET-COOKIE\nb=2\t\nX-Name\ncaf\xe9\nEmpty\n"
FIELDS = [
    ("server", "x"),
    ("set-cookie", "a=1"),
    ("x-like", "set-cookie"),
    ("set-cookie", "b=2"),
    ("x-name", "café"),
    ("empty", ""),
]


def test_what_came_reads_like_what_was_given() -> None:
    given = Headers(FIELDS)
    for name in ("server", "SERVER", "set-cookie", "x-like", "x-name", "empty"):
        came = Headers.from_wire(WIRE)
        assert came[name] == given[name]
        assert came.get_all(name) == given.get_all(name)
        assert came[name] == given[name]  # decoded by now
    assert Headers.from_wire(WIRE).items_list() == FIELDS


@pytest.mark.parametrize("name", ["x", "a=1", "caf", ""])
def test_a_value_is_no_name(name: str) -> None:
    came = Headers.from_wire(WIRE)
    assert name not in came
    assert came.get_all(name) == []
    assert came.get(name, "none") == "none"
    with pytest.raises(KeyError):
        came[name]


def test_a_value_that_reads_like_a_name_hides_nothing() -> None:
    came = Headers.from_wire(b"\nX-First\ncontent-type\nContent-Type\ntext/html")
    assert came["content-type"] == "text/html"
    assert came["x-first"] == "content-type"
