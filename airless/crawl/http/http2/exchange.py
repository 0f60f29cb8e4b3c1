"""One request and its answer, on one stream."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Iterable
from http import HTTPMethod

from airless.crawl.errors import FetchError, ProtocolError, TruncatedBody
from airless.crawl.headers import Headers
from airless.crawl.http.bodies import Body, codings
from airless.crawl.request import Request

_HEAD_BYTES = 64 * 1024
_FIELDS = 256
_NOT_IN_A_FIELD = b"\0\r\n"


class Again(enum.Enum):
    """Whether a request that failed may be sent again at once, without knowing more."""

    NO = enum.auto()
    # It may have been acted upon (RFC 9110 §9.2.2).
    IDEMPOTENT = enum.auto()
    # It was not looked at (RFC 9113 §8.7).
    ANY = enum.auto()
    # Nor will it be, over this protocol.
    HTTP_1_1 = enum.auto()


class Exchange:
    """Fed with what comes on its stream, until `done` ends with nothing or with a FetchError.

    `sending` is what is left of the request's body. After a failure `again` says what may be done about it.
    """

    __slots__ = (
        "_announced",
        "_body",
        "_bodyless",
        "_limit_bytes",
        "_request",
        "again",
        "done",
        "headers",
        "sending",
        "status",
        "what",
    )

    def __init__(self, request: Request, what: str, limit_bytes: int) -> None:
        self.what = what
        self.status = 0
        self.headers = Headers()
        self.again = Again.NO
        self.sending = memoryview(request.body or b"")
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._limit_bytes = limit_bytes
        self._body = Body(what, (), limit_bytes)
        self._announced: int | None = None
        self._bodyless = False

    @property
    def begun(self) -> bool:
        """Whether the answer's head is in."""
        return self.status > 0

    @property
    def wire_bytes(self) -> int:
        return self._body.wire_bytes

    def head(self, fields: Iterable[tuple[bytes, bytes]]) -> None:
        """The answer's head. Raises FetchError where it is none, or the body isn't wanted."""
        status: bytes | None = None
        lines = [b""]
        for name, value in fields:
            # RFC 9113 §8.2.1 and §8.3; blanks around a value and capitals are let pass, as servers send them.
            if name == b":status" and status is None and len(lines) == 1:
                status = value
            elif name[:1] in (b":", b"") or any(c in _NOT_IN_A_FIELD for c in name + value):
                raise self._invalid(f"the field {name[:100]!r} is none")
            else:
                lines += name, value
        wire = b"\n".join(lines)
        if len(wire) > _HEAD_BYTES or len(lines) > 2 * _FIELDS:
            raise self._invalid(f"its head of {len(wire)} bytes has too many fields or too long ones")
        if status is None or len(status) != 3 or not status.isdigit() or status < b"200":
            raise self._invalid(f"it has the status {(status or b'')[:20]!r}")
        self.status = int(status)
        self.headers = Headers.from_wire(wire)
        method = self._request.method.upper()
        self._bodyless = method == HTTPMethod.HEAD or self.status in (204, 304)
        coded = () if self._bodyless else codings(self.headers)
        self._body = Body(self.what, coded, self._limit_bytes)
        length = self.headers.get("content-length")
        if length is not None and not self._bodyless:
            self._announced = self._length(length)
            self._body.expect(self._announced)

    def feed(self, data: bytes) -> None:
        """A piece of the body. Raises FetchError where it isn't wanted."""
        if data and self._bodyless:
            raise self._invalid("a body where there can be none")
        self._body.feed(data)

    def end(self) -> None:
        """The stream is over in order."""
        if self._announced is not None and self._announced != self.wire_bytes:
            self.fail(self.cut_short())
        elif not self.done.done():
            self.done.set_result(None)

    def body(self) -> bytes:
        """The whole decoded body. Raises FetchError where it can't be had."""
        return self._body.finish()

    def fail(self, error: FetchError, again: Again = Again.NO) -> None:
        if not self.done.done():
            self.again = again
            self.done.set_exception(error)

    def cut_short(self) -> FetchError:
        """The error for a body that isn't what its length says."""
        announced = "the end" if self._announced is None else f"all of {self._announced} bytes"
        return TruncatedBody(f"{self.what}: the body broke off before {announced}")

    def miscounted(self, expected: int, actual: int) -> None:
        """The stream ended with fewer bytes of body than announced, or had more."""
        if self._bodyless and not actual:
            # RFC 9110 §8.6: there the length is that of another answer.
            self.end()
        elif actual < expected:
            self.fail(self.cut_short())
        else:
            self.fail(self._invalid(f"more body than the {expected} bytes announced"))

    def _length(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise self._invalid(f"its length is {text[:100]!r}")
        return int(text)

    def _invalid(self, reason: str) -> ProtocolError:
        return ProtocolError(f"{self.what}: the answer is no valid HTTP: {reason}")
