"""robots.txt in a crawl: what it forbids isn't fetched, what it slows down is slow, the unknown waits."""

from dataclasses import replace

import pytest
from support.crawling import Crawl, FastClock
from support.pages import Page, Pages, linking, redirect, text

from airless.crawl.errors import ConnectError
from airless.crawl.request import Request
from airless.crawl.response import Response
from airless.crawl.settings import Pace, Settings

HERE = "http://a.test/"
ROBOTS = HERE + "robots.txt"


class Timed:
    """Pages, and the crawl's time at which each was asked for."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.clock: FastClock | None = None
        self.times: list[float] = []

    async def fetch(self, request: Request) -> Response:
        assert self.clock is not None
        if not request.url.endswith("/robots.txt"):
            self.times.append(self.clock.now())
        return await self.pages.fetch(request)

    async def aclose(self) -> None:
        await self.pages.aclose()


def _pages(number: int, robots: object) -> Pages:
    pages: dict[str, object] = {ROBOTS: robots, HERE: linking(*(f"/{n}" for n in range(number)))}
    pages |= {f"{HERE}{n}": linking() for n in range(number)}
    return Pages(pages)  # type: ignore[arg-type]


def _crawl(pages: Pages | Timed, *, speed: float = 20.0, pace: Pace | None = None) -> Crawl:
    settings = Settings() if pace is None else Settings(pace=pace)
    crawl = Crawl(pages, settings=settings, speed=speed)
    if isinstance(pages, Timed):
        pages.clock = crawl.clock
    return crawl


async def test_what_robots_forbids_is_skipped_and_never_asked_for() -> None:
    pages = _pages(10, text("User-agent: *\nDisallow: /1\nDisallow: /2\nAllow: /2$\n"))
    crawl = _crawl(pages)
    await crawl.seed(HERE)
    await crawl.run()
    counts = await crawl.counts()
    assert counts.skipped == {"robots": 1}
    assert counts.fetched == 10
    assert HERE + "1" not in pages.urls()
    assert pages.times(ROBOTS) == 1


async def test_robots_can_be_ignored() -> None:
    pages = _pages(3, text("User-agent: *\nDisallow: /\n"))
    crawl = Crawl(pages, settings=Settings(obey_robots=False))
    await crawl.seed(HERE)
    await crawl.run()
    assert (await crawl.counts()).fetched == 4
    assert pages.times(ROBOTS) == 0


async def test_a_host_without_a_robots_file_is_open() -> None:
    pages = _pages(3, Page(status=404))
    crawl = _crawl(pages)
    await crawl.seed(HERE)
    await crawl.run()
    assert (await crawl.counts()).fetched == 4


async def test_every_origin_has_rules_of_its_own() -> None:
    pages = Pages(
        {
            ROBOTS: text("User-agent: *\nDisallow: /x\n"),
            "https://a.test/robots.txt": text("User-agent: *\nDisallow: /y\n"),
            **{f"{scheme}://a.test/{name}": linking() for scheme in ("http", "https") for name in "xy"},
        }
    )
    crawl = _crawl(pages)
    await crawl.seed(*(f"{scheme}://a.test/{name}" for scheme in ("http", "https") for name in "xy"))
    await crawl.run()
    assert crawl.item_urls() == ["http://a.test/y", "https://a.test/x"]
    assert (await crawl.counts()).skipped == {"robots": 2}


async def test_a_hop_of_a_redirect_obeys_robots_too() -> None:
    pages = Pages({ROBOTS: text("User-agent: *\nDisallow: /private\n"), HERE: redirect("/private")})
    crawl = _crawl(pages)
    await crawl.seed(HERE)
    await crawl.run()
    assert (await crawl.counts()).skipped == {"redirected": 1, "robots": 1}
    assert pages.urls() == [HERE]


async def test_a_crawl_delay_is_kept_and_means_one_at_a_time() -> None:
    timed = Timed(_pages(5, text("User-agent: *\nCrawl-delay: 2\n")))
    crawl = _crawl(timed, speed=40)
    await crawl.seed(HERE)
    await crawl.run()
    assert (await crawl.counts()).fetched == 6
    gaps = [later - earlier for earlier, later in zip(timed.times, timed.times[1:], strict=False)]
    assert min(gaps) >= 2
    assert timed.pages.most_at_once["a.test"] == 1


async def test_the_time_that_robots_took_is_not_taken_from_the_delay() -> None:
    pages = _pages(2, Page("User-agent: *\nDisallow:\n", latency_s=0.2))
    timed = Timed(pages)
    crawl = _crawl(timed, speed=20, pace=Pace(delay_s=2.0, jitter=0.0))
    await crawl.seed(HERE, HERE + "0", HERE + "1")
    await crawl.run()
    gaps = [later - earlier for earlier, later in zip(timed.times, timed.times[1:], strict=False)]
    assert len(gaps) == 2
    # From turn to turn it is 2 s; what lies between a turn and its fetch is a little more or less. Were robots' 0.2 s
    # taken from it, it would be 1.8.
    assert min(gaps) >= 1.95


async def test_before_the_rules_are_known_one_request_at_a_time_is_under_way() -> None:
    pages = _pages(20, text("User-agent: *\nDisallow:\n"))
    answers = pages.answers
    assert isinstance(answers, dict)
    answers[ROBOTS] = Page("User-agent: *\nDisallow:\n", latency_s=0.1)
    crawl = _crawl(pages)
    await crawl.seed(HERE, *(f"{HERE}{n}" for n in range(20)))
    await crawl.run()
    assert pages.times(ROBOTS) == 1
    assert pages.asked[0].url == ROBOTS
    assert (await crawl.counts()).fetched == 21


async def test_forbidden_pages_take_no_turns_of_the_pace() -> None:
    pages = _pages(100, text("User-agent: *\nDisallow: /\nAllow: /$\nCrawl-delay: 50\n"))
    crawl = _crawl(pages, speed=200)
    await crawl.seed(HERE)
    await crawl.run()
    counts = await crawl.counts()
    assert (counts.fetched, counts.skipped) == (1, {"robots": 100})


@pytest.mark.parametrize("fault", [text("busy", 503), text("no", 500), ConnectError("refused")], ids=str)
async def test_pages_wait_for_robots_that_can_not_be_had_and_are_skipped_in_the_end(fault: object) -> None:
    pages = _pages(5, fault)
    crawl = _crawl(pages, speed=50)
    await crawl.seed(HERE, HERE + "1", HERE + "2")
    began = crawl.clock.now()
    await crawl.run()
    counts = await crawl.counts()
    assert counts.skipped == {"robots_unreachable": 3}
    assert pages.urls() == []
    assert pages.times(ROBOTS) == 4
    assert crawl.clock.now() - began >= 1 + 2 + 4


async def test_pages_wait_for_robots_and_are_crawled_when_they_come() -> None:
    pages = _pages(5, [text("busy", 503), text("busy", 503), text("User-agent: *\nDisallow: /3\n")])
    crawl = _crawl(pages, speed=50)
    await crawl.seed(HERE)
    await crawl.run()
    counts = await crawl.counts()
    assert (counts.fetched, counts.skipped) == (5, {"robots": 1})
    assert pages.times(ROBOTS) == 3


async def test_a_host_that_waits_for_its_robots_holds_up_nobody() -> None:
    pages = Pages({ROBOTS: text("busy", 503), **{f"http://b.test/{n}": linking() for n in range(50)}})
    crawl = _crawl(pages, speed=50, pace=Pace(concurrency=2))
    await crawl.seed(HERE, *(f"http://b.test/{n}" for n in range(50)))
    first: list[int] = []

    def over() -> bool:
        if not first and sum("b.test" in url for url in pages.urls()) == 50:
            first.append(pages.times(ROBOTS))
        return False

    await crawl.run(until=over)
    counts = await crawl.counts()
    assert (counts.fetched, counts.skipped) == (50, {"robots_unreachable": 1})
    assert first[0] < 4


async def test_pages_that_wait_for_robots_are_handed_back_when_the_crawl_is_stopped() -> None:
    pages = _pages(0, text("busy", 503))
    crawl = _crawl(pages, speed=1)
    await crawl.seed(HERE)
    await crawl.run(until=lambda: pages.times(ROBOTS) > 0)
    assert (await crawl.counts()).waiting == 1
    answers = pages.answers
    assert isinstance(answers, dict)
    answers[ROBOTS] = text("")
    crawl.settings = replace(crawl.settings)
    await crawl.run()
    assert crawl.item_urls() == [HERE]
