"""What is to be crawled and how, as the user said it: the same value in every process of the crawl."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

from airless.crawl.job import scope_of, spider_of
from airless.crawl.scope import Scope
from airless.crawl.settings import Settings
from airless.crawl.spider import Spider

SITE_SPIDER = "crawlers.site:SiteSpider"
SHARDS = 64


@dataclass(frozen=True, slots=True)
class Plan:
    """One crawl. `spider` is a target (``module:Class`` or ``path/to/file.py[:Class]``).

    `seeds` are canonical URLs. `settings` are complete: the spider's, with what the command line changed.
    Without a `job` the name comes from the spider and the seeds, and a finished crawl of that name is begun
    anew.
    """

    seeds: tuple[str, ...]
    settings: Settings
    spider: str = SITE_SPIDER
    allowed_domains: tuple[str, ...] = ()
    output: str | None = None
    state_dir: Path = field(default_factory=lambda: Path(".airless"))
    job: str | None = None
    restart: bool = False
    processes: int = 1

    @property
    def name(self) -> str:
        """The job's name: what its files are called."""
        if self.job is not None:
            return self.job
        seeds = sorted(self.seeds)
        what = "\n".join([self.spider, *seeds])
        first = seeds[0].partition("://")[2].lower() if seeds else "start"
        words = re.sub(r"[^a-z0-9.-]+", "-", first)[:40].strip("-.")
        return f"{words or 'crawl'}-{blake2b(what.encode(), digest_size=4).hexdigest()}"

    @property
    def database(self) -> Path:
        return self.state_dir / f"{self.name}.db"

    @property
    def engine_url(self) -> str:
        return f"sqlite:///{quote(str(self.database))}"

    def make_spider(self) -> Spider:
        """The spider, started from this plan's seeds where there are any."""
        return spider_of(self.spider, self.seeds)

    def scope(self, spider: Spider) -> Scope:
        return scope_of(spider, self.seeds, self.allowed_domains)
