"""A spider without anything that runs, and what is made of what its callbacks give."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import attrs
import pydantic
import pytest
from support.callbacks import run_to_the_end

from airless.core.errors import ConfigError
from airless.crawl.callbacks import run_start
from airless.crawl.links import Link, LinkExtractor, Rule
from airless.crawl.request import Follow, Request
from airless.crawl.response import Response
from airless.crawl.spider import Spider

URL = "https://shop.example/"
BODY = b"<a href=/book/1>1</a><a href=/book/2>2</a><a href=/list/2>next</a><a href=/about>about</a>"


def page(callback: str | None = None, meta: dict[str, Any] | None = None, **fields: Any) -> Response:
    return Response.from_bytes(URL, BODY, request=Request(URL, callback=callback, meta=meta), **fields)


async def results(spider: Spider, response: Response | None = None) -> list[Any]:
    found: list[Any] = []
    await run_to_the_end(spider, response or page(), found.append)
    return found


@dataclass
class Book:
    title: str


@attrs.define
class Author:
    name: str


class Price(pydantic.BaseModel):
    amount: int


def test_a_name_comes_from_the_class_unless_it_is_given() -> None:
    class BookShopSpider(Spider): ...

    class HTTPStatus2_Check(Spider): ...  # noqa: N801

    class Given(Spider):
        name = "mine"

    class Child(Given): ...

    names = [kind.name for kind in (Spider, BookShopSpider, HTTPStatus2_Check, Given, Child)]
    assert names == ["spider", "book-shop", "http-status2-check", "mine", "child"]
    assert Given().logger is logging.getLogger("spider.mine")


async def test_a_spider_starts_at_its_start_urls_made_canonical() -> None:
    class Shop(Spider):
        start_urls = ("shop.example/A b", "http://localhost:1/#x")

    found = [request async for request in run_start(Shop())]
    assert [request.url for request in found if isinstance(request, Request)] == [
        "https://shop.example/A%20b",
        "http://localhost:1/",
    ]
    assert [request.callback for request in found] == [None, None]
    with pytest.raises(ConfigError):
        [request async for request in Shop("http://[").start()]


def test_arguments_become_attributes_but_never_replace_a_method() -> None:
    class Shop(Spider):
        start_urls = "https://one.example/"
        category = "all"

    shop = Shop(["https://two.example/"], category="poetry", limit="3")
    assert (shop.start_urls, shop.category) == (["https://two.example/"], "poetry")
    assert vars(shop)["limit"] == "3"
    assert Shop().start_urls == ["https://one.example/"]
    assert Shop("https://three.example/").start_urls == ["https://three.example/"]
    for name in ("parse", "logger", "__class__"):
        with pytest.raises(ConfigError, match=name):
            Shop(**{name: "x"})


async def test_a_spider_may_start_elsewhere_but_only_with_requests() -> None:
    class Elsewhere(Spider):
        async def start(self) -> AsyncIterator[Request | Follow]:
            yield Follow(["https://a.example/"])

    class Wrong(Spider):
        async def start(self) -> AsyncIterator[Request | Follow]:
            yield {"url": "https://a.example/"}  # type: ignore[misc]

    (follow,) = [each async for each in run_start(Elsewhere())]
    assert isinstance(follow, Follow)
    with pytest.raises(TypeError, match=r"Wrong\.start gave a dict"):
        [each async for each in run_start(Wrong())]


ITEM = {"title": "a"}


class Forms(Spider):
    async def async_generator(self, response: Response) -> AsyncIterator[Any]:
        yield ITEM
        yield None
        yield response.follow("/x")

    def generator(self, response: Response) -> Iterator[Any]:
        yield ITEM
        yield None
        yield response.follow("/x")

    async def coroutine(self, response: Response) -> list[Any]:
        return [ITEM, response.follow("/x")]

    async def hands_on(self, response: Response) -> Any:
        return self.async_generator(response)

    def returns_a_list(self, response: Response) -> list[Any]:
        return [ITEM, None, response.follow("/x")]

    def returns_a_tuple(self, response: Response) -> tuple[Any, ...]:
        return (ITEM, None, response.follow("/x"))

    def returns_an_item(self, response: Response) -> Any:
        return ITEM

    async def returns_nothing(self, response: Response) -> None: ...

    def returns_a_follow(self, response: Response) -> Follow:
        return response.follow_all()


@pytest.mark.parametrize(
    "callback", ["async_generator", "generator", "coroutine", "hands_on", "returns_a_list", "returns_a_tuple"]
)
async def test_a_callback_may_be_any_kind_of_function(callback: str) -> None:
    item, request = await results(Forms(), page(callback))
    assert item == ITEM
    assert request.url == "https://shop.example/x"


async def test_a_callback_may_return_one_thing_or_nothing() -> None:
    assert await results(Forms(), page("returns_an_item")) == [ITEM]
    assert await results(Forms(), page("returns_nothing")) == []
    (follow,) = await results(Forms(), page("returns_a_follow"))
    assert len(follow) == 4


async def test_items_are_dicts_dataclasses_models_and_attrs_objects() -> None:
    items = [{"a": 1}, Book("t"), Price(amount=1), Author("n")]

    class Items(Spider):
        def parse(self, response: Response) -> Any:
            yield from items

    class Single(Spider):
        def parse(self, response: Response) -> Any:
            return Price(amount=1)

    assert await results(Items()) == items
    assert await results(Single()) == [Price(amount=1)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("https://a.example/", r"Odd\.parse gave a str, .*response\.follow"),
        (Link("https://a.example/"), r"Odd\.parse gave a Link, .*response\.follow"),
        ([{"a": 1}], r"Odd\.parse gave a list, .*one by one"),
        (3, r"Odd\.parse gave a int, which is no Request"),
    ],
)
async def test_what_is_no_item_is_named_with_the_method_that_gave_it(given: object, message: str) -> None:
    class Odd(Spider):
        def parse(self, response: Response) -> Any:
            yield given

    with pytest.raises(TypeError, match=message):
        await results(Odd())


async def test_a_text_or_a_number_that_is_returned_is_no_result() -> None:
    class Odd(Spider):
        def parse(self, response: Response) -> Any:
            return response.meta["give"]

    for given in ("text", b"bytes", 3):
        with pytest.raises(TypeError, match=rf"Odd\.parse gave a {type(given).__name__}"):
            await results(Odd(), page(meta={"give": given}))


@pytest.mark.parametrize("callback", ["gone", "name", "__init__"])
async def test_a_callback_that_is_not_there_is_named(callback: str) -> None:
    with pytest.raises(ConfigError, match=f"Forms has no method '{callback}'"):
        await results(Forms(), page(callback))


async def test_a_spider_without_parse_and_rules_says_what_it_needs() -> None:
    with pytest.raises(NotImplementedError, match="Forms needs a parse method, or rules"):
        await results(Forms())
    await Forms().closed("finished")


async def test_a_generator_that_is_left_early_is_closed() -> None:
    closed: list[str] = []

    def full(_: object) -> None:
        raise OverflowError

    class Long(Spider):
        async def parse(self, response: Response) -> AsyncIterator[Any]:
            try:
                while True:
                    yield ITEM
            finally:
                closed.append("async")

        def plain(self, response: Response) -> Iterator[Any]:
            try:
                while True:
                    yield ITEM
            finally:
                closed.append("plain")

    for callback in (None, "plain"):
        with pytest.raises(OverflowError):
            await run_to_the_end(Long(), page(callback), full)
    assert closed == ["async", "plain"]


class Ruled(Spider):
    rules = (
        Rule(LinkExtractor(allow="/book/"), callback="book", priority=1, meta={"kind": "book"}),
        Rule(LinkExtractor(allow=["/book/", "/list/"]), callback="listing", follow=True),
        Rule(LinkExtractor(allow="/none/")),
        Rule(LinkExtractor(allow="about"), follow=False),
    )

    def book(self, response: Response) -> Any:
        return ITEM

    def listing(self, response: Response) -> Any:
        return ITEM


async def test_each_link_goes_to_the_first_rule_that_takes_it() -> None:
    books, lists, about = await results(Ruled())
    assert books.urls == ["https://shop.example/book/1", "https://shop.example/book/2"]
    assert (books.callback, books.priority, books.meta["kind"]) == ("book", 1, "book")
    assert (lists.callback, lists.urls) == ("listing", ["https://shop.example/list/2"])
    assert (about.callback, about.urls) == (None, ["https://shop.example/about"])


async def test_rules_go_on_only_where_they_follow() -> None:
    spider = Ruled()
    books, lists, about = await results(spider)
    assert await results(spider, page(books.callback, books.meta)) == [ITEM]
    item, *follows = await results(spider, page(lists.callback, lists.meta))
    assert item == ITEM
    assert [len(follow) for follow in follows] == [2, 1, 1]
    assert await results(spider, page(about.callback, about.meta)) == []
    assert await results(spider, page("listing")) == [ITEM]
    assert len(await results(spider, page("parse", {"rule": 99}))) == 0


async def test_rules_are_for_html_alone() -> None:
    assert await results(Ruled(), page(headers={"Content-Type": "image/png"})) == []
