"""The crawler over a whole engine: every page exactly once, and accounts that add up."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from support.crawling import Crawl, LinkSpider
from support.pages import Page, Pages, linking, redirect
from support.site import body_of

from airless.core.errors import ConfigError
from airless.core.message import Message
from airless.core.ports import Delivery
from airless.crawl import intake as intake_module
from airless.crawl.budget import PageBudget
from airless.crawl.errors import ConnectError, TlsError
from airless.crawl.inbox import BatchInbox, QueueInbox
from airless.crawl.outgoing import ADMIT
from airless.crawl.packing import pack
from airless.crawl.request import Follow, Request
from airless.crawl.response import Response
from airless.crawl.settings import Limits, Pace, Retry, Settings, Traps
from airless.crawl.spider import Spider

HERE = "http://a.test/"
QUIET = Settings(obey_robots=False)


def site(pages: int, latency_s: float = 0.0) -> Pages:
    """The generated site, in memory."""

    def answer(request: Request) -> Page:
        number = int(request.url.rpartition("/")[2].removesuffix(".html") or 0)
        return Page(body_of(number, pages), latency_s=latency_s)

    return Pages(answer)


def urls_of(pages: int, host: str = "a.test") -> list[str]:
    return sorted(f"http://{host}/p/{n}.html" for n in range(pages))


def numbered(number: int, host: str = "a.test") -> list[str]:
    return [f"http://{host}/{n}" for n in range(number)]


# Whole crawls.


async def test_every_page_of_a_site_is_crawled_exactly_once() -> None:
    crawl = Crawl(site(400))
    await crawl.seed("http://a.test/p/0.html")
    await crawl.run()
    counts = await crawl.counts()
    assert crawl.item_urls() == urls_of(400)
    assert sorted(crawl.fetcher.urls()) == urls_of(400)
    assert (counts.discovered, counts.fetched, counts.waiting) == (400, 400, 0)
    assert (counts.seeds, counts.seeds_fetched) == (1, 1)
    assert counts.bytes == counts.wire_bytes == sum(len(body_of(n, 400)) for n in range(400))


async def test_what_is_offered_and_known_is_no_page_more_and_its_message_ends() -> None:
    crawl = Crawl({HERE: linking("/a"), f"{HERE}a": linking(), f"{HERE}b?x=1&y=2": linking()})
    await crawl.seed(HERE)
    await crawl.run()
    shard = crawl.shard_of(Request(HERE))
    for urls in ((f"{HERE}a", f"{HERE}b?x=1&y=2"), (f"{HERE}b?y=2&x=1", HERE), (HERE, f"{HERE}a")):
        data = {**pack([Request(url) for url in urls]), "shard": shard, ADMIT: True}
        message = Message(topic=crawl.layout.topic, data=data, ordering_key=str(shard), weight=0)
        await crawl.engine.queue.publish_many([message])
    await crawl.run()
    assert crawl.item_urls() == sorted(crawl.fetcher.urls()) == [HERE, f"{HERE}a", f"{HERE}b?x=1&y=2"]
    assert (await crawl.counts()).discovered == 3
    assert not (await crawl.engine.queue.depth(crawl.layout.topic)).messages
    assert not [name for name in crawl.store.blobs if name.startswith("dead/")]


@pytest.mark.parametrize("nothing", [{}, {"links": []}, {"links": [[None, 0, None, 0, []]]}])
async def test_an_offer_of_nothing_is_laid_aside_whoever_has_the_shard(nothing: dict[str, Any]) -> None:
    crawl = Crawl({HERE: linking(), f"{HERE}a": linking()})
    await crawl.seed(HERE)
    shard = crawl.shard_of(Request(HERE))
    data = {**nothing, "shard": shard, ADMIT: True}
    message = Message(topic=crawl.layout.topic, data=data, ordering_key=str(shard), weight=0)
    await crawl.engine.queue.publish_many([message])
    await crawl.run()
    assert crawl.item_urls() == [HERE]
    assert [name for name in crawl.store.blobs if name.startswith("dead/")] == [
        f"dead/{crawl.layout.topic}/{message.id}"
    ]


async def test_hosts_of_all_shards_are_crawled_side_by_side() -> None:
    hosts = [f"h{n}.test" for n in range(30)]
    pages = {f"http://{host}/": linking("/x", *(f"http://{other}/" for other in hosts)) for host in hosts}
    pages |= {f"http://{host}/x": linking() for host in hosts}
    crawl = Crawl(pages, shards=8)
    await crawl.seed("http://h0.test/")
    crawler = crawl.crawler()
    await crawl.run(crawler)
    assert crawl.item_urls() == sorted(pages)
    assert (await crawl.counts()).discovered == 60
    assert crawler.hosts == 30
    assert crawler.in_flight == 0
    assert crawler.quiet
    assert sum(counts.fetched for counts in crawler.shard_counts().values()) == 60


async def test_links_keep_their_depth_and_stop_at_its_limit() -> None:
    pages = {HERE: linking("/1"), HERE + "1": linking("/2"), HERE + "2": linking("/3")}
    crawl = Crawl(pages, settings=replace(QUIET, limits=Limits(depth=2)))
    await crawl.seed(HERE)
    await crawl.run()
    assert [(item["url"], item["depth"]) for item in crawl.items()] == [
        (HERE, 0),
        (HERE + "1", 1),
        (HERE + "2", 2),
    ]
    assert (await crawl.counts()).skipped == {"depth": 1}


async def test_every_way_a_url_can_end_is_counted() -> None:
    pages = {
        HERE: linking("/ok", "/gone", "/old", "/broken", "/tls", "/bad", "http://off.test/", "/" + "x" * 90),
        HERE + "ok": linking(),
        HERE + "old": redirect("/new"),
        HERE + "new": linking(),
        HERE + "broken": Page(status=500),
        HERE + "tls": TlsError("refused"),
        HERE + "bad": Page("bad"),
    }
    settings = replace(QUIET, traps=Traps(url_chars=100), retry=Retry(max_attempts=2, base_s=0.1))

    class Fussy(LinkSpider):
        async def parse(self, response: Response) -> AsyncIterator[dict[str, Any] | Follow]:
            yield {"url": response.url}
            if response.url.endswith("/bad"):
                raise RuntimeError("a bug of the spider's")
            yield response.follow_all()

    crawl = Crawl(pages, settings=settings, scope=["a.test"], spider=Fussy(), speed=50)
    await crawl.seed(HERE)
    await crawl.run()
    counts = await crawl.counts()
    assert counts.discovered == 10
    assert counts.fetched == 3
    assert counts.failures == {"http_404": 1, "http_500": 1, "tls": 1, "spider_error": 1}
    assert counts.skipped == {"redirected": 1, "offsite": 1, "url_too_long": 1}
    assert (counts.redirects, counts.retries, counts.waiting) == (1, 1, 0)
    assert crawl.item_urls() == [HERE, HERE + "new", HERE + "ok"]


async def test_a_page_that_fails_for_a_while_is_crawled_in_the_end() -> None:
    pages = {HERE: [Page(status=503), ConnectError("reset"), linking("/x")], HERE + "x": linking()}
    crawl = Crawl(pages, settings=replace(QUIET, retry=Retry(base_s=0.1)), speed=50)
    await crawl.seed(HERE)
    await crawl.run()
    assert crawl.item_urls() == [HERE, HERE + "x"]
    assert (await crawl.counts()).retries == 2


async def test_retry_after_holds_the_host_and_nobody_else() -> None:
    pages: dict[str, Any] = {HERE: [Page(status=429, headers={"retry-after": "30"}), linking()]}
    pages["http://b.test/"] = linking()
    asked: dict[str, list[float]] = {}
    crawl = Crawl(Pages(lambda request: None), settings=QUIET, speed=100)
    inner = Pages(pages)

    class Timed:
        async def fetch(self, request: Request) -> Response:
            asked.setdefault(request.url, []).append(crawl.clock.now())
            return await inner.fetch(request)

    crawl.fetcher = Timed()
    await crawl.seed(HERE, "http://b.test/")
    await crawl.run()
    assert crawl.item_urls() == [HERE, "http://b.test/"]
    first, second = asked[HERE]
    assert second - first >= 30


async def test_a_redirect_to_itself_with_a_cookie_is_followed() -> None:
    pages = {HERE: [redirect("/", 302, set_cookie="seen=1"), linking("/x")], HERE + "x": linking("/")}
    crawl = Crawl(pages)
    await crawl.seed(HERE)
    await crawl.run()
    counts = await crawl.counts()
    assert crawl.item_urls() == [HERE, HERE + "x"]
    assert (counts.fetched, counts.redirects, counts.seeds, counts.seeds_fetched) == (2, 1, 1, 1)


async def test_a_cookie_wall_does_not_make_a_known_page_come_twice() -> None:
    pages = {
        HERE: linking("/wall", "/home"),
        HERE + "wall": [redirect("/wall", 302, set_cookie="seen=1"), redirect("/home", 302)],
        HERE + "home": linking("http://off.test/"),
    }
    crawl = Crawl(pages)
    await crawl.seed(HERE)
    await crawl.run()
    assert crawl.item_urls() == [HERE, HERE + "home"]


async def test_a_redirect_that_goes_round_ends() -> None:
    def answer(request: Request) -> Page:
        return redirect(f"/{int(request.url.rpartition('/')[2] or 0) + 1}")

    crawl = Crawl(Pages(answer))
    await crawl.seed(HERE)
    await crawl.run()
    counts = await crawl.counts()
    assert counts.failures == {"too_many_redirects": 1}
    assert counts.redirects == 20


async def test_forms_and_headers_travel_to_the_fetch() -> None:
    class Poster(Spider):
        async def parse(self, response: Response) -> AsyncIterator[Any]:
            yield {"url": response.url, "meta": response.meta}
            if not response.meta:
                yield Request(HERE + "form", method="POST", body="a=1", headers={"X-Y": "z"}, meta={"k": [1]})

    crawl = Crawl(Pages(lambda request: Page()), spider=Poster())
    await crawl.seed(HERE)
    await crawl.run()
    (sent,) = [request for request in crawl.fetcher.asked if request.method == "POST"]
    assert (sent.body, sent.headers, sent.meta, sent.referrer) == (b"a=1", {"X-Y": "z"}, {"k": [1]}, HERE)
    assert {"url": HERE + "form", "meta": {"k": [1]}} in crawl.items()


async def test_a_callback_that_is_missing_ends_the_run_and_says_so() -> None:
    crawl = Crawl({HERE: linking()})
    await crawl.seed(Request(HERE, callback="parse_nothing"))
    with pytest.raises(ConfigError, match="parse_nothing"):
        await crawl.run()
    assert crawl.items() == []


# What a spider asks for in vain harms its own page only.


@pytest.mark.parametrize("found", [Request(HERE + "x", meta={"a": object()}), Follow([HERE], meta={1: 2})])  # type: ignore[dict-item]
async def test_a_request_that_can_not_travel_fails_its_page_and_not_the_crawl(
    found: Request | Follow,
) -> None:
    class Odd(Spider):
        async def parse(self, response: Response) -> AsyncIterator[Any]:
            yield {"url": response.url}
            if response.url == HERE:
                yield found

    crawl = Crawl(Pages(lambda request: Page()), spider=Odd())
    await crawl.seed(HERE, HERE + "fine")
    await crawl.run()
    assert crawl.item_urls() == [HERE + "fine"]
    assert (await crawl.counts()).failures == {"spider_error": 1}


async def test_junk_among_the_links_of_a_spider_is_counted() -> None:
    class Odd(Spider):
        async def parse(self, response: Response) -> AsyncIterator[Any]:
            yield {"url": response.url}
            yield Follow(["/relative", "http://x:y/", HERE + "fine", "mailto:a@a.test"])

    crawl = Crawl(Pages(lambda request: Page()), spider=Odd())
    await crawl.seed(HERE)
    await crawl.run()
    assert crawl.item_urls() == [HERE, HERE + "fine"]
    assert (await crawl.counts()).skipped == {"invalid_url": 3}


# Messages that others made.


async def test_requests_published_by_hand_are_crawled_once() -> None:
    crawl = Crawl(Pages(lambda request: Page()), scope=["nothing.test"], shards=8)
    urls = [*numbered(5), *numbered(5, "b.test"), *numbered(5, "c.test")]
    data = {"requests": [{"url": "HTTP://A.test:80/0#part"}, *({"url": url} for url in [*urls, *urls])]}
    await crawl.engine.queue.publish_many([Message(crawl.layout.topic, data, weight=0)])
    await crawl.run()
    assert crawl.item_urls() == sorted(urls)
    counts = await crawl.counts()
    assert (counts.discovered, counts.fetched) == (15, 15)


async def test_what_is_published_by_hand_goes_to_the_shards_of_its_hosts() -> None:
    crawl = Crawl(Pages(lambda request: Page()), shards=8)
    urls = [f"http://h{n}.test/" for n in range(20)]
    await crawl.engine.queue.publish_many(
        [Message(crawl.layout.topic, {"requests": [{"url": u} for u in urls]}, weight=0)]
    )
    crawler = crawl.crawler()
    await crawl.run(crawler)
    for index, counts in crawler.shard_counts().items():
        assert counts.fetched == sum(crawl.shard_of(Request(url)) == index for url in urls)


@pytest.mark.parametrize(
    "body",
    [
        b"junk",
        b"[1]",
        b"{}",
        b'{"requests": []}',
        b'{"requests": [{"url": "nowhere"}]}',
        b'{"requests": [{"url": "http://[/"}]}',
        b'{"requests": [{"url": 7}]}',
        b'{"links": 5}',
        b'{"links": [[null, 0, null, 0, "http://a.test/"]]}',
        b'{"shard": 0, "links": [[null, 0, null, 0, ["http://a.test:x/"]]]}',
        b'{"shard": 0, "requests": [{"url": "HTTP://A.test/"}]}',
        b'{"shard": 99, "requests": [{"url": "http://a.test/"}]}',
        b'{"shard": -1, "requests": [{"url": "http://a.test/"}]}',
        b'{"shard": "0", "requests": [{"url": "http://a.test/"}]}',
        b'{"shard": true, "requests": [{"url": "http://a.test/"}]}',
        b'{"requests": [{"url": "http://a.test/", "body": "not base64!"}]}',
    ],
)
async def test_a_message_that_can_not_be_read_is_laid_aside_whole(
    body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    crawl = Crawl({HERE: linking()})
    id = await crawl.engine.queue.publish_raw(crawl.layout.topic, body)
    await crawl.seed(HERE)
    await crawl.run()
    assert crawl.store.blobs[f"dead/frontier/job/{id}"] == body
    assert (await crawl.engine.queue.depth(crawl.layout.topic)).messages == 0
    assert crawl.item_urls() == [HERE]
    await crawl.counts()
    assert "laid aside" in caplog.text


async def test_a_message_that_is_delivered_again_while_it_is_in_hand_is_worked_on_once() -> None:
    crawl = Crawl(Pages(lambda request: Page(latency_s=0.3)))
    await crawl.seed(*numbered(20))
    # A second on this clock, far less than the visits take: each message comes again and again.
    crawler = crawl.crawler(inbox=QueueInbox(crawl.engine.queue, crawl.layout.topic, lease_s=1.0))
    await crawl.run(crawler)
    assert crawl.item_urls() == sorted(numbered(20))
    assert len(crawl.fetcher.asked) == 20
    await crawl.counts()
    depth = await crawl.engine.queue.depth(crawl.layout.topic)
    assert depth.messages == 0


class Twice:
    """Delivers its messages, and then the same again, as a queue does whose acknowledgements got lost."""

    endless = False

    def __init__(self, deliveries: Sequence[Delivery]) -> None:
        self._rounds = [list(deliveries), list(deliveries)]

    async def receive(self, limit: int, keys: Sequence[str] | None) -> list[Delivery]:
        return self._rounds.pop() if self._rounds else []

    async def extend(self, deliveries: Sequence[Delivery], lease_s: float) -> None:
        return

    def unread(self) -> list[Delivery]:
        return []


async def test_a_message_that_ended_and_comes_again_before_the_commit_has_no_second_effect() -> None:
    crawl = Crawl(Pages(lambda request: Page()))
    await crawl.seed(*numbered(5))
    crawler = crawl.crawler(inbox=Twice(await crawl.batch()))
    await crawler.run()
    await crawl.run()
    assert crawl.item_urls() == sorted(numbered(5))
    assert (await crawl.counts()).discovered == 5


# Limits.


async def test_the_page_budget_is_exact() -> None:
    crawl = Crawl(site(300, latency_s=0.005))
    await crawl.seed("http://a.test/p/0.html")
    await crawl.run(crawl.crawler(budget=PageBudget(70)))
    counts = await crawl.counts()
    assert (counts.fetched, counts.items) == (70, 70)
    assert counts.waiting > 0
    await crawl.run(crawl.crawler(budget=PageBudget(30)))
    assert (await crawl.counts()).fetched == 100
    await crawl.run()
    assert crawl.item_urls() == urls_of(300)
    assert len(crawl.fetcher.urls()) == 300


async def test_pages_that_failed_are_not_taken_from_the_budget() -> None:
    def answer(request: Request) -> Page:
        number = int(request.url.rpartition("/")[2])
        return Page(status=404 if number % 2 else 200, latency_s=0.002)

    crawl = Crawl(Pages(answer))
    await crawl.seed(*numbered(100))
    await crawl.run(crawl.crawler(budget=PageBudget(50)))
    counts = await crawl.counts()
    assert counts.fetched == 50
    assert counts.failed > 10


class Contended(PageBudget):
    """A budget of which another process always takes the page that was seen to be there, at first."""

    def __init__(self, pages: int) -> None:
        super().__init__(pages)
        self.refused = 0

    def take(self) -> bool:
        if self.refused < 5:
            self.refused += 1
            return False
        return super().take()


async def test_a_page_that_another_process_took_first_is_crawled_later() -> None:
    crawl = Crawl(Pages(lambda request: Page()))
    await crawl.seed(*numbered(10))
    budget = Contended(10)
    await crawl.run(crawl.crawler(budget=budget))
    assert budget.refused == 5
    assert crawl.item_urls() == numbered(10)
    assert crawl.fetcher.most_at_once["a.test"] <= 8


async def test_a_budget_that_is_given_back_while_all_are_idle_is_used() -> None:
    pages = {HERE: Page(status=404, latency_s=0.1), "http://b.test/": linking()}
    crawl = Crawl(pages)
    await crawl.seed(HERE, "http://b.test/")
    await crawl.run(crawl.crawler(budget=PageBudget(1)))
    assert (await crawl.counts()).fetched == 1


async def test_no_more_pages_of_a_host_are_crawled_than_its_cap() -> None:
    crawl = Crawl(site(100, latency_s=0.005), settings=replace(QUIET, traps=Traps(host_pages=10)))
    await crawl.seed("http://a.test/p/0.html", "http://b.test/p/0.html")
    await crawl.run()
    counts = await crawl.counts()
    assert counts.fetched == 20
    assert counts.skipped["host_pages"] == counts.discovered - 20
    for host in ("a", "b"):
        assert sum(url.startswith(f"http://{host}.test/") for url in crawl.item_urls()) == 10


async def test_the_cap_of_a_host_outlives_the_crawler() -> None:
    crawl = Crawl(Pages(lambda request: Page()), settings=replace(QUIET, traps=Traps(host_pages=10)))
    await crawl.seed(*numbered(6))
    await crawl.run()
    await crawl.seed(*numbered(20))
    await crawl.run()
    counts = await crawl.counts()
    assert (counts.fetched, counts.skipped) == (10, {"host_pages": 10})


async def test_pages_over_the_cap_take_no_turns_of_the_pace() -> None:
    settings = replace(QUIET, traps=Traps(host_pages=2), pace=Pace(delay_s=100.0, jitter=0.0))
    crawl = Crawl(Pages(lambda request: Page()), settings=settings, speed=200)
    await crawl.seed(*numbered(100))
    await crawl.run()
    assert (await crawl.counts()).skipped == {"host_pages": 98}


# Hosts do not stand in each other's way.


async def test_a_host_that_is_gone_is_given_up_and_the_others_are_crawled() -> None:
    gone = {url: ConnectError("refused") for url in numbered(150, "gone.test")}
    here = dict.fromkeys(numbered(20), linking())
    crawl = Crawl(gone | here, settings=replace(QUIET, retry=Retry(base_s=0.2)), shards=1, speed=50)
    await crawl.seed(*gone, *here)
    await crawl.run()
    counts = await crawl.counts()
    assert crawl.item_urls() == sorted(here)
    assert counts.failed == 150
    assert set(counts.failures) == {"host_unreachable", "connect"}
    assert counts.failures["host_unreachable"] > 100


async def test_concurrency_per_host_is_kept() -> None:
    settings = replace(QUIET, pace=Pace(per_host=3, concurrency=16, adaptive=False))
    crawl = Crawl(Pages(lambda request: Page(latency_s=0.005)), settings=settings)
    await crawl.seed(*numbered(50), *numbered(50, "b.test"))
    await crawl.run()
    assert crawl.fetcher.most_at_once == {"a.test": 3, "b.test": 3}


async def test_a_hot_host_that_fills_its_shard_does_not_hold_up_another_host_of_it() -> None:
    def answer(request: Request) -> Page:
        return Page(latency_s=0.05 if "hot" in request.url else 0.0)

    crawl = Crawl(Pages(answer), settings=replace(QUIET, pace=Pace(per_host=1)), shards=1)
    await crawl.seed(*numbered(5_000, "hot.test"))
    crawler = crawl.crawler()
    others = numbered(20, "other.test")

    async def later() -> None:
        await crawl.fetcher.until_asked(3)
        await crawl.seed(*others)

    seeding = asyncio.create_task(later())
    await crawl.run(crawler, until=lambda: set(others) <= set(crawl.fetcher.urls()))
    await seeding
    counts = await crawl.counts()
    assert 20 < counts.fetched < 1_000


async def test_hot_hosts_that_fill_all_that_is_usually_in_hand_do_not_hold_up_other_shards() -> None:
    def answer(request: Request) -> Page:
        return Page(latency_s=0.05 if "hot" in request.url else 0.0)

    crawl = Crawl(Pages(answer), settings=replace(QUIET, pace=Pace(per_host=1)), shards=16)
    await crawl.seed(*numbered(9_000, "hot.test"))
    crawler = crawl.crawler()
    others = numbered(20, "other.test")
    assert crawl.shard_of(Request(others[0])) != crawl.shard_of(Request("http://hot.test/"))

    async def later() -> None:
        await crawl.fetcher.until_asked(3)
        await crawl.seed(*others)

    seeding = asyncio.create_task(later())
    await crawl.run(crawler, until=lambda: set(others) <= set(crawl.fetcher.urls()))
    await seeding
    assert (await crawl.counts()).fetched < 1_000


async def test_what_is_found_behind_a_hot_host_is_crawled_and_the_rest_of_the_hot_host_put_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intake_module, "SHARD_BUFFER", 200)
    monkeypatch.setattr(intake_module, "BUFFER", 400)

    def answer(request: Request) -> Page:
        return Page(latency_s=0.02 if "hot" in request.url else 0.0)

    crawl = Crawl(Pages(answer), settings=replace(QUIET, pace=Pace(per_host=1)), shards=1)
    others = numbered(20, "other.test")
    await crawl.seed(*numbered(3_000, "hot.test"))
    await crawl.invoke()
    await crawl.seed(*others)
    await crawl.run(until=lambda: set(others) <= set(crawl.fetcher.urls()))
    counts = await crawl.counts()
    assert 20 < counts.fetched < 1_000
    assert {delivery.attempt for delivery in await crawl.batch(100)} == {0}


async def test_the_pace_of_a_host_outlives_the_crawler() -> None:
    times: list[float] = []

    def answer(request: Request) -> Page:
        times.append(crawl.clock.now())
        return Page(status=429, headers={"retry-after": "40"}) if len(times) == 1 else Page()

    crawl = Crawl(Pages(answer), settings=replace(QUIET, pace=Pace(per_host=1)), speed=100)
    await crawl.seed(*numbered(3))
    await crawl.run(until=lambda: bool(times))
    await crawl.counts()
    await crawl.run()
    assert crawl.item_urls() == numbered(3)
    assert min(times[1:]) - times[0] >= 40


async def test_higher_priority_goes_first_on_a_host() -> None:
    settings = replace(QUIET, pace=Pace(per_host=1))
    crawl = Crawl(Pages(lambda request: Page()), settings=settings)
    requests = [Request(f"{HERE}{n}", priority=n % 3) for n in range(30)]
    data = {**pack(requests), "shard": crawl.shard_of(requests[0])}
    key = str(data["shard"])
    await crawl.engine.queue.publish_many([Message(crawl.layout.topic, data, ordering_key=key, weight=30)])
    crawler = crawl.crawler()
    await crawl.run(crawler)
    order = [request.priority for request in crawl.fetcher.asked]
    assert order == sorted(order, reverse=True)


# One invocation of a function.


async def test_an_invocation_ends_with_its_batch_and_publishes_the_rest() -> None:
    crawl = Crawl({HERE: linking("/1", "/2"), HERE + "1": linking("/3"), HERE + "2": linking()})
    await crawl.seed(HERE)
    await crawl.invoke()
    assert crawl.item_urls() == [HERE]
    assert (await crawl.engine.queue.depth(crawl.layout.topic)).ready == 1
    await crawl.counts()
    await crawl.invoke()
    assert crawl.item_urls() == [HERE, HERE + "1", HERE + "2"]
    assert len(crawl.fetcher.asked) == 3
    counts = await crawl.counts()
    assert (counts.fetched, counts.waiting) == (3, 1)


async def test_invocation_after_invocation_crawls_a_site_exactly() -> None:
    crawl = Crawl(site(150))
    await crawl.seed("http://a.test/p/0.html")
    while (await crawl.engine.queue.depth(crawl.layout.topic)).messages:
        await crawl.invoke(1)
        await crawl.counts()
    assert crawl.item_urls() == urls_of(150)
    assert len(crawl.fetcher.asked) == 150


async def test_an_invocation_without_messages_ends_at_once() -> None:
    crawl = Crawl({})
    await crawl.invoke()
    assert crawl.store.states == {}


async def test_an_invocation_whose_budget_is_spent_hands_back_everything_uncharged() -> None:
    crawl = Crawl(site(50))
    await crawl.seed("http://a.test/p/0.html", "http://b.test/p/0.html")
    waiting = (await crawl.engine.queue.depth(crawl.layout.topic)).messages
    assert waiting == 2
    await crawl.invoke(budget=PageBudget(0))
    depth = await crawl.engine.queue.depth(crawl.layout.topic)
    assert (depth.ready, depth.leased) == (2, 0)
    assert {delivery.attempt for delivery in await crawl.batch()} == {0}
    assert crawl.fetcher.asked == []


async def test_what_an_invocation_could_not_begin_is_handed_back_with_the_rest() -> None:
    crawl = Crawl(
        Pages(lambda request: Page(latency_s=0.02)), settings=replace(QUIET, pace=Pace(concurrency=2))
    )
    await crawl.seed(*numbered(40))
    crawler = crawl.crawler(inbox=BatchInbox(await crawl.batch()), budget=PageBudget(10))
    await crawler.run()
    counts = await crawl.counts()
    assert (counts.fetched, counts.waiting) == (10, 30)
    (delivery,) = await crawl.batch()
    assert delivery.attempt == 0
