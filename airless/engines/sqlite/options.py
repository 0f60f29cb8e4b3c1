"""What an engine URL says: the file, and how it is to be kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from airless.core.errors import ConfigError

_SYNCHRONOUS = ("normal", "full")


@dataclass(frozen=True, slots=True)
class SqliteOptions:
    """The file, and how careful and how patient to be.

    `synchronous` normal loses nothing when a process dies; full loses nothing when the power is cut either,
    at an fsync a commit. `busy_timeout_s` is how long to wait for another's transaction before Locked.
    """

    path: Path
    synchronous: str = "normal"
    busy_timeout_s: float = 30.0

    @classmethod
    def parse(cls, url: str) -> SqliteOptions:
        """The options in ``sqlite:///relative/path.db`` or ``sqlite:////absolute/path.db?synchronous=full``.

        Per cent escapes in the path are resolved (%3F for a question mark). Raises ConfigError.
        """
        location, _, query = url.partition("?")
        scheme, _, rest = location.partition("://")
        name = unquote(rest[1:])
        if scheme.lower() != "sqlite" or not rest.startswith("/"):
            raise ConfigError(f"{url!r}: write sqlite:///relative/path.db or sqlite:////absolute/path.db")
        if not name.strip("/") or name.endswith("/") or "\0" in name:
            raise ConfigError(f"{url!r} names no file: write sqlite:///relative/path.db")
        if name == ":memory:":
            raise ConfigError(f"{url!r}: the engine without a file is memory://")
        options = dict(parse_qsl(query, keep_blank_values=True))
        synchronous = options.pop("synchronous", "normal").lower()
        if synchronous not in _SYNCHRONOUS:
            raise ConfigError(f"{url!r}: synchronous is one of {', '.join(_SYNCHRONOUS)}")
        busy = options.pop("busy_timeout_s", "30")
        try:
            busy_timeout_s = float(busy)
        except ValueError:
            busy_timeout_s = -1.0
        if not 0 <= busy_timeout_s <= 3600:
            raise ConfigError(f"{url!r}: busy_timeout_s is a number of seconds from 0 to 3600")
        if options:
            unknown = ", ".join(sorted(options))
            raise ConfigError(f"{url!r}: no option {unknown}; there are synchronous and busy_timeout_s")
        return cls(Path(name), synchronous, busy_timeout_s)
