"""What a crawl is, as every process that works on it has to know it: a value that travels through the engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from airless.core.errors import EngineError
from airless.core.ports import Engine
from airless.core.targets import load_target
from airless.crawl.layout import Layout
from airless.crawl.scope import Scope
from airless.crawl.settings import Settings
from airless.crawl.spider import Spider

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Job:
    """One crawl on an engine that others work on too.

    `spider` is a target (``module:Class``), `seeds` are canonical URLs, `settings` complete. `private_hosts` may have
    private addresses. A host's rate is divided over `spread` of the `shards`.
    """

    name: str
    spider: str
    seeds: tuple[str, ...]
    settings: Settings
    allowed_domains: tuple[str, ...] = ()
    private_hosts: frozenset[str] = frozenset()
    shards: int = 64
    spread: int = 1

    @property
    def layout(self) -> Layout:
        return Layout(self.name, self.shards, self.spread)

    def make_spider(self) -> Spider:
        """The spider, started from the seeds where there are any. Raises ConfigError where it isn't there."""
        return spider_of(self.spider, self.seeds)

    def scope(self, spider: Spider) -> Scope:
        return scope_of(spider, self.seeds, self.allowed_domains)

    def to_json(self) -> bytes:
        return orjson.dumps(_plain(self))

    @classmethod
    def from_json(cls, data: bytes) -> Job:
        """The inverse of `to_json`. Raises EngineError for what another version wrote in another shape."""
        try:
            return _made(cls, orjson.loads(data), _EXAMPLE)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise EngineError(
                f"what the crawl is can't be read: {error}; was it begun by another version of airless?"
            ) from error


async def job_named(engine: Engine, name: str) -> Job | None:
    """The job that an engine has under this name. Raises EngineError where it can't be read."""
    stored = await engine.state.load(Layout(name, 0).job_key)
    return None if stored is None else Job.from_json(stored.data)


def spider_of(target: str, seeds: tuple[str, ...]) -> Spider:
    """A new spider of the class that `target` names, started from `seeds` where there are any."""
    spider = load_target(target, Spider)()
    if seeds:
        spider.start_urls = list(seeds)
    return spider


def scope_of(spider: Spider, seeds: tuple[str, ...], domains: tuple[str, ...]) -> Scope:
    """The hosts of the crawl; a spider that names neither seeds nor domains may go anywhere."""
    named = spider.allowed_domains
    allowed = domains or ((named,) if isinstance(named, str) else tuple(named))
    started = seeds or tuple(spider.start_urls)
    return Scope.of(started, allowed or (() if started else ("*",)))


_EXAMPLE = Job("", "", (), Settings())


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, frozenset):
        return sorted(value)
    return dict(value) if isinstance(value, Mapping) else value


def _made(kind: type[T], doc: Mapping[str, Any], example: T) -> T:
    """A `kind` of the fields in `doc`, each of the shape that it has in `example`."""
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(doc.keys() - names):
        raise ValueError(f"{kind.__name__} has no field {unknown[0]!r}")
    return kind(**{name: _shaped(value, getattr(example, name)) for name, value in doc.items()})


def _shaped(value: Any, example: Any) -> Any:
    if dataclasses.is_dataclass(example):
        return _made(type(example), value, example)
    if isinstance(example, (tuple, frozenset)):
        return type(example)(value)
    return value
