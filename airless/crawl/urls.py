"""URL identity: the form that is fetched, the key that deduplicates, the caps against endless URLs.

Every function but `canonical`, `seed` and `join` takes URLs that are canonical already and only cuts strings:
a serialised http(s) URL is ``scheme://[userinfo@]host[:port]/path[?query]``, in ASCII, its path never empty.
"""

from __future__ import annotations

import re
from hashlib import blake2b

from url import URL, URLError

from airless.core.errors import ConfigError
from airless.crawl.compiled import speed
from airless.crawl.settings import Dedup, Traps

_HTTP = ("http://", "https://")
_DEFAULT_PORT = {"http": 80, "https": 443}
_WITH_SCHEME = re.compile(r"https?:", re.IGNORECASE)
_WITH_AUTHORITY = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"(?:\[[^\]/?#]*\]|[^\W_][^:/?#@\[\]\\]*)(?::[0-9]*)?(?:[/?#].*)?", re.DOTALL)
_IPV4 = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")


def canonical(url: str) -> str | None:
    """The URL standard's serialisation of an absolute http(s) URL, less its fragment; None for anything else.

    Path and query keep their case and order. Source: WHATWG URL §4.4 (parsing) and §4.5 (serialising).
    """
    try:
        text = str(URL.parse(url))
    except (URLError, UnicodeEncodeError):
        return None
    # In a serialised URL the first '#' can only be the fragment's: everywhere before it is percent-encoded.
    text = text.partition("#")[0]
    return text if text.startswith(_HTTP) else None


def join(base: str, reference: str) -> str | None:
    """A page's `reference` resolved against the absolute URL `base`: canonical, or None (as `canonical`).

    White space around it and tabs and newlines inside are dropped, as the standard's parser does.
    """
    try:
        return resolve(URL.parse(base), reference)
    except (URLError, UnicodeEncodeError):
        return None


def resolve(base: URL, reference: str) -> str | None:
    """`join` for a base that is parsed already: a page resolves its many links against one base."""
    try:
        text = str(base.join(reference))
    except (URLError, UnicodeEncodeError):
        return None
    # As in `canonical`, without a call: a page has scores of links.
    if "#" in text:
        text = text.partition("#")[0]
    return text if text.startswith(_HTTP) else None


def parsed(base: str) -> URL:
    """A base for `resolve`. Raises ConfigError if it is no absolute URL."""
    try:
        return URL.parse(base)
    except (URLError, UnicodeEncodeError) as error:
        raise ConfigError(f"{base!r} is no absolute URL: {error}") from error


def seed(url: str) -> str:
    """A start URL as a person types it, made canonical.

    Without a scheme it is https, or http for localhost and IP addresses. Raises ConfigError, saying why, for
    what can't be crawled.
    """
    typed = url.strip()
    if not typed:
        raise ConfigError("an empty string is no URL to crawl")
    if _WITH_SCHEME.match(typed):
        return _seed(typed, url)
    other = _WITH_AUTHORITY.match(typed)
    if other:
        raise ConfigError(f"{url!r} can't be crawled: only http and https can, not {other[1].lower()}")
    bare = typed.removeprefix("//")
    if not _HOST_AND_PORT.fullmatch(bare):
        raise ConfigError(f"{url!r} is no URL to crawl: write it as https://host/path")
    secure = _seed(f"https://{bare}", url)
    host = host_of(secure)
    if _IPV4.fullmatch(host) and host not in bare:
        raise ConfigError(f"{url!r} is no URL to crawl: it would be read as the address {host}")
    if _is_local(host) and not typed.startswith("//"):
        return _seed(f"http://{bare}", url)
    return secure


def _seed(absolute: str, typed: str) -> str:
    try:
        return str(URL.parse(absolute)).partition("#")[0]
    except (URLError, UnicodeEncodeError) as error:
        raise ConfigError(f"{typed!r} is no URL to crawl: {error}") from error


