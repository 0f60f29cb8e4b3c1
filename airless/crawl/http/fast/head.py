"""What is sent before a request's body: one ready piece a site, put together anew only for what is special."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from airless.crawl.compiled import speed
from airless.crawl.errors import ProtocolError
from airless.crawl.http.bodies import ACCEPT_ENCODING
from airless.crawl.http.fast.origin import Origin
from airless.crawl.request import Request
from airless.crawl.settings import Http

_ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_A_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# RFC 9110 §8.6: these say so where they have no body.
_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})
_OF_THE_CONNECTION = frozenset(
    {"connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"}
)


def is_target(text: str) -> bool:
    """Whether a path with its query is as the URL standard writes it."""
    return text.isascii() and text.isprintable() and " " not in text


def common(fields: Mapping[str, str] | None) -> bool:
    """Whether the fields leave to the fetcher how the message is framed and what becomes of the connection."""
    return fields is None or not any(name.lower() in _OF_THE_CONNECTION for name in fields)


def _request_head(url: str, cut: int, rest: bytes) -> bytes | None:
    target = url[cut:]
    if cut < 0 or "#" in target or not is_target(target):
        return None
    return b"GET %b%b" % (target.encode(), rest)


request_head: Callable[[str, int, bytes], bytes | None] = (
    _request_head if speed is None else speed.request_head
)
"""The head of a GET for what follows the first `cut` characters of a URL, or None where it can't be sent as it is.

`rest` is what `Heads.rest` gives.
"""


class Heads:
    """Writes the heads of requests (RFC 9112 §3) with the settings' fields, which a request's own replace."""

    def __init__(self, http: Http) -> None:
        defaults = {
            "User-Agent": http.user_agent,
            "Accept": _ACCEPT,
            "Accept-Encoding": ACCEPT_ENCODING,
            **http.headers,
        }
        self._defaults = {name.lower(): (name, value) for name, value in defaults.items()}

    def rest(self, site: Origin, what: str) -> bytes:
        """What follows the target in a request that has nothing special."""
        return b" HTTP/1.1\r\n%b\r\n" % self._lines(self._fields(site), what)

    def special(self, request: Request, site: Origin, target: str, cookie: str | None, what: str) -> bytes:
        """A whole head. Raises ProtocolError for a method or a field that would make another message of it."""
        method = request.method.upper()
        if not _TOKEN.fullmatch(method):
            raise ProtocolError(f"{what[:200]!r}: the request can't be sent: the method is no token")
        fields = self._fields(site)
        if cookie is not None:
            fields["cookie"] = ("Cookie", cookie)
        for name, value in (request.headers or {}).items():
            fields[name.lower()] = (name, value)
        if request.body is not None or method in _WITH_LENGTH:
            fields["content-length"] = ("Content-Length", str(len(request.body or b"")))
        return b"%b %b HTTP/1.1\r\n%b\r\n" % (method.encode(), target.encode(), self._lines(fields, what))

    def _fields(self, site: Origin) -> dict[str, tuple[str, str]]:
        fields = {"host": ("Host", site.host_field), **self._defaults}
        if site.authorization is not None:
            fields["authorization"] = ("Authorization", site.authorization)
        return fields

    @staticmethod
    def _lines(fields: Mapping[str, tuple[str, str]], what: str) -> bytes:
        for name, value in fields.values():
            if not _TOKEN.fullmatch(name) or _NOT_IN_A_VALUE.search(value):
                raise ProtocolError(f"{what}: the request can't be sent: the field {name[:100]!r} is none")
        return "".join(f"{name}: {value}\r\n" for name, value in fields.values()).encode()
