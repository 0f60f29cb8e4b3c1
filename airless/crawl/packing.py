"""Requests as the data of a frontier message: hundreds in one, plain links as bare strings."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airless.core.errors import MessageError
from airless.crawl.request import Request

_OPTIONAL = ("callback", "meta", "headers", "referrer")
_NUMBERS = ("priority", "depth", "redirects", "attempt")
_FLAGS = ("dont_filter", "seed")


def pack(requests: Sequence[Request]) -> dict[str, Any]:
    """JSON data: ``links`` is a list of [referrer, depth, callback, priority, [url, …]], ``requests`` the others."""
    links: list[list[Any]] = []
    others: list[dict[str, Any]] = []
    last: tuple[Any, ...] | None = None
    for request in requests:
        if _is_link(request):
            group = (request.referrer, request.depth, request.callback, request.priority)
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
    """The requests, in an order that depends on the data alone. Raises MessageError for data of another shape."""
    requests: list[Request] = []
    try:
        for referrer, depth, callback, priority, urls in data.get("links", ()):
            for url in urls:
                request = Request(url, callback=callback, priority=priority)
                request.referrer = referrer
                request.depth = depth
                requests.append(request)
        requests.extend(request_from_dict(fields) for fields in data.get("requests", ()))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise MessageError(f"not a frontier message: {error}") from error
    return requests


def count(data: Mapping[str, Any]) -> int:
    """How many requests `unpack` would give."""
    return sum(len(group[4]) for group in data.get("links", ())) + len(data.get("requests", ()))


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
    body = fields.get("body")
    request = Request(
        fields["url"],
        callback=fields.get("callback"),
        method=fields.get("method", "GET"),
        headers=fields.get("headers"),
        body=None if body is None else base64.b64decode(body),
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


def in_batches(requests: Iterable[Request], size: int) -> Iterable[list[Request]]:
    """Lists of at most `size` requests."""
    batch: list[Request] = []
    for request in requests:
        batch.append(request)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _is_link(request: Request) -> bool:
    return not (
        request.body is not None
        or request.meta
        or request.headers
        or request.dont_filter
        or request.seed
        or request.redirects
        or request.attempt
        or request.method != "GET"
    )
