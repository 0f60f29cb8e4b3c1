"""HTTP/2 (RFC 9113) for servers that choose it. Needs the extra `http2`."""

from airless.crawl.http.http2.client import Http2Fetcher

__all__ = ["Http2Fetcher"]
