"""The spider: where a crawl starts and what it does with each page. The one class that users write."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from airless.core.errors import ConfigError
from airless.crawl.links import Rule
from airless.crawl.request import Follow, Request
from airless.crawl.response import Response
from airless.crawl.settings import Settings
from airless.crawl.urls import seed

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_+")


class Spider:
    """Subclass it, name `start_urls`, write `parse`. It needs nothing that runs: a test calls its methods.

    `name` is the class's in kebab case without a closing "Spider", unless it is given. `allowed_domains` is
    the scope, by default the hosts of the start URLs and what is below them. `rules` choose the links to
    follow on the pages that no callback was named for, or whose rule says so.

    Where it is deployed it may use its own crawl's things and what it declares: `buckets` and `secrets`, written
    as for operators. `schedules` are the times of its crawls: a crontab expression in UTC → what that crawl has of its
    own, ``{}`` or some of ``seeds`` and ``max_pages``.
    """

    name: str = "spider"
    start_urls: Sequence[str] = ()
    allowed_domains: Sequence[str] = ()
    rules: Sequence[Rule] = ()
    settings: Settings = Settings()
    buckets: Sequence[str] = ()
    secrets: Sequence[str] = ()
    schedules: Mapping[str, Mapping[str, Any]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" not in cls.__dict__:
            words = [word.lower() for word in _WORD.split(cls.__name__) if word]
            if len(words) > 1 and words[-1] == "spider":
                words.pop()
            cls.name = "-".join(words) or "spider"

    def __init__(self, start_urls: str | Iterable[str] | None = None, **arguments: Any) -> None:
        """`start_urls` replace the class's; every other argument becomes an attribute.

        Raises ConfigError for an argument with the name of a method.
        """
        if start_urls is not None:
            self.start_urls = [start_urls] if isinstance(start_urls, str) else list(start_urls)
        elif isinstance(self.start_urls, str):
            self.start_urls = [self.start_urls]
        for name, value in arguments.items():
            if name == "logger" or name.startswith("__") or callable(getattr(type(self), name, None)):
                raise ConfigError(f"{type(self).__name__} can't take an argument named {name!r}: a method is")
            setattr(self, name, value)

    @property
    def logger(self) -> logging.Logger:
        """The logger ``spider.<name>``."""
        return logging.getLogger(f"spider.{self.name}")

    async def start(self) -> AsyncIterator[Request | Follow]:
        """The first requests: one for each start URL. Override it to start elsewhere.

        Raises ConfigError where a start URL is none.
        """
        for url in self.start_urls:
            yield Request(seed(url))

    def parse(self, response: Response) -> Any:
        """What a page gives: items, Requests and Follows, yielded or returned, by a plain or async function.

        Called for responses whose request names no callback. Raises NotImplementedError unless there are
        rules.
        """
        if not self.rules:
            raise NotImplementedError(f"{type(self).__name__} needs a parse method, or rules")

    async def closed(self, reason: str) -> None:
        """Called when the crawl has ended, with why: "finished", or the limit or the interruption."""