def _is_local(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost") or is_address(host)


def is_address(host: str) -> bool:
    """Whether a canonical host is an IPv4 or an IPv6 address (the latter in brackets) and not a name."""
    return host.startswith("[") or _IPV4.fullmatch(host) is not None


def split_origin(url: str) -> tuple[str, str, int]:
    """Scheme, host (IPv6 in brackets) and port (the scheme's where none is written) of a canonical URL."""
    scheme, _, rest = url.partition("://")
    authority = rest.partition("/")[0].rpartition("@")[2]
    host, colon, port = authority.rpartition(":")
    if colon and not port.endswith("]"):
        return scheme, host, int(port)
    return scheme, authority, _DEFAULT_PORT[scheme]


def origin(url: str) -> str:
    """``https://host[:port]`` of a canonical URL, a default port left out (WHATWG URL §4.7)."""
    end = url.find("/", 8)
    authority = url[:end]
    if "@" not in authority:
        return authority
    scheme, _, rest = authority.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def host_of(url: str) -> str:
    """The host of a canonical URL, in ASCII lower case; an IPv6 address keeps its brackets."""
    authority = url.split("/", 3)[2]
    if "@" in authority:
        authority = authority.rpartition("@")[2]
    if ":" not in authority:
        return authority
    return authority[: authority.index("]") + 1] if authority[0] == "[" else authority.partition(":")[0]


def dedup_key(url: str, dedup: Dedup) -> str:
    """What two canonical URLs have in common if they are to be one page; never fetched.

    The query's ``&``-separated pairs are sorted by name, those of one name in the order they came
    (``a=2&a=1`` may mean something else than ``a=1&a=2``), and pairs with a dropped name go. Nothing is
    decoded; path, userinfo and case stay. An empty query isn't the same as none (WHATWG URL §4.5), so ``/x?``
    and ``/x`` stay two, but a query of which every pair was dropped is gone.
    """
    path, mark, query = url.partition("?")
    if not mark:
        return url
    pairs = query.split("&")
    if dedup.drop_parameters:
        pairs = [pair for pair in pairs if not _dropped(pair.partition("=")[0], dedup.drop_parameters)]
        if not pairs:
            return path
    if dedup.sort_query and len(pairs) > 1:
        pairs.sort(key=_pair_name)
    return f"{path}?{'&'.join(pairs)}"


def _pair_name(pair: str) -> str:
    return pair.partition("=")[0]


def _dropped(name: str, patterns: tuple[str, ...]) -> bool:
    return any(
        name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern for pattern in patterns
    )


def fingerprint(key: str, method: str = "GET", body: bytes | None = None) -> int:
    """64 bits (unsigned) of BLAKE2b (RFC 7693) that stand for a request in the seen set.

    A GET without a body hashes its key alone; another method or a body makes another fingerprint.
    """
    hashed = key.encode()
    if method != "GET" or body:
        method = method.upper()
        if method != "GET" or body:
            # Neither a canonical URL nor a method can hold a newline, so no two requests make the same bytes.
            hashed = b"%s\n%s\n%s" % (hashed, method.encode(), body or b"")
    if speed is not None:
        return speed.fingerprint(hashed)  # type: ignore[no-any-return]
    return int.from_bytes(blake2b(hashed, digest_size=8).digest(), "big")


def trap(url: str, depth: int, traps: Traps) -> str | None:
    """The name of the cap that a canonical URL is over, or None: it may be fetched.

    `depth` counts links from the seeds. ``url_too_long``: more than `url_chars` characters. ``trap_depth``:
    deeper than `depth`. ``too_many_parameters``: more ``&``-separated pairs than `query_parameters`.
    ``path_repeats``: one path segment stands more than `path_repeats` times in the path, wherever. A run of
    segments that comes n times in a row (``/a/b/a/b/``) shows n times each of its segments, so the one count
    covers both. Equal segments do occur on sane sites, as in dates (``/2011/11/11/``) and grids
    (``/1/1/1/``), but a relative link that grows by itself passes any bound: the default of 4 lets the former
    live and ends the latter after a few pages.
    """
    if len(url) > traps.url_chars:
        return "url_too_long"
    if depth > traps.depth:
        return "trap_depth"
    path = url
    if "?" in url:
        path, _, query = url.partition("?")
        if query.count("&") >= traps.query_parameters:
            return "too_many_parameters"
    if path.count("/") - 2 > traps.path_repeats and _most_repeated(path) > traps.path_repeats:
        return "path_repeats"
    return None


def _most_repeated(path: str) -> int:
    segments = path.split("/")[3:]
    if not segments[-1]:
        segments.pop()  # what follows a closing slash is no segment of its own
    counts: dict[str, int] = {}
    for segment in segments:
        counts[segment] = counts.get(segment, 0) + 1
    return max(counts.values(), default=0)
