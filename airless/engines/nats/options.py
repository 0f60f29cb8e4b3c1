"""What a ``nats://`` URL says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from airless.core.errors import ConfigError
from airless.engines.outside import check_place

FORM = (
    "nats://[USER:PASSWORD@]HOST[:PORT][?prefix=airless][&objects=PLACE][&timeout=30]"
    " (nats+tls:// over TLS, with &ca=FILE where the system doesn't trust the server's certificate)"
)
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,40}")
_KNOWN = frozenset({"prefix", "objects", "timeout", "ca"})
_PORT = 4222


@dataclass(frozen=True, slots=True)
class NatsOptions:
    """Where the engine's things are, and how long its calls go on trying while the server is away.

    Streams are named ``{prefix}-…``, their subjects ``{prefix}.…``. `objects` is a folder (``file:///…``)
    or a bucket (``s3://…``) for what would else be in JetStream.
    A user without a password is a token. `ca` is the certificate that signed the server's.
    """

    server: str
    prefix: str = "airless"
    objects: str | None = None
    timeout_s: float = 30.0
    user: str | None = None
    password: str | None = None
    ca: str | None = None

    @classmethod
    def parse(cls, url: str) -> NatsOptions:
        """The options in a URL. Raises ConfigError, which shows the form, and never the password."""
        parts = urlsplit(url)
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := sorted(given.keys() - _KNOWN):
            raise ConfigError(f"{shown} has the unknown option {unknown[0]!r}: write {FORM}")
        try:
            port = parts.port or _PORT
        except ValueError as error:
            raise ConfigError(f"{shown}: {error}: write {FORM}") from error
        if not parts.hostname or parts.path.strip("/"):
            raise ConfigError(f"{shown} names no server: write {FORM}")
        prefix = given.get("prefix") or "airless"
        if not _PREFIX.fullmatch(prefix):
            raise ConfigError(f"{shown}: a prefix has up to 40 letters, digits, '-' and '_'")
        if objects := given.get("objects"):
            check_place(objects)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return cls(
            f"{'tls' if parts.scheme.lower().endswith('tls') else 'nats'}://{host}:{port}",
            prefix,
            objects or None,
            _seconds(given.get("timeout") or "30", shown),
            None if parts.username is None else unquote(parts.username),
            None if parts.password is None else unquote(parts.password),
            given.get("ca") or None,
        )


def _seconds(text: str, shown: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 86_400:
        raise ConfigError(f"{shown}: timeout is a number of seconds")
    return seconds
