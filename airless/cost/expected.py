"""What an estimate assumes of a crawl, of the web and of the functions: each a field with its default."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from airless.core.errors import ConfigError

_SHARES = frozenset({"elsewhere", "empty_receives", "warm_share", "cold_share"})
_MAY_BE_ZERO = _SHARES | {
    "cpu_s",
    "cpu_s_a_mb",
    "delay_s",
    "init_s",
    "item_bytes",
    "latency_s",
    "links",
    "page_bytes",
    "start_s",
}
# A whole vCPU comes with so much memory.
_VCPU_MB = 1_769
_MEMORY_MB = range(128, 10_241)


@dataclass(frozen=True, slots=True)
class Expected:
    """The assumptions. Shares are of 1; bytes of pages are as they come over the wire.

    The crawl: `elsewhere` is the share of a page's links that are offered to another shard, most not being offered
    twice. `message_requests_filled` is how many of its 200 requests a message holds in the mean.

    The functions: `concurrency` is how many fetches one of them has under way at most, `batch_messages` and
    `batch_shards` how many messages, of how many shards, it is given in the mean (of 10, and of 1 to 10). Each
    shard commits first after `commit_s`, then after as long again each time, at the rarest after `rarest_commit_s`, and
    at the end.
    `unevenness` is how much longer a batch takes than if its hosts ended at the same time. `cpu_s` a page and
    `cpu_s_a_mb` a MB of it are of a whole vCPU. `start_s` is what an invocation takes beside its pages, `init_s` a
    cold start; who is warm needn't read a shard's seen URLs again.
    """

    pages: int = 1_000_000
    hosts: int = 1_000
    page_bytes: int = 60_000
    latency_s: float = 0.4
    links: int = 50
    elsewhere: float = 0.004
    item_bytes: int = 300
    per_host: int = 8
    delay_s: float = 0.0

    memory_mb: int = 512
    arch: str = "arm64"
    deadline_s: float = 840.0
    concurrency: int = 1_000
    batch_messages: float = 9.0
    batch_shards: float = 2.0
    commit_s: float = 20.0
    rarest_commit_s: float = 60.0
    unevenness: float = 1.5
    cpu_s: float = 0.0015
    cpu_s_a_mb: float = 0.01
    start_s: float = 0.05
    init_s: float = 1.0
    cold_share: float = 0.01
    warm_share: float = 0.5

    shards: int = 64
    message_requests_filled: float = 100.0
    request_bytes: int = 40
    empty_receives: float = 0.1
    puts_a_commit: float = 2.0
    segment_urls: int = 2_048
    merged_segments: int = 8

    def __post_init__(self) -> None:
        """Raises ConfigError for a figure that can't be."""
        for name in (field.name for field in fields(self) if field.name != "arch"):
            value = getattr(self, name)
            enough = value >= 0 if name in _MAY_BE_ZERO else value > 0
            if not enough or value == float("inf"):
                raise ConfigError(f"{name} can't be {value}")
            if name in _SHARES and value > 1:
                raise ConfigError(f"{name} is a share of 1 and can't be {value}")
        if self.memory_mb not in _MEMORY_MB:
            raise ConfigError(f"a function has 128 to 10,240 MB, and not {self.memory_mb}")

    @classmethod
    def of(cls, **given: Any) -> Expected:
        """The defaults, with what is given (texts are read). Raises ConfigError for what there is no such of."""
        types: dict[str, Any] = {"int": _whole, "float": float, "str": str}
        known = {field.name: types[str(field.type)] for field in fields(cls)}
        read: dict[str, Any] = {}
        for name, value in given.items():
            if name not in known:
                raise ConfigError(f"an estimate knows no {name!r}: it has {', '.join(known)}")
            try:
                read[name] = known[name](value)
            except (TypeError, ValueError) as error:
                raise ConfigError(f"{name} can't be {value!r}") from error
        return cls(**read)

    @property
    def vcpus(self) -> float:
        """The part of a processor that comes with the memory."""
        return self.memory_mb / _VCPU_MB

    @property
    def cpu_s_a_page(self) -> float:
        """What a page takes of a whole vCPU."""
        return self.cpu_s + self.cpu_s_a_mb * self.page_bytes / 1e6

    @property
    def hosts_a_batch(self) -> float:
        """How many hosts a batch's pages are of."""
        a_shard = max(1.0, self.hosts / self.shards)
        return min(float(self.hosts), a_shard * self.batch_shards)


def _whole(value: Any) -> int:
    """A whole number, also where it is written as 1e6."""
    number = float(value)
    if not number.is_integer():
        raise ValueError(f"{value!r} is no whole number")
    return int(number)
