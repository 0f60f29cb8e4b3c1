"""Sites: what a crawl has to know of the host of a URL, looked up by the URL's beginning and remembered."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from airless.crawl.scope import Scope
from airless.crawl.urls import split_origin

if TYPE_CHECKING:
    from airless.crawl.shard import Shard

_MEMO = 10_000


class Site:
    """A host in scope: its key, and the hash of that, from which its shards are counted.

    `index` is that of its shard, once it is known to have one alone, and `owner` the shard, where this process owns it.
    """

    __slots__ = ("hash", "host", "index", "owner")

    def __init__(self, host: str) -> None:
        self.host = host
        self.hash = host_hash(host)
        self.index: int | None = None
        self.owner: Shard | None = None


class Sites(dict[str, Site | None]):
    """By what stands before the path of a canonical URL (``https://example.com:8080``): its site.

    None where the host is out of scope. What isn't known yet is looked up in the scope; the memory is bounded.
    """

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        self._scope = scope

    def __missing__(self, start: str) -> Site | None:
        if len(self) >= _MEMO:
            self.clear()
        found = self[start] = Site(_key(start)) if self._scope.allows(f"{start}/") else None
        return found

    def of(self, url: str) -> Site | None:
        """The site of a canonical URL."""
        return self[url[: url.index("/", 8)]]


def host_key(url: str) -> str:
    """What a pace and a shard belong to: the host, with its port where that is not the scheme's own."""
    return _key(url[: url.index("/", 8)])


def host_keys(urls: Iterable[str]) -> list[str]:
    """The `host_key` of each; of neighbours that begin alike it is found once."""
    keys, start, key = [], " ", ""
    for url in urls:
        if not url.startswith(start):
            start = url[: url.index("/", 8) + 1]
            key = host_key(start)
        keys.append(key)
    return keys


def host_hash(host: str) -> int:
    """A hash of a host's key that is the same in every process."""
    return zlib.crc32(host.encode())


@lru_cache(maxsize=_MEMO)
def _key(start: str) -> str:
    scheme, host, port = split_origin(f"{start}/")
    return host if (scheme, port) in {("http", 80), ("https", 443)} else f"{host}:{port}"
