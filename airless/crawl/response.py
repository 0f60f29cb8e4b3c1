"""A response: the answer to one request, and the ways to read it."""

from __future__ import annotations

from airless.crawl.headers import Headers
from airless.crawl.request import Request


class Response:
    """One answer. `body` is decompressed; `wire_bytes` counts it as it came; `address` is the IP connected to."""

    def __init__(
        self,
        url: str,
        status: int,
        headers: Headers,
        body: bytes,
        *,
        request: Request,
        elapsed_s: float = 0.0,
        wire_bytes: int = 0,
        address: str | None = None,
    ) -> None:
        self.url = url
        self.status = status
        self.headers = headers
        self.body = body
        self.request = request
        self.elapsed_s = elapsed_s
        self.wire_bytes = wire_bytes
        self.address = address
