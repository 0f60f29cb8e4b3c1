"""Requests on the wire: nothing is lost of them, and nothing malformed gets past."""

from typing import Any

import orjson
import pytest

from airless.core.errors import MessageError
from airless.crawl.packing import (
    check,
    in_batches,
    pack,
    request_from_dict,
    request_to_dict,
    unpack,
    unpack_new,
)
from airless.crawl.request import Request

URL = "https://example.com/"


def _full() -> Request:
    request = Request(
        "https://example.com/search",
        callback="parse_result",
        method="POST",
        headers={"X-One": "1", "Content-Type": "text/plain"},
        body=b"\x00\xff binary",
        meta={"page": 2, "nested": {"a": [1, None, "ü"]}},
        priority=-3,
        dont_filter=True,
    )
    request.referrer = "https://example.com/"
    request.depth = 4
    request.redirects = 2
    request.attempt = 1
    request.seed = True
    return request


def _values(request: Request) -> dict[str, Any]:
    return {name: getattr(request, name) for name in Request.__slots__}


def _over_the_wire(requests: list[Request]) -> list[Request]:
    return unpack(orjson.loads(orjson.dumps(pack(requests))))


def _link(number: int, *, referrer: str | None = URL, depth: int = 1) -> Request:
    request = Request(f"{URL}{number}")
    request.referrer = referrer
    request.depth = depth
    return request


def test_every_field_of_a_request_travels() -> None:
    (came,) = _over_the_wire([_full()])
    assert _values(came) == _values(_full())


def test_plain_links_of_a_page_travel_as_bare_strings() -> None:
    data = pack([_link(n) for n in range(3)])
    assert data == {"links": [[URL, 1, None, 0, [f"{URL}0", f"{URL}1", f"{URL}2"]]]}


@pytest.mark.parametrize(
    "change",
    [
        {"referrer": None},
        {"depth": 7},
        {"callback": "parse_other"},
        {"priority": 5},
        {"headers": {"X": "1"}},
        {"meta": {"a": 1}},
        {"method": "HEAD"},
        {"body": b""},
        {"body": b"x"},
        {"dont_filter": True},
        {"seed": True},
        {"redirects": 1},
        {"attempt": 2},
    ],
    ids=lambda change: "-".join(map(str, change)),
)
def test_a_link_that_differs_in_one_field_keeps_it(change: dict[str, Any]) -> None:
    odd = _link(1)
    for name, value in change.items():
        setattr(odd, name, value)
    came = _over_the_wire([_link(0), odd, _link(2)])
    assert sorted(map(str, map(_values, came))) == sorted(map(str, map(_values, [_link(0), odd, _link(2)])))


def test_the_order_depends_on_the_data_alone() -> None:
    requests = [_link(0), _full(), _link(1), _link(2, depth=3), _link(3)]
    data = pack(requests)
    assert [r.url for r in unpack(data)] == [r.url for r in unpack(orjson.loads(orjson.dumps(data)))]


def test_a_request_published_by_hand_needs_its_url_alone() -> None:
    (request,) = unpack({"requests": [{"url": URL}]})
    assert _values(request) == _values(Request(URL))


def test_plain_links_that_are_known_are_left_out() -> None:
    requests = [_link(0), _full(), _link(1), _link(2, depth=3)]
    known = {_link(0).url, _link(2).url, _full().url}
    found, positions, total = unpack_new(pack(requests), known.__contains__)
    assert sorted(request.url for request in found) == sorted([_link(1).url, _full().url])
    everything = unpack(pack(requests))
    assert [everything[at].url for at in positions] == [request.url for request in found]
    assert total == 4


def test_a_message_without_requests_has_none() -> None:
    assert unpack({}) == []
    assert unpack({"links": [], "requests": []}) == []
    assert pack([]) == {}


def test_one_request_as_fields_holds_only_what_differs_from_a_plain_get() -> None:
    assert request_to_dict(Request(URL)) == {"url": URL}
    assert _values(request_from_dict(request_to_dict(_full()))) == _values(_full())


@pytest.mark.parametrize("url", [None, 7, True, ["x"], {}, "", "/relative", "ftp://example.com/", "http:/x"])
def test_what_is_no_absolute_http_url_is_refused(url: object) -> None:
    with pytest.raises(MessageError):
        unpack({"requests": [{"url": url}]})
    with pytest.raises(MessageError):
        unpack({"links": [[None, 0, None, 0, [url]]]})


@pytest.mark.parametrize(
    "links",
    [
        None,
        5,
        "http://example.com/",
        {"url": URL},
        [URL],
        [[URL]],
        [[None, 0, None, 0]],
        [[None, 0, None, 0, [URL], "more"]],
        [[None, 0, None, 0, URL]],
        [[None, 0, None, 0, None]],
        [[None, 0, None, 0, {URL: 1}]],
        [[None, "0", None, 0, [URL]]],
        [[None, True, None, 0, [URL]]],
        [[None, -1, None, 0, [URL]]],
        [[None, 0, None, 1.5, [URL]]],
        [[None, 0, None, None, [URL]]],
        [[None, 0, 9, 0, [URL]]],
        [[9, 0, None, 0, [URL]]],
        [None],
    ],
    ids=repr,
)
def test_malformed_links_are_refused(links: object) -> None:
    with pytest.raises(MessageError, match="frontier message"):
        unpack({"links": links})


@pytest.mark.parametrize(
    "requests", [None, 5, URL, {"url": URL}, [URL], [None], [7], [[URL]], [{}]], ids=repr
)
def test_malformed_requests_are_refused(requests: object) -> None:
    with pytest.raises(MessageError, match="frontier message"):
        unpack({"requests": requests})


@pytest.mark.parametrize(
    "fields",
    [
        {"body": "not base64!"},
        {"body": "abc"},
        {"body": "ü"},
        {"body": 7},
        {"method": 7},
        {"method": ""},
        {"method": None},
        {"callback": 7},
        {"headers": "a: b"},
        {"headers": ["a"]},
        {"headers": [["a", "b"]]},
        {"headers": {"a": 1}},
        {"meta": "x"},
        {"meta": [1]},
        {"priority": "1"},
        {"priority": None},
        {"priority": 2**63},
        {"priority": -(2**63) - 1},
        {"depth": "1"},
        {"depth": -1},
        {"depth": 1.5},
        {"redirects": None},
        {"attempt": "x"},
        {"dont_filter": "yes"},
        {"seed": 1},
        {"referrer": 7},
    ],
    ids=repr,
)
def test_a_field_of_the_wrong_type_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(MessageError, match="frontier message"):
        unpack({"requests": [{"url": URL, **fields}]})


def test_batches_hold_everything_in_order() -> None:
    requests = [_link(n) for n in range(7)]
    batches = list(in_batches(requests, 3))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    assert [request for batch in batches for request in batch] == requests
    assert list(in_batches([], 3)) == []
    assert [len(batch) for batch in in_batches(requests[:6], 3)] == [3, 3]


def test_a_request_whose_fields_were_emptied_by_hand_travels_all_the_same() -> None:
    emptied = Request(URL, meta={"a": 1}, headers={"A": "b"})
    emptied.meta, emptied.headers = {}, {}
    check(emptied)
    (back,) = unpack(pack([emptied]))
    assert request_to_dict(back) == request_to_dict(emptied) == {"url": URL}
