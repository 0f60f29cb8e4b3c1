"""One answer as it comes in: told by the parser what stands in it, and stopped where that goes too far."""

from __future__ import annotations

import httptools

from airless.crawl.errors import BodyTooLarge, ConnectError, FetchError, ProtocolError, TruncatedBody
from airless.crawl.headers import Headers
from airless.crawl.http.bodies import Body, codings
from airless.crawl.request import Request

_LINE_BYTES = 8 * 1024
_HEAD_BYTES = 64 * 1024
_FIELDS = 256


class Answer:
    """What one connection's parser (llhttp) reports goes here, one answer after the other.

    After `begin` what comes is fed to the parser, until `fault` is set or `complete` is true; then `headers` and
    `body` give the result. `stray` says that bytes followed which nobody had asked for. `progress` grows with
    each head and each byte of body.
    """

    __slots__ = (
        "_body",
        "_fields",
        "_head",
        "_heads",
        "_limit_bytes",
        "_parser_waits",
        "_pieces",
        "_request",
        "_to_head",
        "begun",
        "complete",
        "delimited",
        "fault",
        "framed",
        "in_head",
        "keeps_alive",
        "parser",
        "status",
        "stray",
        "wire_bytes",
    )

    parser: httptools.HttpResponseParser
    _parser_waits: bool

    def __init__(self) -> None:
        self.stray = False
        self.complete = True
        self._renew_parser()

    def begin(self, request: Request, limit_bytes: int) -> None:
        """Get ready for the answer to `request`, with at most `limit_bytes` of decoded body."""
        if self._parser_waits:
            self._renew_parser()
        self._request = request
        self._to_head = request.method != "GET" and request.method.upper() == "HEAD"
        self._limit_bytes = limit_bytes
        self._fields: list[bytes] = [b""]
        self._pieces: list[bytes] = []
        self._body: Body | None = None
        self.fault: FetchError | None = None
        self.begun = self.complete = self.delimited = self.framed = False
        self.in_head = True
        self._heads = self.status = self.wire_bytes = 0

    @property
    def what(self) -> str:
        """The page's name in errors."""
        return f"{self._request.method} {self._request.url}"

    @property
    def progress(self) -> int:
        return self._heads + self.wire_bytes

    def headers(self) -> Headers:
        return Headers.from_wire(self._head)

    def body(self) -> bytes:
        """The whole decoded body. Raises FetchError where it can't be had."""
        if self._body is not None:
            return self._body.finish()
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def frame(self) -> None:
        """Look at the fields that say how the body comes and how long it is; refuse what can't be had."""
        self.framed = True
        bodyless = self._to_head or self.status == 204 or self.status == 304
        for coding in self._named(b"transfer-encoding"):
            self.delimited = True
            if coding.strip().lower() not in (b"chunked", b"identity"):
                self._refuse(f"the transfer coding {coding[:100]!r} was not asked for")
        coded = codings(self.headers()) if self._named(b"content-encoding") else ()
        lengths = self._named(b"content-length")
        if lengths:
            self.delimited = True
        if bodyless or self.fault is not None:
            return
        try:
            body = Body(self.what, coded, self._limit_bytes)
            if lengths:
                body.expect(int(lengths[0]))
        except FetchError as error:
            self.fault = error
        else:
            self._body = body if coded else None

    def broken(self, error: Exception) -> None:
        """The parser gave up."""
        if self.complete:
            self.stray = True
        elif self.fault is None:
            reason = " ".join(str(error).split())[:200]
            if self.in_head:
                self.fault = ProtocolError(f"{self.what}: the answer is no valid HTTP: {reason}")
            else:
                self.fault = TruncatedBody(f"{self.what}: the body broke off: {reason}")
            self.fault.__cause__ = error

    def ended(self, error: Exception | None) -> None:
        """The connection is gone: the end of an answer without a length (RFC 9112 §8), or a fault."""
        if self.in_head:
            self.fault = ConnectError(f"{self.what}: the connection was closed before an answer")
        elif self.delimited or error is not None:
            self.fault = TruncatedBody(f"{self.what}: the connection ended within the body")
        else:
            self.complete = True
            return
        self.fault.__cause__ = error or EOFError("the server closed the connection")

    # The parser calls these.

    def on_message_begin(self) -> None:
        if self.complete:
            self.stray = True
        self.begun = True

    def on_status(self, reason: bytes) -> None:
        if len(reason) > _LINE_BYTES:
            self._refuse(f"its first line is over {_LINE_BYTES} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        # Those of a trailer, and of what follows the answer, are nobody's.
        if self.in_head:
            fields = self._fields
            fields.append(name)
            fields.append(value)

    def on_headers_complete(self) -> None:
        if not self.in_head:
            return
        self.in_head = False
        self._heads += 1
        self._head = head = b"\n".join(self._fields)
        if len(head) > _HEAD_BYTES or len(self._fields) > 2 * _FIELDS:
            self._refuse(f"its head of {len(head)} bytes has too many fields or too long ones")
        self.status = self.parser.get_status_code()
        if self.status < 200:
            # Early hints and the like (RFC 9110 §15.2): their end is reported like that of an answer.
            framed = self._named(b"content-length") or self._named(b"transfer-encoding")
            if self.status < 100 or self.status == 101 or framed:
                self._refuse(f"it has the status {self.status}")
            return
        # Most heads need no closer look, or not before the body takes a second read.
        lower = head.lower()
        if b"\ncontent-encoding\n" in lower or b"\ntransfer-encoding\n" in lower:
            self.frame()
        if self._to_head:
            # Which is over, but the parser waits for the body that the fields may announce.
            self._parser_waits = True
            self.keeps_alive = self.parser.get_http_version() == "1.1" and not self._closes()
            self.complete = True

    def on_body(self, piece: bytes) -> None:
        if self.complete:
            self.stray = True
        if self.stray or self.fault is not None:
            return
        self.wire_bytes += len(piece)
        if self._body is not None:
            try:
                self._body.feed(piece)
            except FetchError as error:
                self.fault = error
            return
        self._pieces.append(piece)
        if self.wire_bytes > self._limit_bytes:
            self.fault = BodyTooLarge(f"{self.what}: the body is over {self._limit_bytes} bytes")

    def on_message_complete(self) -> None:
        if self.complete:
            return
        if self.status < 200:
            self.in_head = True
            self._fields = [b""]
            return
        self.complete = True
        self.keeps_alive = self.parser.should_keep_alive()

    def _named(self, wanted: bytes) -> list[bytes]:
        fields = self._fields
        names = fields[1::2]
        return [fields[2 * place + 2] for place, name in enumerate(names) if name.lower() == wanted]

    def _closes(self) -> bool:
        return any(b"close" in value.lower() for value in self._named(b"connection"))

    def _renew_parser(self) -> None:
        self._parser_waits = False
        self.parser = httptools.HttpResponseParser(self)
        # What browsers let pass; with no proxy behind us, nobody else can read it in another way.
        self.parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )

    def _refuse(self, reason: str) -> None:
        if self.fault is None:
            self.fault = ProtocolError(f"{self.what}: the answer is refused: {reason}")
