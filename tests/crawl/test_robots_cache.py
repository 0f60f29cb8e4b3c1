"""The robots cache, against a real server on loopback."""

import asyncio
import base64
import itertools
import logging
from collections.abc import AsyncIterator, Callable

import aiohttp
import orjson
import pytest
from aiohttp import web

from airless.core.clock import ManualClock
from airless.crawl.errors import ConnectError, FetchTimeout
from airless.crawl.headers import Headers
from airless.crawl.request import Request
from airless.crawl.response import Response
from airless.crawl.robots import Rules
from airless.crawl.robots_cache import LEAST_TTL_S, MAX_WAIT_S, STALE_S, RobotsCache

DAY_S = 86_400.0
FILE = "User-agent: *\nDisallow: /private\nCrawl-delay: 2\nSitemap: https://example.com/s.xml\n"


class LoopbackFetcher:
    """The smallest thing that keeps the port's promise."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))

    async def fetch(self, request: Request) -> Response:
        try:
            async with self._session.get(request.url, allow_redirects=False) as answer:
                headers = Headers(answer.headers.items())
                return Response(request.url, answer.status, headers, await answer.read(), request=request)
        except TimeoutError as error:
            raise FetchTimeout(request.url) from error
        except aiohttp.ClientError as error:
            raise ConnectError(f"{request.url}: {error}") from error

    async def aclose(self) -> None:
        await self._session.close()


class Site:
    """A server whose answers by path a test sets, and which counts what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[], web.Response]] = {}
        self.asked: list[str] = []
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.origin = ""

    def say(self, text: str = FILE, status: int = 200, *, path: str = "/robots.txt", **headers: str) -> None:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = lambda: web.Response(text=text, status=status, headers=fields)

    def redirect(self, path: str, location: str, status: int = 301) -> None:
        self.say("", status, path=path, Location=location)

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        self.reached.set()
        await self.gate.wait()
        answer = self.answers.get(request.path)
        return answer() if answer else web.Response(status=404)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    site.origin = listener.name
    yield site
    await runner.cleanup()


@pytest.fixture
async def fetcher() -> AsyncIterator[LoopbackFetcher]:
    fetcher = LoopbackFetcher()
    yield fetcher
    await fetcher.aclose()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def cache(fetcher: LoopbackFetcher, clock: ManualClock) -> RobotsCache:
    return RobotsCache(fetcher, agent="ExampleBot/1.0", clock=clock)


async def test_a_file_gives_its_rules_and_is_asked_for_once_a_day(
    site: Site, cache: RobotsCache, clock: ManualClock
) -> None:
    site.say()
    robots = await cache.get(site.origin)
    assert robots.rules == Rules.parse(FILE.encode(), "ExampleBot")
    assert (robots.status, robots.unreachable, robots.expires_s) == (200, False, clock.now() + DAY_S)
    clock.advance(DAY_S - 1)
    assert await cache.get(site.origin) is robots
    assert site.asked == ["/robots.txt"]
    clock.advance(1)
    await cache.get(site.origin)
    assert site.asked == ["/robots.txt"] * 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
async def test_unavailable_means_that_everything_is_allowed(
    site: Site, cache: RobotsCache, status: int
) -> None:
    site.say("User-agent: *\nDisallow: /", status)
    robots = await cache.get(site.origin)
    assert (robots.rules, robots.unreachable, robots.status) == (Rules.allow_all(), False, status)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 599])
async def test_unreachable_means_that_everything_waits(
    site: Site, cache: RobotsCache, clock: ManualClock, status: int
) -> None:
    site.say(FILE, status)
    robots = await cache.get(site.origin)
    assert robots.rules == Rules.disallow_all()
    assert (robots.unreachable, robots.status, robots.retry_after_s) == (True, status, None)
    assert robots.expires_s == clock.now() + 1


async def test_tries_at_an_unreachable_file_come_further_and_further_apart(
    site: Site, cache: RobotsCache, clock: ManualClock
) -> None:
    site.say(status=503)
    waits = []
    for _ in range(11):
        robots = await cache.get(site.origin)
        waits.append(robots.expires_s - clock.now())
        clock.advance(waits[-1])
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, MAX_WAIT_S, MAX_WAIT_S]
    site.say()
    robots = await cache.get(site.origin)
    assert (robots.unreachable, robots.failures) == (False, 0)


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("soon", None),
    ],
)
async def test_retry_after_is_obeyed_and_zero_is_no_leave_to_hammer(
    site: Site, cache: RobotsCache, clock: ManualClock, value: str, wait_s: float | None
) -> None:
    site.say(FILE, 503, Retry_After=value)
    robots = await cache.get(site.origin)
    assert robots.retry_after_s == wait_s
    assert robots.expires_s - clock.now() == max(1.0, wait_s or 0.0)


