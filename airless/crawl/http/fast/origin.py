"""Where a URL leads: the part before its path, read once for all the pages of a site."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from airless.crawl.errors import ProtocolError
from airless.crawl.http.addresses import literal

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\x00-\x20\x7f\[\]@:/?#\\]+)(?::([0-9]*))?", re.ASCII)
_LIKE_IPV4 = re.compile(r"[0-9.]+")
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port (RFC 6454), and the user and password that a URL may name with them.

    `host` is without brackets, `host_field` is the Host field, `authorization` the field of that name.
    """

    host: str
    port: int
    tls: bool
    host_field: str
    authorization: str | None

    @property
    def key(self) -> str:
        """The same for two URLs that can share a connection."""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"


def split(url: str) -> tuple[str, str]:
    """What stands before the path, and the path with the query, as they are; the fragment is dropped."""
    # A slash at 7 or before would be one of the scheme's.
    cut = url.find("/", 8)
    if cut < 0:
        return url.partition("#")[0], "/"
    if "#" in url:
        url = url.partition("#")[0]
    return url[:cut], url[cut:] or "/"


def origin(prefix: str, what: str) -> Origin:
    """Read a URL up to its path. Raises ProtocolError, with `what` in it, where nothing can be fetched."""
    scheme, mark, authority = prefix.partition("://")
    if scheme not in _DEFAULT_PORTS or not mark or not authority.isascii():
        raise ProtocolError(f"{what}: not an http(s) URL in the URL standard's serialisation")
    credentials, at, place = authority.rpartition("@")
    found = _HOST_AND_PORT.fullmatch(place)
    if found is None:
        raise ProtocolError(f"{what}: the URL names no host")
    written, digits = found[1].rstrip(".").lower(), found[2]
    # One digit more than a port has says as much as a thousand.
    port = int(digits.lstrip("0")[:6] or "0") if digits else _DEFAULT_PORTS[scheme]
    is_address = literal(written) is not None
    if not written or port > _MAX_PORT or (not is_address and _no_name(written)):
        raise ProtocolError(f"{what}: the URL names no host that can be connected to")
    return Origin(
        host=written.strip("[]"),
        port=port,
        tls=scheme == "https",
        host_field=written if port == _DEFAULT_PORTS[scheme] else f"{written}:{port}",
        authorization=_basic(credentials) if at else None,
    )


def _no_name(host: str) -> bool:
    return host.startswith("[") or _LIKE_IPV4.fullmatch(host) is not None


def _basic(credentials: str) -> str:
    """RFC 7617."""
    user, _, password = credentials.partition(":")
    pair = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return f"Basic {b64encode(pair).decode()}"
