"""What a ``redis://`` or ``rediss://`` URL says."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from airless.core.errors import ConfigError
from airless.engines.outside import check_place

FORM = "redis://[USER:PASSWORD@]HOST[:PORT][/DB][?prefix=airless][&objects=PLACE][&timeout=60]"
_PORT = 6379
_PREFIX = "airless"


@dataclass(frozen=True, slots=True)
class RedisOptions:
    """Which server, and where on it the engine's things are: all keys begin with ``{prefix}``, braces and all.

    `objects` names a folder that all workers share, or a bucket; without it they are on the server, too. A call that
    the server doesn't answer is tried again for `timeout_s` before it fails. With `tls` the server shows a certificate
    that the system trusts, or that `ca` signed (a file).
    """

    host: str
    port: int = _PORT
    db: int = 0
    username: str | None = None
    password: str | None = None
    tls: bool = False
    ca: str | None = None
    prefix: str = _PREFIX
    objects: str | None = None
    timeout_s: float = 60.0

    @classmethod
    def parse(cls, url: str) -> RedisOptions:
        """The options in a URL. Raises ConfigError, which shows the form and no password."""
        parts = urlsplit(url)
        shown = url.replace(f"{parts.netloc.rpartition('@')[0]}@", "") if "@" in parts.netloc else url
        try:
            host, port = parts.hostname, parts.port or _PORT
        except ValueError as error:
            raise ConfigError(f"{shown!r}: {error}; write {FORM}") from error
        if not host:
            raise ConfigError(f"{shown!r} names no host: write {FORM}")
        db = parts.path.strip("/") or "0"
        if not (db.isascii() and db.isdigit()):
            raise ConfigError(f"{shown!r}: {db!r} is no number of a database; write {FORM}")
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := sorted(given.keys() - {"prefix", "objects", "timeout", "ca"}):
            raise ConfigError(f"{shown!r} has the unknown option {unknown[0]!r}: write {FORM}")
        prefix = given.get("prefix") or _PREFIX
        if not prefix.isascii() or not prefix.isprintable() or set(prefix) & set(" {}") or len(prefix) > 100:
            raise ConfigError(f"{shown!r}: a prefix has up to 100 ASCII characters, no blanks and no braces")
        if objects := given.get("objects") or None:
            check_place(objects)
        tls = parts.scheme.lower() == "rediss"
        if (ca := given.get("ca") or None) and not tls:
            raise ConfigError(f"{shown!r}: ca is for rediss://")
        return cls(
            host=host,
            port=port,
            db=int(db),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            tls=tls,
            ca=ca,
            prefix=prefix,
            objects=objects,
            timeout_s=_seconds(shown, given.get("timeout", "60")),
        )

    @property
    def place(self) -> str:
        """The server for people to read: no password."""
        return f"redis{'s' if self.tls else ''}://{self.host}:{self.port}/{self.db}"


def _seconds(shown: str, given: str) -> float:
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 1 <= seconds <= 86400:
        raise ConfigError(f"{shown!r}: timeout is a number of seconds from 1 to 86400")
    return seconds
