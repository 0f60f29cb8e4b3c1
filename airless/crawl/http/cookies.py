"""Cookies as user agents keep them: RFC 6265 §5, with the public-suffix protection of §5.3 step 5."""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from publicsuffixlist import PublicSuffixList

from airless.core.errors import ConfigError
from airless.crawl.headers import Headers
from airless.crawl.http.addresses import literal

# RFC 6265 §6.1 asks for at least these.
COOKIE_BYTES = 4096
COOKIES_PER_DOMAIN = 50
COOKIES = 3000

_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_DATE_TOKEN = re.compile(r"[^\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[^0-9].*)?", re.DOTALL)
_DAY = re.compile(r"([0-9]{1,2})(?:[^0-9].*)?", re.DOTALL)
_YEAR = re.compile(r"([0-9]{2,4})(?:[^0-9].*)?", re.DOTALL)
_MAX_AGE = re.compile(r"-?[0-9]+")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(frozen=True, slots=True)
class Cookie:
    """One cookie as stored (RFC 6265 §5.3). `expires_s` is epoch seconds, None as long as the crawl runs."""

    name: str
    value: str
    domain: str
    path: str
    host_only: bool
    secure: bool
    expires_s: float | None
    created: int
    used: int

    def expired(self, now: float) -> bool:
        return self.expires_s is not None and self.expires_s <= now