async def test_a_server_that_is_not_there_is_unreachable(cache: RobotsCache) -> None:
    robots = await cache.get("http://127.0.0.1:1")
    assert (robots.rules, robots.unreachable, robots.status) == (Rules.disallow_all(), True, None)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed_and_bind_the_first_authority(
    site: Site, cache: RobotsCache, status: int
) -> None:
    site.redirect("/robots.txt", "/a", status)
    site.redirect("/a", site.origin.replace("127.0.0.1", "localhost") + "/b", status)
    site.say(path="/b")
    robots = await cache.get(site.origin)
    assert not robots.rules.allows("/private")
    assert cache.known(site.origin) is robots
    assert len(cache) == 1


@pytest.mark.parametrize(("hops", "reached"), [(5, True), (6, False)])
async def test_five_redirects_are_followed_and_six_mean_unavailable(
    site: Site, cache: RobotsCache, hops: int, reached: bool
) -> None:
    paths = ["/robots.txt", *(f"/{n}" for n in range(hops))]
    for path, target in itertools.pairwise(paths):
        site.redirect(path, target)
    site.say(path=paths[-1])
    robots = await cache.get(site.origin)
    assert robots.rules.allows("/private") is not reached
    assert not robots.unreachable
    assert len(site.asked) == 6


@pytest.mark.parametrize("location", ["ftp://example.com/robots.txt", "data:text/plain,", "", "/robots.txt"])
async def test_a_redirect_that_leads_nowhere_means_unavailable(
    site: Site, cache: RobotsCache, location: str
) -> None:
    site.redirect("/robots.txt", location)
    robots = await cache.get(site.origin)
    assert (robots.rules, robots.unreachable) == (Rules.allow_all(), False)
    assert site.asked == ["/robots.txt"]


async def test_a_redirect_to_an_unreachable_server_is_unreachable(site: Site, cache: RobotsCache) -> None:
    site.redirect("/robots.txt", "http://127.0.0.1:1/robots.txt")
    assert (await cache.get(site.origin)).unreachable


@pytest.mark.parametrize(
    ("value", "ttl_s"),
    [
        ("max-age=3600", 3_600.0),
        ('public, Max-Age="7200", must-revalidate', 7_200.0),
        ("max-age=604800", DAY_S),
        ("max-age=0", LEAST_TTL_S),
        ("max-age=junk", DAY_S),
        ("no-transform", DAY_S),
    ],
)
async def test_a_lower_max_age_is_obeyed_within_bounds(
    site: Site, cache: RobotsCache, clock: ManualClock, value: str, ttl_s: float
) -> None:
    site.say(FILE, Cache_Control=value)
    assert (await cache.get(site.origin)).expires_s == clock.now() + ttl_s


async def test_rules_outlive_a_failed_refresh_for_a_bounded_time(
    site: Site, cache: RobotsCache, clock: ManualClock
) -> None:
    site.say()
    first = await cache.get(site.origin)
    site.say(status=503)
    clock.advance(DAY_S)
    stale = await cache.get(site.origin)
    assert (stale.rules, stale.unreachable, stale.status) == (first.rules, False, 503)
    assert stale.expires_s == clock.now() + 1
    clock.advance(STALE_S - DAY_S - 1)
    assert (await cache.get(site.origin)).rules == first.rules
    clock.advance(10)
    last = await cache.get(site.origin)
    assert (last.rules, last.unreachable) == (Rules.disallow_all(), True)


async def test_leave_without_a_file_does_not_outlive_a_failed_refresh(
    site: Site, cache: RobotsCache, clock: ManualClock
) -> None:
    await cache.get(site.origin)
    site.say(status=503)
    clock.advance(DAY_S)
    assert (await cache.get(site.origin)).unreachable


