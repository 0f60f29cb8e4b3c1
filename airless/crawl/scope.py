"""Scope: which hosts a crawl may visit."""

from __future__ import annotations

from collections.abc import Iterable

from airless.core.errors import ConfigError
from airless.crawl.urls import host_of, seed

_MEMO_HOSTS = 10_000


class Scope:
    """Hosts and, for names, everything below them; on any port, over http and https.

    A name covers itself and its subdomains, an IP address only itself. The one entry ``*`` covers every host.
    """

    __slots__ = ("_domains", "_everywhere", "_memo")

    def __init__(self, domains: frozenset[str], *, everywhere: bool = False) -> None:
        self._domains = domains
        self._everywhere = everywhere
        self._memo: dict[str, bool] = {}

    @classmethod
    def of(cls, seeds: Iterable[str], allowed_domains: Iterable[str] = ()) -> Scope:
        """The scope of the allowed domains or, where there are none, of the seeds' hosts.

        A seed on ``www.example.com`` opens that host and what is below it: the apex is not guessed. An entry
        may be ``example.com``, ``*.example.com`` (the same), ``bücher.example`` or a URL, of which the host
        counts. Raises ConfigError for an entry or a seed without a host.
        """
        entries = [allowed_domains] if isinstance(allowed_domains, str) else list(allowed_domains)
        if "*" in entries:
            return cls(frozenset(), everywhere=True)
        if entries:
            return cls(frozenset(domain(entry) for entry in entries))
        return cls(frozenset(_without_root(host_of(seed(url))) for url in seeds))

    @property
    def everywhere(self) -> bool:
        """Whether every host is in scope: a broad crawl."""
        return self._everywhere

    @property
    def domains(self) -> frozenset[str]:
        """The names and addresses that are in scope, in canonical form; empty for a broad crawl."""
        return self._domains

    def allows(self, url: str) -> bool:
        """Whether a canonical URL is in scope."""
        return self._everywhere or self.allows_host(host_of(url))

    def allows_host(self, host: str) -> bool:
        """Whether a canonical host is in scope; the answers of the last hosts asked for are remembered."""
        known = self._memo.get(host)
        if known is None:
            if len(self._memo) >= _MEMO_HOSTS:
                self._memo.clear()
            known = self._memo[host] = self._everywhere or self._covers(_without_root(host))
        return known

    def _covers(self, host: str) -> bool:
        # No tail of a canonical IP address is itself a canonical host, so addresses match only as a whole.
        while host:
            if host in self._domains:
                return True
            host = host.partition(".")[2]
        return False

    def __repr__(self) -> str:
        return f"Scope({'*' if self._everywhere else ', '.join(sorted(self._domains))})"


def domain(entry: str) -> str:
    """The canonical host that an entry of allowed or denied domains names. Raises ConfigError for junk."""
    text = entry.strip().removeprefix("*").removeprefix(".")
    try:
        host = _without_root(host_of(seed(text)))
    except ConfigError as error:
        raise ConfigError(f"{entry!r} names no domain: write it as example.com") from error
    if "*" in host:
        raise ConfigError(f"{entry!r} names no domain: a * can only stand in front, as in *.example.com")
    return host


def _without_root(host: str) -> str:
    # "example.com." is the same name in DNS, written with the root's empty label.
    return host.removesuffix(".")
