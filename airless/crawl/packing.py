"""Requests as the data of a frontier message: hundreds in one, plain links as bare strings."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any

import orjson

from airless.core.errors import MessageError
from airless.crawl.request import Follow, Request, callback_name, link

_OPTIONAL = ("callback", "meta", "headers", "referrer")
_NUMBERS = ("priority", "depth", "redirects", "attempt")
_FLAGS = ("dont_filter", "seed")
_HTTP = ("http://", "https://")
_INT64 = 2**63

_common = attrgetter("referrer", "depth", "callback", "priority")
# What makes a request more than a link, and what a link has there.
_more_than_link = attrgetter(
    "body", "meta", "headers", "dont_filter", "seed", "redirects", "attempt", "method"
)
_NOTHING = (None, None, None, False, False, 0, 0, "GET")


def pack(requests: Sequence[Request]) -> dict[str, Any]:
    """JSON data: ``links`` holds plain ones, as [referrer, depth, callback, priority, [url, …]].

    ``requests`` holds the others, as fields.
    """
    links: list[list[Any]] = []
    others: list[dict[str, Any]] = []
    last: tuple[Any, ...] | None = None
    for request in requests:
        if _more_than_link(request) == _NOTHING:  # as `_is_link`, without a call for each of hundreds
            group = _common(request)
            if group == last:
                links[-1][4].append(request.url)
            else:
                links.append([*group, [request.url]])
                last = group
        else:
            others.append(request_to_dict(request))
    data: dict[str, Any] = {}
    if links:
        data["links"] = links
    if others:
        data["requests"] = others
    return data


def unpack(data: Mapping[str, Any]) -> list[Request]:
    """The requests, in an order that depends on the data alone.

    Raises MessageError for data of another shape: each value has the type that `Request` gives it, and URLs
    begin with http:// or https://.
    """
    return unpack_new(data, None)[0]


def unpack_new(
    data: Mapping[str, Any], known: Callable[[str], bool] | None
) -> tuple[list[Request], list[int], int]:
    """As `unpack`, without the plain links that are `known`: with their positions among all, and how many all are."""
    requests: list[Request] = []
    positions: list[int] = []
    total = 0
    try:
        for group in _list("links", data.get("links", [])):
            referrer, depth, callback, priority, urls = _list("links", group)
            _check("referrer", referrer, str, None)
            _check_number("depth", depth, least=0)
            _check_number("priority", priority)
            callback = callback_name(callback)
            urls = _list("links", urls)
            first, total = total, total + len(urls)
            if known is None:
                positions += range(first, total)
            else:
                new = [at for at, url in enumerate(urls) if not known(url)]
                positions += [first + at for at in new]
                urls = [urls[at] for at in new]
            requests += [link(_url(url), callback, priority, depth, referrer) for url in urls]
        others = _list("requests", data.get("requests", []))
        requests.extend(map(request_from_dict, others))
        positions += range(total, total + len(others))
        total += len(others)
    except (TypeError, ValueError, KeyError) as error:
        raise MessageError(f"not a frontier message: {error}") from error
    return requests, positions, total


def request_to_dict(request: Request) -> dict[str, Any]:
    """The fields that differ from a plain GET's."""
    fields: dict[str, Any] = {"url": request.url}
    if request.method != "GET":
        fields["method"] = request.method
    if request.body is not None:
        fields["body"] = base64.b64encode(request.body).decode()
    for name in (*_OPTIONAL, *_NUMBERS, *_FLAGS):
        value = getattr(request, name)
        if value:
            fields[name] = value
    return fields


def request_from_dict(fields: Mapping[str, Any]) -> Request:
    """The inverse of `request_to_dict`. Raises TypeError, ValueError or KeyError for anything else."""
    _check("requests", fields, dict)
    _check_fields(fields)
    body = fields.get("body")
    request = Request(
        _url(fields["url"]),
        callback=fields.get("callback"),
        method=fields.get("method", "GET"),
        headers=fields.get("headers"),
        body=None if body is None else base64.b64decode(body, validate=True),
        meta=fields.get("meta"),
        priority=fields.get("priority", 0),
        dont_filter=fields.get("dont_filter", False),
    )
    request.referrer = fields.get("referrer")
    request.depth = fields.get("depth", 0)
    request.redirects = fields.get("redirects", 0)
    request.attempt = fields.get("attempt", 0)
    request.seed = fields.get("seed", False)
    return request


def check(found: Request | Follow) -> None:
    """Raises TypeError or ValueError, saying why, for what could not travel; any text may be the URL."""
    if isinstance(found, Follow):
        if not found.resolved and set(map(type, found.urls)) != {str}:
            for url in found.urls:
                _check("url", url, str)
        found = found.request("")
    _check("url", found.url, str)
    if _is_link(found):
        _check_number("priority", found.priority)
        _check("callback", found.callback, str, None)
        return
    fields = request_to_dict(found)
    del fields["url"]
    _check_fields(fields)
    orjson.dumps(fields)


def _check_fields(fields: Mapping[str, Any]) -> None:
    for name in _NUMBERS:
        _check_number(name, fields.get(name, 0), least=None if name == "priority" else 0)
    for name in _FLAGS:
        _check(name, fields.get(name, False), bool)
    for name in ("headers", "meta"):
        _check(name, fields.get(name), dict, None)
    for name, value in (fields.get("headers") or {}).items():
        _check(f"headers.{name}", value, str)
    _check("referrer", fields.get("referrer"), str, None)
    _check("callback", fields.get("callback"), str, None)
    _check("method", fields.get("method", "GET"), str)
    if not fields.get("method", "GET"):
        raise ValueError("a request has a method")


def in_batches(requests: Iterable[Request], size: int) -> Iterable[list[Request]]:
    """Lists of at most `size` requests."""
    left = iter(requests)
    while batch := list(islice(left, size)):
        yield batch


def _url(value: object) -> str:
    if isinstance(value, str) and (value.startswith(_HTTP) or value[:8].lower().startswith(_HTTP)):
        return value
    raise ValueError(f"{value!r} is no absolute http(s) URL")


def _list(name: str, value: object) -> list[Any]:
    _check(name, value, list)
    return value  # type: ignore[return-value]


def _check(name: str, value: object, *kinds: type | None) -> None:
    """Raises TypeError unless the value is of one of the kinds, of which None is one."""
    if (None if value is None else type(value)) in kinds:
        return
    if not any(isinstance(value, kind) for kind in kinds if kind is not None):
        raise TypeError(f"{name!r} can't be {value!r}")


def _check_number(name: str, value: object, least: int | None = None) -> None:
    if type(value) is not int:
        raise TypeError(f"{name!r} must be a whole number, not {value!r}")
    if not (-_INT64 if least is None else least) <= value < _INT64:
        raise ValueError(f"{name!r} is out of range: {value}")


def _is_link(request: Request) -> bool:
    return bool(_more_than_link(request) == _NOTHING)
