"""Requests and Follows: however a link's Request is made, it is the same."""

from __future__ import annotations

from typing import Any

import pytest

from airless.crawl.request import Follow, Request, link

URL, PAGE = "http://a.test/x", "http://a.test/"


def _fields(request: Request) -> dict[str, Any]:
    return {name: getattr(request, name) for name in Request.__slots__}


def test_a_link_is_a_request_as_any_other() -> None:
    made = Request(URL, callback="parse_it", priority=3)
    made.depth, made.referrer = 2, PAGE
    quick = link(URL, "parse_it", 3, 2, PAGE)
    assert type(quick) is Request
    assert _fields(quick) == _fields(made)


@pytest.mark.parametrize(
    "options",
    [{}, {"callback": "it", "priority": -1}, {"meta": {"k": [1]}}, {"headers": {"X": "y"}}],
    ids=str,
)
def test_a_link_that_was_found_is_its_follows_request_with_its_place(options: dict[str, Any]) -> None:
    follow = Follow([URL], **options)
    expected = follow.request(URL)
    expected.depth, expected.referrer = 5, PAGE
    assert _fields(follow.found(URL, 5, PAGE)) == _fields(expected)


def test_what_a_follow_says_is_each_requests_own() -> None:
    follow = Follow([URL], meta={"k": 1}, headers={"X": "y"})
    one, other = follow.found(URL, 1, PAGE), follow.found(URL, 1, PAGE)
    assert one.meta == other.meta
    assert one.meta is not other.meta
    assert one.headers is not other.headers