async def test_a_crawl_delay_over_the_cap_is_cut_and_logged(
    site: Site, fetcher: LoopbackFetcher, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    cache = RobotsCache(fetcher, agent="a", clock=clock, max_crawl_delay_s=30)
    site.say("User-agent: *\nCrawl-delay: 3600\n")
    with caplog.at_level(logging.WARNING, "airless.crawl"):
        assert (await cache.get(site.origin)).rules.crawl_delay_s == 30
    assert "crawl delay of 3600 s" in caplog.text


async def test_callers_at_the_same_time_share_one_fetch(site: Site, cache: RobotsCache) -> None:
    site.say()
    site.gate.clear()
    async with asyncio.TaskGroup() as group:
        callers = [group.create_task(cache.get(site.origin)) for _ in range(50)]
        await site.reached.wait()
        site.gate.set()
    assert len({id(caller.result()) for caller in callers}) == 1
    assert site.asked == ["/robots.txt"]


@pytest.mark.parametrize("leaver", [0, 1, 2])
async def test_a_cancelled_caller_takes_nobody_along(site: Site, cache: RobotsCache, leaver: int) -> None:
    site.say()
    site.gate.clear()
    callers = [asyncio.create_task(cache.get(site.origin)) for _ in range(3)]
    await site.reached.wait()
    callers[leaver].cancel()
    results = asyncio.gather(*callers, return_exceptions=True)
    await asyncio.sleep(0)
    site.gate.set()
    for number, result in enumerate(await results):
        if number == leaver:
            assert isinstance(result, asyncio.CancelledError)
        else:
            assert not isinstance(result, BaseException)
            assert not result.rules.allows("/private")
    assert not (await cache.get(site.origin)).unreachable


async def test_a_lone_caller_that_is_cancelled_leaves_nothing_dead(site: Site, cache: RobotsCache) -> None:
    site.say()
    site.gate.clear()
    caller = asyncio.create_task(cache.get(site.origin))
    await site.reached.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert (len(cache), cache.dump(site.origin)) == (0, None)
    site.gate.set()
    assert not (await cache.get(site.origin)).rules.allows("/private")


async def test_the_least_recently_used_are_forgotten(
    site: Site, fetcher: LoopbackFetcher, clock: ManualClock
) -> None:
    cache = RobotsCache(fetcher, agent="a", clock=clock, capacity=2)
    names = [site.origin, site.origin.replace("127.0.0.1", "localhost"), "http://127.0.0.1:1"]
    await cache.get(names[0])
    await cache.get(names[1])
    await cache.get(names[0])
    await cache.get(names[2])
    assert [cache.known(name) is not None for name in names] == [True, False, True]
    assert len(cache) == 2


async def test_memory_is_bounded_by_what_the_rules_take(
    site: Site, fetcher: LoopbackFetcher, clock: ManualClock
) -> None:
    cache = RobotsCache(fetcher, agent="a", clock=clock, capacity_bytes=100_000)
    site.say("User-agent: *\n" + "".join(f"Disallow: /{n}\n" for n in range(400)))
    await cache.get(site.origin)
    await cache.get(site.origin)
    assert len(cache) == 1
    await cache.get(site.origin.replace("127.0.0.1", "localhost"))
    assert len(cache) == 1


async def test_what_was_learnt_goes_on_in_another_process(
    site: Site, cache: RobotsCache, fetcher: LoopbackFetcher, clock: ManualClock
) -> None:
    site.say()
    learnt = await cache.get(site.origin)
    stored = cache.dump(site.origin)
    assert stored is not None
    other = RobotsCache(fetcher, agent="ExampleBot", clock=clock)
    assert other.load(site.origin, stored)
    assert await other.get(site.origin) == learnt
    assert site.asked == ["/robots.txt"]


async def test_failures_are_remembered_in_another_process(
    site: Site, cache: RobotsCache, fetcher: LoopbackFetcher, clock: ManualClock
) -> None:
    site.say(FILE, 503, Retry_After="7")
    learnt = await cache.get(site.origin)
    other = RobotsCache(fetcher, agent="ExampleBot", clock=clock)
    assert other.load(site.origin, cache.dump(site.origin) or b"")
    assert await other.get(site.origin) == learnt
    clock.advance(7)
    assert (await other.get(site.origin)).failures == 2


async def test_what_another_agent_learnt_or_nobody_wrote_is_not_taken_up(
    site: Site, cache: RobotsCache, fetcher: LoopbackFetcher, clock: ManualClock
) -> None:
    site.say()
    await cache.get(site.origin)
    stored = cache.dump(site.origin) or b""
    assert not RobotsCache(fetcher, agent="OtherBot", clock=clock).load(site.origin, stored)
    other = RobotsCache(fetcher, agent="ExampleBot", clock=clock)
    broken = {**orjson.loads(stored), "expires": "soon"}
    for junk in (b"", b"[]", b"null", b"{}", base64.b64encode(stored), stored[:-9], orjson.dumps(broken)):
        assert not other.load(site.origin, junk)
    assert len(other) == 0


async def test_a_stored_answer_counts_no_longer_than_a_day(
    site: Site, cache: RobotsCache, clock: ManualClock
) -> None:
    site.say()
    await cache.get(site.origin)
    far = {**orjson.loads(cache.dump(site.origin) or b""), "expires": clock.now() + 100 * DAY_S}
    assert cache.load(site.origin, orjson.dumps(far))
    clock.advance(DAY_S)
    assert cache.known(site.origin) is None