def cookie_date(text: str) -> float | None:
    """Epoch seconds of a cookie date, read as leniently as RFC 6265 §5.1.1 says; None where it is none."""
    time: tuple[int, int, int] | None = None
    day = month = year = None
    for token in _DATE_TOKEN.findall(text):
        if time is None and (match := _TIME.fullmatch(token)):
            time = int(match[1]), int(match[2]), int(match[3])
        elif day is None and (match := _DAY.fullmatch(token)):
            day = int(match[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS.index(token[:3].lower()) + 1
        elif year is None and (match := _YEAR.fullmatch(token)):
            year = int(match[1])
    if time is None or day is None or month is None or year is None:
        return None
    if 70 <= year <= 99:
        year += 1900
    elif 0 <= year <= 69:
        year += 2000
    if year < 1601:
        return None
    try:
        return float(timegm(datetime(year, month, day, *time).timetuple()))
    except ValueError:
        return None


def domain_matches(host: str, domain: str) -> bool:
    """RFC 6265 §5.1.3, both in lower case."""
    return host == domain or (host.endswith("." + domain) and literal(host) is None)


def default_path(path: str) -> str:
    """RFC 6265 §5.1.4: the path of a URL up to its last slash, without it."""
    end = path.rfind("/")
    return path[:end] if path.startswith("/") and end > 0 else "/"


def path_matches(path: str, cookie_path: str) -> bool:
    """RFC 6265 §5.1.4."""
    if not path.startswith(cookie_path):
        return False
    return len(path) == len(cookie_path) or cookie_path.endswith("/") or path[len(cookie_path)] == "/"


class CookieJar:
    """The cookies of one crawl.

    At most 4,096 bytes a cookie, 50 cookies a domain and 3,000 in all; expired ones go first, then those used
    least lately. Times are epoch seconds.
    """

    def __init__(self) -> None:
        self._domains: dict[str, dict[tuple[str, str], Cookie]] = {}
        self._count = 0
        self._ticks = 0
        self._suffixes: PublicSuffixList | None = None

    def __len__(self) -> int:
        return self._count

    def store(self, url: str, set_cookie_values: Iterable[str], now: float) -> None:
        """Take the Set-Cookie fields of an answer to `url`, and ignore those not to be kept (§5.3)."""
        host, path, _ = _parts(url)
        for value in set_cookie_values:
            cookie = self._parse(value, host, path, now)
            if cookie is None:
                continue
            old = self._domains.get(cookie.domain, {}).get((cookie.path, cookie.name))
            if old is not None:
                # Its place in the order of creation stays with a cookie that is set again (§5.3 step 11).
                cookie = replace(cookie, created=old.created)
            if cookie.expired(now):
                self._remove(cookie)
            else:
                self._put(cookie)
                self._evict(cookie.domain, now)

    def take(self, url: str, headers: Headers, now: float) -> None:
        """`store` what an answer's header fields set."""
        if headers.get("set-cookie") is not None:  # of most answers no more is asked
            self.store(url, headers.get_all("set-cookie"), now)

    def header(self, url: str, now: float) -> str | None:
        """The Cookie field for a request to `url`, in the order of §5.4; None for none."""
        if not self._count:
            return None
        host, path, secure = _parts(url)
        sent: list[Cookie] = []
        for domain in _domain_and_parents(host):
            for cookie in self._domains.get(domain, {}).values():
                if cookie.host_only and domain != host:
                    continue
                if (
                    cookie.expired(now)
                    or (cookie.secure and not secure)
                    or not path_matches(path, cookie.path)
                ):
                    continue
                sent.append(cookie)
        if not sent:
            return None
        sent.sort(key=lambda cookie: (-len(cookie.path), cookie.created))
        used = self._tick()
        for cookie in sent:
            self._put(replace(cookie, used=used))
        return "; ".join(f"{cookie.name}={cookie.value}" if cookie.name else cookie.value for cookie in sent)

    def dump(self) -> list[dict[str, Any]]:
        """Everything in the jar as JSON, for `load`."""
        cookies = [cookie for kept in self._domains.values() for cookie in kept.values()]
        return [asdict(cookie) for cookie in sorted(cookies, key=lambda cookie: cookie.created)]

    def load(self, dumped: Sequence[dict[str, Any]]) -> None:
        """Put back what `dump` gave. Raises ConfigError, with the jar as it was, for anything else."""
        names = {field.name for field in fields(Cookie)}
        for entry in dumped:
            if not isinstance(entry, dict) or entry.keys() != names:
                raise ConfigError(f"not a cookie as a jar dumps it: {entry!r}")
        for entry in dumped:
            cookie = Cookie(**entry)
            self._put(cookie)
            self._ticks = max(self._ticks, cookie.created, cookie.used)

    def _parse(self, text: str, host: str, path: str, now: float) -> Cookie | None:
        """A Set-Cookie field as §5.2 reads it and §5.3 accepts it."""
        if _CONTROLS.search(text):
            return None
        pair, _, rest = text.partition(";")
        name, equals, value = pair.partition("=")
        name, value = name.strip(" \t"), value.strip(" \t")
        if not equals or not name or len(name.encode()) + len(value.encode()) > COOKIE_BYTES:
            return None
        domain, secure = "", False
        max_age_s: float | None = None
        expires_s: float | None = None
        cookie_path = ""
        for attribute in rest.split(";"):
            key, _, attribute_value = attribute.partition("=")
            key, attribute_value = key.strip(" \t").lower(), attribute_value.strip(" \t")
            if key == "secure":
                secure = True
            elif len(attribute_value) > COOKIE_BYTES:
                return None
            elif key == "domain" and attribute_value:
                domain = attribute_value.removeprefix(".").lower()
            elif key == "path":
                cookie_path = attribute_value
            elif key == "expires" and (date := cookie_date(attribute_value)) is not None:
                expires_s = date
            elif key == "max-age" and _MAX_AGE.fullmatch(attribute_value):
                # Longer than any number of seconds that matters, and int() refuses thousands of digits.
                age_s = int(attribute_value[:18])
                max_age_s = now + age_s if age_s > 0 else 0.0
        scope = self._scope(domain, host)
        if scope is None:
            return None
        kept_domain, host_only = scope
        return Cookie(
            name=name,
            value=value,
            domain=kept_domain,
            path=cookie_path if cookie_path.startswith("/") else default_path(path),
            host_only=host_only,
            secure=secure,
            expires_s=max_age_s if max_age_s is not None else expires_s,
            created=(tick := self._tick()),
            used=tick,
        )

    def _scope(self, domain: str, host: str) -> tuple[str, bool] | None:
        """The domain to keep a cookie under and whether it is host-only; None where it is refused."""
        if not domain:
            return host, True
        if not domain.isascii():
            try:
                domain = domain.encode("idna").decode()
            except UnicodeError:
                return None
        if not domain_matches(host, domain):
            return None
        if self._suffixes is None:
            # Reading the list takes a tenth of a second, and most crawls never need it.
            self._suffixes = PublicSuffixList()
        if literal(host) is not None or self._suffixes.is_public(domain):
            return (host, True) if domain == host else None
        return domain, False

    def _tick(self) -> int:
        self._ticks += 1
        return self._ticks

    def _put(self, cookie: Cookie) -> None:
        kept = self._domains.setdefault(cookie.domain, {})
        self._count += (cookie.path, cookie.name) not in kept
        kept[cookie.path, cookie.name] = cookie

    def _remove(self, cookie: Cookie) -> None:
        kept = self._domains.get(cookie.domain)
        if kept is None or kept.pop((cookie.path, cookie.name), None) is None:
            return
        self._count -= 1
        if not kept:
            del self._domains[cookie.domain]

    def _evict(self, domain: str, now: float) -> None:
        """Back under the limits, in the order of §5.3: expired, then of a crowded domain, then any."""
        if len(self._domains[domain]) > COOKIES_PER_DOMAIN:
            self._drop(list(self._domains[domain].values()), COOKIES_PER_DOMAIN, now)
        if self._count > COOKIES:
            self._drop([c for kept in self._domains.values() for c in kept.values()], COOKIES, now)

    def _drop(self, cookies: list[Cookie], keep: int, now: float) -> None:
        cookies.sort(key=lambda cookie: (not cookie.expired(now), cookie.used))
        for cookie in cookies[: len(cookies) - keep]:
            self._remove(cookie)


def _parts(url: str) -> tuple[str, str, bool]:
    split = urlsplit(url)
    return (split.hostname or "").rstrip("."), split.path or "/", split.scheme == "https"


def _domain_and_parents(host: str) -> Iterable[str]:
    yield host
    if literal(host) is None:
        while "." in host:
            host = host.partition(".")[2]
            yield host
