"""Where a crawl's things are: their names in the engine, and the shard that a URL belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from airless.crawl.sites import host_hash
from airless.crawl.topics import FRONTIER

JOBS = "jobs/"
"""Below this is what each crawl is, and nothing else: all crawls are found by listing as many keys."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The names a crawl's things have in its engine. `spread` is over how many shards one host is spread."""

    job: str
    shards: int
    spread: int = 1

    @property
    def topic(self) -> str:
        return f"{FRONTIER}/{self.job}"

    @property
    def job_key(self) -> str:
        return f"{JOBS}{self.job}"

    @property
    def run_key(self) -> str:
        return f"crawl/{self.job}/run"

    @property
    def orders_key(self) -> str:
        return f"crawl/{self.job}/orders"

    @property
    def parked_prefix(self) -> str:
        return f"parked/{self.job}/"

    @property
    def delivery_key(self) -> str:
        return f"crawl/{self.job}/delivery"

    @property
    def shard_prefix(self) -> str:
        return f"crawl/{self.job}/shard/"

    @property
    def items_prefix(self) -> str:
        return f"items/{self.job}/"

    @property
    def failed_prefix(self) -> str:
        return f"failed/{self.job}/"

    @property
    def seen_prefix(self) -> str:
        return f"seen/{self.job}/"

    def shard_key(self, index: int) -> str:
        return f"{self.shard_prefix}{index:05d}"

    def shard_of(self, host: str, fingerprint: int) -> int:
        """A hash of the host, moved on by the URL's own where a host is spread."""
        return self.shard_at(host_hash(host), fingerprint)

    def shard_at(self, host_hash: int, fingerprint: int) -> int:
        """`shard_of` for a host whose hash is known."""
        return (host_hash + fingerprint % self.spread) % self.shards
