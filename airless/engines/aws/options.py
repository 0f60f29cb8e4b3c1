"""What an ``aws://`` URL says."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from airless.core.errors import ConfigError

FORM = "aws://REGION?bucket=NAME[&prefix=airless][&endpoint=URL][&create=yes]"
_PREFIX = "airless"


@dataclass(frozen=True, slots=True)
class AwsOptions:
    """Where the engine's things are. Queues are named ``{prefix}-…``, keys in the bucket ``{prefix}/…``.

    `endpoint` takes the place of AWS's own (emulators, private gateways). `create` makes queues and the bucket
    where they are missing; without it they are a deployment's to make.
    """

    region: str
    bucket: str
    prefix: str = _PREFIX
    endpoint: str | None = None
    create: bool = False

    @classmethod
    def parse(cls, url: str) -> AwsOptions:
        """The options in a URL. Raises ConfigError, which shows the form."""
        parts = urlsplit(url)
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        known = {"bucket", "prefix", "endpoint", "create"}
        if unknown := sorted(given.keys() - known):
            raise ConfigError(f"{url!r} has the unknown option {unknown[0]!r}: write {FORM}")
        if not parts.netloc or parts.path.strip("/"):
            raise ConfigError(f"{url!r} names no region: write {FORM}")
        if not given.get("bucket"):
            raise ConfigError(f"{url!r} names no bucket: write {FORM}")
        prefix = given.get("prefix") or _PREFIX
        if not prefix.replace("-", "").replace("_", "").isalnum() or not prefix.isascii() or len(prefix) > 40:
            raise ConfigError(f"{url!r}: a prefix has up to 40 letters, digits, '-' and '_'")
        create = given.get("create", "no").lower()
        if create not in {"yes", "no"}:
            raise ConfigError(f"{url!r}: create is yes or no")
        return cls(parts.netloc, given["bucket"], prefix, given.get("endpoint") or None, create == "yes")
