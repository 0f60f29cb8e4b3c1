"""What a target says of itself: which messages it takes, and what else it may touch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from airless.core.config import Config
from airless.core.errors import ConfigError
from airless.core.targets import load_target
from airless.crawl.spider import Spider
from airless.crawl.topics import FRONTIER
from airless.deploy.sources import target_of
from airless.engines.aws.cron import schedule_expression
from airless.fleet.begin import called
from airless.operators.errors import ErrorOperator
from airless.operators.event import BatchOperator
from airless.operators.operator import Operator, default_topic

_BUCKET = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/(?P<prefix>[^*?$:]+?))?/?(?P<write>:write)?"
)
_SECRET = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}|arn:[\w-]+:secretsmanager:[\w-]+:\d{12}:secret:[\w/+=.@-]+")


@dataclass(frozen=True, slots=True)
class BucketUse:
    """A bucket of others: what is below `prefix` is read, and changed where `write` says so."""

    name: str
    prefix: str = ""
    write: bool = False

    @classmethod
    def parse(cls, text: str) -> BucketUse:
        """``name``, ``name/prefix`` or ``name/prefix:write``. Raises ConfigError."""
        match = _BUCKET.fullmatch(text)
        if match is None:
            raise ConfigError(f"{text!r} is no bucket: write name, name/prefix or name/prefix:write")
        return cls(match["name"], (match["prefix"] or "").strip("/"), match["write"] is not None)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When, as EventBridge Scheduler writes it, and the data of the message that comes then."""

    expression: str
    data: Mapping[str, Any]

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """``0 6 * * *``, or with data behind it: ``0 6 * * * {"day": "today"}``. Raises ConfigError."""
        expression, brace, rest = text.partition("{")
        try:
            data = orjson.loads(brace + rest) if brace else {}
        except orjson.JSONDecodeError as error:
            raise ConfigError(f"the data of the schedule {text!r} is not JSON: {error}") from error
        return cls(schedule_expression(expression), data)


@dataclass(frozen=True, slots=True)
class Declared:
    """A class as its deployment sees it. `topic` is None where it takes requests and no messages."""

    kind: Literal["crawl", "event", "file", "http"]
    cls: type[Operator] | type[Spider]
    name: str
    topic: str | None
    publishes: tuple[str, ...] = ()
    buckets: tuple[BucketUse, ...] = ()
    secrets: tuple[str, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    batch_size: int = 10


def load(target: str) -> type[Operator] | type[Spider]:
    """The operator or the spider that a string names. Raises ConfigError."""
    kinds: tuple[Any, ...] = (Operator, Spider)
    found, errors = [], []
    for kind in kinds:
        try:
            found.append(load_target(target, kind))
        except ConfigError as error:
            errors.append(error)
    if len(found) == 1:
        cls: type[Operator] | type[Spider] = found[0]
        return cls
    if found:
        raise ConfigError(f"{target!r} could be more than one; say which: " + ", ".join(map(_named, found)))
    if str(errors[0]) == str(errors[1]):
        raise errors[0]
    raise ConfigError(f"{target!r} is neither an operator nor a spider: {errors[0]}; {errors[1]}")


def declared(
    cls: type[Operator] | type[Spider],
    config: Config,
    *,
    topic: str | None = None,
    publishes: Sequence[str] = (),
    schedules: Sequence[str] = (),
) -> Declared:
    """What the class declares, and what was named beside it; topics by their names on the engine.

    Raises ConfigError where a declaration is not of its form.
    """
    buckets = tuple(BucketUse.parse(text) for text in _names(cls, "buckets"))
    secrets = _names(cls, "secrets")
    for secret in secrets:
        if not _SECRET.fullmatch(secret):
            raise ConfigError(f"{cls.__name__}.secrets: {secret!r} is neither a secret's name nor its ARN")
    if issubclass(cls, Spider):
        if topic or publishes:
            raise ConfigError(f"{cls.__name__} is a spider: it has no topics but those of its crawls")
        name = re.sub(r"[^A-Za-z0-9-]+", "-", cls.name).strip("-") or "spider"
        calls = tuple(_call(cls, schedule) for schedule in _schedules(cls, schedules))
        return Declared("crawl", cls, name, FRONTIER, (), buckets, secrets, calls)
    timed = _schedules(cls, schedules)
    kind: Any = cls.input_type
    own = config.topic(topic or default_topic(cls))
    named = [*_names(cls, "topics"), *publishes, config.error_topic]
    if issubclass(cls, ErrorOperator):
        named += [name for name in (config.email_topic, config.slack_topic) if name]
    taken = None if kind == "http" else own
    if kind == "http" and (topic or timed):
        raise ConfigError(f"{cls.__name__} answers requests: it has neither a topic nor schedules")
    return Declared(
        kind,
        cls,
        re.sub(r"[^A-Za-z0-9-]+", "-", topic or default_topic(cls)).strip("-"),
        taken,
        tuple(sorted({config.topic(name) for name in named} - {own})),
        buckets,
        secrets,
        timed,
        cls.batch_size if issubclass(cls, BatchOperator) else 10,
    )


def _schedules(cls: type[Operator] | type[Spider], named: Sequence[str]) -> tuple[Schedule, ...]:
    """Those of the class, and those that were named beside it."""
    own = (Schedule(schedule_expression(text), dict(data)) for text, data in cls.schedules.items())
    return (*own, *map(Schedule.parse, named))


def _call(cls: type[Spider], schedule: Schedule) -> Schedule:
    """The schedule with the call for a crawl of this spider. Raises ConfigError where nothing could be begun by it."""
    data = {"spider": target_of(cls), **schedule.data}
    called(data, "schedule", cls)
    return replace(schedule, data=data)


def _names(cls: type, attribute: str) -> tuple[str, ...]:
    """A list of names that a class declares; a lone string, which is a list of letters, is a mistake."""
    value = getattr(cls, attribute)
    if isinstance(value, str) or not all(isinstance(name, str) and name for name in value):
        raise ConfigError(f"{cls.__name__}.{attribute} must be a list of names, not {value!r}")
    return tuple(value)


def _named(cls: type) -> str:
    return f"{cls.__module__}:{cls.__name__}"
