"""From a response to what the spider makes of it: the callback that its request names, then the rules."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Iterable, Iterator
from contextlib import aclosing
from inspect import isasyncgen, isawaitable, isgenerator
from types import GeneratorType
from typing import Any, Protocol

from airless.core.errors import ConfigError
from airless.crawl.items import encode, is_item
from airless.crawl.links import Link
from airless.crawl.request import Follow, Request
from airless.crawl.response import Response
from airless.crawl.scan import PageFollow
from airless.crawl.spider import Spider

DEFAULT = "parse"

# In the meta of a request: the index of the rule that found it. Kept only where the callback's name doesn't
# say whether the rules go on from there.
RULE = "rule"


class Results(Protocol):
    """Where what a callback made is kept: items as lines, and what is to be fetched."""

    items: list[bytes]
    found: list[Request | Follow]

    def take(self, result: Any) -> None:
        """Add a result to one of the two. Raises TypeError or ValueError for what can't travel."""


def run_callback(spider: Spider, response: Response, results: Results) -> Coroutine[Any, Any, None] | None:
    """Add the items, Requests and Follows of one response to the results, in the order in which they are made.

    What a callback doesn't give at once is given by the coroutine that is returned then. A callback may be an
    async or a plain generator, or an async or a plain function that returns an iterable, one thing or None; a
    None that is yielded is left out. Rules are applied after it. Raises ConfigError where the spider has no
    method of that name, TypeError for what is no item, and whatever the callback or `take` raises; the
    callback's generator is closed then.
    """
    name = response.request.callback or DEFAULT
    method = getattr(spider, name, None)
    if not callable(method) or (name is not DEFAULT and name.startswith("__")):
        raise ConfigError(f"{type(spider).__name__} has no method {name!r}, the callback of a request")
    made = method(response)
    if type(made) is not GeneratorType and type(made) is not list:
        return _awaited(spider, name, made, response, results.take)
    # The common case: nothing to wait for, and no generator around the callback's. What nearly every page gives is
    # added here: a call for each would cost more than what it does.
    try:
        for each in made:
            kind = type(each)
            if kind is dict:
                results.items.append(encode(each))
            elif (
                kind is PageFollow
                and each.callback is None
                and not (each.meta or each.headers or each.priority)
            ):
                results.found.append(each)
            elif _is_result(each):
                results.take(each)
            elif each is not None:
                raise _no_result(each, _where(spider, name))
    except BaseException:
        if type(made) is GeneratorType:
            made.close()
        raise
    if spider.rules:
        _apply_rules(spider, response, results.take)
    return None


async def _awaited(
    spider: Spider, name: str, made: Any, response: Response, take: Callable[[Any], None]
) -> None:
    if isasyncgen(made):
        # As often met: without another generator around it.
        try:
            async for each in made:
                if type(each) is dict or _is_result(each):
                    take(each)
                elif each is not None:
                    raise _no_result(each, _where(spider, name))
        except BaseException:
            await made.aclose()
            raise
    else:
        async with aclosing(_results(made, _where(spider, name))) as results:
            async for result in results:
                take(result)
    if spider.rules:
        _apply_rules(spider, response, take)


def _apply_rules(spider: Spider, response: Response, take: Callable[[Any], None]) -> None:
    if response.is_html and _rules_go_on(spider, response):
        for follow in _by_rules(spider, response):
            take(follow)


async def run_start(spider: Spider) -> AsyncGenerator[Request | Follow, None]:
    """What a spider starts with. Raises TypeError for anything but Requests and Follows."""
    where = _where(spider, "start")
    async with aclosing(_results(spider.start(), where)) as results:
        async for result in results:
            if not isinstance(result, (Request, Follow)):
                raise TypeError(f"{where} gave a {type(result).__name__}: Requests and Follows start a crawl")
            yield result


def _where(spider: Spider, name: str) -> str:
    return f"{type(spider).__name__}.{name}"


async def _results(made: Any, where: str) -> AsyncGenerator[Any, None]:
    if isawaitable(made):
        made = await made
    if made is None:
        return
    if _is_result(made):
        yield made
    elif isinstance(made, AsyncIterable):
        try:
            async for each in made:
                if each is not None:
                    yield _checked(each, where)
        finally:
            if isasyncgen(made):
                await made.aclose()
    elif isinstance(made, Iterable) and not isinstance(made, (str, bytes)):
        try:
            for each in made:
                if each is not None:
                    yield _checked(each, where)
        finally:
            if isgenerator(made):
                made.close()
    else:
        raise _no_result(made, where)


def _is_result(made: object) -> bool:
    # A Link is a dataclass, but to yield one means to follow it.
    return isinstance(made, (Request, Follow)) or (is_item(made) and not isinstance(made, Link))


def _checked(made: object, where: str) -> object:
    if not _is_result(made):
        raise _no_result(made, where)
    return made


def _no_result(made: object, where: str) -> TypeError:
    hint = ""
    if isinstance(made, (str, Link)):
        hint = "; to follow a link yield response.follow(link)"
    elif isinstance(made, Iterable):
        hint = "; yield what it holds one by one"
    return TypeError(
        f"{where} gave a {type(made).__name__}, which is no Request, Follow or item "
        f"(dict, dataclass, pydantic model, attrs object){hint}"
    )


def _rules_go_on(spider: Spider, response: Response) -> bool:
    """Links of a rule that follows are followed; so are those of pages that no callback was named for."""
    request = response.request
    index = (request.meta or {}).get(RULE)
    if isinstance(index, int) and 0 <= index < len(spider.rules):
        return spider.rules[index].follows
    return request.callback is None


def _by_rules(spider: Spider, response: Response) -> Iterator[Follow]:
    """One Follow for each rule that finds something; a link goes to the first rule that takes it."""
    taken: set[str] = set()
    for index, rule in enumerate(spider.rules):
        found = rule.link_extractor.extract(
            response.tree, response.url, response.link_options, headers=response.headers
        )
        urls = [link.url for link in found if link.url not in taken]
        if not urls:
            continue
        taken.update(urls)
        meta = dict(rule.meta or {})
        if rule.follows != (rule.callback is None):
            meta[RULE] = index
        yield Follow(urls, callback=rule.callback, meta=meta, priority=rule.priority)
