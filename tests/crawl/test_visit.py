"""One visit: what an answer, a fault or a callback makes of a request."""

import logging
import random
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from support.pages import Page, Pages, linking, redirect

from airless.core.clock import ManualClock
from airless.core.errors import ConfigError
from airless.crawl.compiled import speed
from airless.crawl.errors import (
    AddressRefused,
    BodyTooLarge,
    ConnectError,
    FetchError,
    FetchTimeout,
    ProtocolError,
    ResolveError,
    TlsError,
    TruncatedBody,
)
from airless.crawl.request import Follow, Request
from airless.crawl.response import Response
from airless.crawl.scan import scan
from airless.crawl.settings import Http, Retry, Settings
from airless.crawl.sitemap_seeds import ROBOTS, SITEMAP
from airless.crawl.spider import Spider
from airless.crawl.visit import Outcome, Visitor, again, redirected, target_of

URL = "http://example.com/page"
DEFAULTS = Settings()


class Plain(Spider):
    """An item and the links of each page."""

    def parse(self, response: Response) -> Iterator[Any]:
        yield {"url": response.url, "status": response.status, "meta": response.meta}
        yield response.follow_all()

    def parse_other(self, response: Response) -> dict[str, str]:
        return {"other": response.url}


def _visitor(answer: Any, spider: Spider | None = None, settings: Settings = DEFAULTS) -> Visitor:
    return Visitor(
        spider or Plain(), settings, Pages(lambda request: answer), ManualClock(), random.Random(1)
    )


async def _visit(
    answer: Any,
    request: Request | None = None,
    *,
    spider: Spider | None = None,
    settings: Settings = DEFAULTS,
    last_try: bool = False,
) -> Outcome:
    visitor = _visitor(answer, spider, settings)
    return await visitor.visit(request or Request(URL), last_try=last_try)


def _items(outcome: Outcome) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in outcome.items]


def _hop(outcome: Outcome) -> Request:
    assert outcome.kind == "redirected"
    assert outcome.next is not None
    return outcome.next


async def test_a_page_gives_its_items_and_what_it_found() -> None:
    outcome = await _visit(linking("/a", "/b"))
    assert outcome.kind == "fetched"
    assert _items(outcome) == [{"url": URL, "status": 200, "meta": {}}]
    (follow,) = outcome.found
    assert isinstance(follow, Follow)
    assert follow.urls == ["http://example.com/a", "http://example.com/b"]


async def test_what_an_answer_weighed_and_took_is_told() -> None:
    outcome = await _visit(Page("x" * 100, latency_s=0.01))
    assert (outcome.status, outcome.body_bytes, outcome.wire_bytes, outcome.latency_s) == (
        200,
        100,
        100,
        0.01,
    )


async def test_the_callback_of_the_request_is_called_with_its_meta() -> None:
    request = Request(URL, meta={"page": 3})
    assert _items(await _visit(Page(), request))[0]["meta"] == {"page": 3}
    assert _items(await _visit(Page(), Request(URL, callback="parse_other"))) == [{"other": URL}]


async def test_a_page_that_is_not_there_failed_under_its_status() -> None:
    outcome = await _visit(Page("gone", 404))
    assert (outcome.kind, outcome.reason, outcome.status) == ("failed", "http_404", 404)
    assert (outcome.items, outcome.found) == ([], [])
    assert outcome.body_bytes == 4


async def test_callbacks_see_the_statuses_they_asked_for() -> None:
    settings = Settings(http=Http(handle_statuses=frozenset({404, 500, 301})))
    for page in (Page(status=404), Page(status=500), redirect("/x")):
        outcome = await _visit(page, settings=settings)
        assert outcome.kind == "fetched"
        assert _items(outcome)[0]["status"] == page.status


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
async def test_a_passing_refusal_is_tried_again(status: int) -> None:
    outcome = await _visit(Page(status=status), Request(URL, meta={"k": 1}))
    assert (outcome.kind, outcome.status) == ("retry", status)
    assert outcome.next is not None
    assert (outcome.next.url, outcome.next.attempt, outcome.next.meta) == (URL, 1, {"k": 1})
    assert 0 <= outcome.delay_s <= 1


@pytest.mark.parametrize("status", [300, 301, 304, 400, 401, 403, 404, 410, 418, 451])
async def test_a_lasting_refusal_is_not(status: int) -> None:
    outcome = await _visit(Page(status=status))
    assert (outcome.kind, outcome.reason) == ("failed", f"http_{status}")


@pytest.mark.parametrize(("status", "tries"), [(500, 3), (502, 3), (408, 3), (429, 12), (503, 12)])
async def test_tries_are_limited_and_being_told_not_now_counts_for_a_quarter(status: int, tries: int) -> None:
    request = Request(URL)
    seen = 0
    while True:
        outcome = await _visit(Page(status=status), request, settings=Settings(retry=Retry(max_attempts=3)))
        seen += 1
        if outcome.next is None:
            break
        request = outcome.next
    assert seen == tries
    assert (outcome.kind, outcome.reason) == ("failed", f"http_{status}")


@pytest.mark.parametrize("error", [ConnectError, ResolveError, FetchTimeout, TruncatedBody])
async def test_a_passing_fault_is_tried_again_up_to_the_limit(error: type[FetchError]) -> None:
    request = Request(URL)
    for attempt in (1, 2):
        outcome = await _visit(error("broken"), request)
        assert outcome.kind == "retry"
        assert outcome.next is not None
        assert outcome.next.attempt == attempt
        assert isinstance(outcome.error, error)
        request = outcome.next
    outcome = await _visit(error("broken"), request)
    assert (outcome.kind, outcome.reason, outcome.status) == ("failed", error.reason, None)
    assert isinstance(outcome.error, error)


@pytest.mark.parametrize("error", [ProtocolError, TlsError, BodyTooLarge, AddressRefused])
async def test_a_lasting_fault_is_not(error: type[FetchError]) -> None:
    outcome = await _visit(error("broken"))
    assert (outcome.kind, outcome.reason) == ("failed", error.reason)


async def test_what_may_have_had_an_effect_is_not_sent_again_after_a_fault() -> None:
    assert (await _visit(ConnectError("x"), Request(URL, method="POST"))).kind == "failed"
    assert (await _visit(ConnectError("x"), Request(URL, method="PATCH"))).kind == "failed"
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE"):
        assert (await _visit(ConnectError("x"), Request(URL, method=method))).kind == "retry"


async def test_a_host_that_is_gone_gets_no_second_try() -> None:
    assert (await _visit(ConnectError("x"), last_try=True)).kind == "failed"
    assert (await _visit(Page(status=503), last_try=True)).kind == "failed"


async def test_back_off_grows_with_the_attempts_within_its_cap() -> None:
    settings = Settings(retry=Retry(max_attempts=50, base_s=1.0, cap_s=10.0))
    for attempt in (0, 1, 2, 5, 20):
        request = Request(URL)
        request.attempt = attempt
        visitor = _visitor(Page(status=500), settings=settings)
        delays = [(await visitor.visit(request, last_try=False)).delay_s for _ in range(200)]
        limit = min(10.0, 2.0**attempt)
        assert max(delays) <= limit
        assert max(delays) > 0.9 * limit
        assert min(delays) < 0.1 * limit


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_told_to_the_host_and_is_the_least_delay(status: int) -> None:
    outcome = await _visit(Page(status=status, headers={"retry-after": "120"}))
    assert (outcome.kind, outcome.retry_after_s) == ("retry", 120.0)
    assert outcome.delay_s >= 120


async def test_retry_after_can_be_a_date() -> None:
    page = Page(status=503, headers={"retry-after": "Tue, 14 Nov 2023 22:14:20 GMT"})
    outcome = await _visit(page)  # the clock stands at Tue, 14 Nov 2023 22:13:20 GMT
    assert outcome.retry_after_s == 60.0


async def test_retry_after_zero_does_not_switch_back_off_off() -> None:
    visitor = _visitor(Page(status=503, headers={"retry-after": "0"}))
    delays = [(await visitor.visit(Request(URL), last_try=False)).delay_s for _ in range(50)]
    assert max(delays) > 0.5


async def test_retry_after_of_a_page_that_failed_still_goes_to_the_host() -> None:
    outcome = await _visit(Page(status=503, headers={"retry-after": "7"}), last_try=True)
    assert (outcome.kind, outcome.retry_after_s) == ("failed", 7.0)


# Redirects, as in Fetch's HTTP-redirect fetch.


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "GET", "GET"),
        (301, "POST", "GET"),
        (301, "PUT", "PUT"),
        (301, "HEAD", "HEAD"),
        (302, "POST", "GET"),
        (302, "DELETE", "DELETE"),
        (303, "GET", "GET"),
        (303, "HEAD", "HEAD"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (307, "POST", "POST"),
        (307, "GET", "GET"),
        (308, "POST", "POST"),
        (308, "PUT", "PUT"),
    ],
)
async def test_a_redirect_changes_the_method_as_fetch_has_it(status: int, method: str, then: str) -> None:
    body = b"a=1" if method in {"POST", "PUT"} else None
    request = Request(URL, method=method, body=body, headers={"Content-Type": "text/x", "X-Kept": "1"})
    hop = _hop(await _visit(redirect("/target", status), request))
    assert hop.url == "http://example.com/target"
    assert hop.method == then
    if then == method:
        assert hop.body == body
        assert hop.headers == {"Content-Type": "text/x", "X-Kept": "1"}
    else:
        assert hop.body is None
        assert hop.headers == {"X-Kept": "1"}


@pytest.mark.parametrize(
    "target",
    ["https://example.com/", "http://example.com:81/", "http://sub.example.com/", "http://other.example/"],
)
def test_what_is_secret_stays_with_its_origin(target: str) -> None:
    secrets = {"Authorization": "Bearer x", "cookie": "a=1", "Proxy-Authorization": "Basic x"}
    request = Request(URL, headers={**secrets, "Accept": "*/*"})
    assert redirected(request, 302, target).headers == {"Accept": "*/*"}
    assert redirected(request, 302, "http://example.com/other").headers == {**secrets, "Accept": "*/*"}
    assert request.headers == {**secrets, "Accept": "*/*"}


async def test_a_hop_carries_what_the_request_carried() -> None:
    request = Request(URL, callback="parse_other", meta={"k": [1]}, priority=3)
    request.depth, request.referrer, request.seed, request.attempt = 2, "http://example.com/from", True, 2
    hop = _hop(await _visit(redirect("/target"), request))
    assert (hop.callback, hop.meta, hop.priority) == ("parse_other", {"k": [1]}, 3)
    assert (hop.depth, hop.referrer, hop.seed) == (2, "http://example.com/from", True)
    assert (hop.redirects, hop.attempt) == (1, 0)


async def test_relative_locations_and_fragments_are_resolved() -> None:
    assert _hop(await _visit(redirect("../x?y#z"))).url == "http://example.com/x?y"
    assert _hop(await _visit(redirect("//other.example"))).url == "http://other.example/"


async def test_the_twentieth_redirect_is_followed_and_the_next_is_not() -> None:
    request = Request(URL)
    request.redirects = 19
    hop = _hop(await _visit(redirect("/next"), request))
    assert hop.redirects == 20
    outcome = await _visit(redirect("/next"), hop)
    assert (outcome.kind, outcome.reason) == ("failed", "too_many_redirects")


@pytest.mark.parametrize(
    "location", ["mailto:a@example.com", "http://", "javascript:x", "ftp://example.com/"]
)
async def test_a_redirect_to_nowhere_failed(location: str) -> None:
    outcome = await _visit(redirect(location))
    assert (outcome.kind, outcome.reason) == ("failed", "bad_redirect")


async def test_a_redirect_without_a_location_failed_under_its_status() -> None:
    outcome = await _visit(Page(status=302))
    assert (outcome.kind, outcome.reason) == ("failed", "http_302")


async def test_a_redirect_to_itself_with_a_cookie_is_no_duplicate() -> None:
    outcome = await _visit(redirect(URL, set_cookie="seen=1"))
    assert outcome.repeats
    assert not _hop(outcome).dont_filter
    assert not (await _visit(redirect(URL))).repeats
    assert not (await _visit(redirect("/other", set_cookie="seen=1"))).repeats


async def test_another_try_of_a_hop_counts_its_redirects_on() -> None:
    request = Request(URL, headers={"X": "1"}, method="PUT", body=b"x", dont_filter=True)
    request.redirects, request.attempt, request.seed = 4, 1, True
    copy = again(request)
    assert (copy.redirects, copy.attempt, copy.seed, copy.dont_filter) == (4, 2, True, True)
    assert (copy.method, copy.body, copy.headers) == ("PUT", b"x", {"X": "1"})


# Spiders that go wrong.


class Wrong(Spider):
    """Yields an item and a link, and then what it was made for."""

    def __init__(self, make: Callable[[], Any]) -> None:
        super().__init__()
        self.make = make

    def parse(self, response: Response) -> Iterator[Any]:
        yield {"url": response.url}
        yield response.follow("/next")
        yield self.make()


def _broken() -> Any:
    raise RuntimeError("a bug of the spider's")


def _changed(**values: Any) -> Request:
    request = Request(URL)
    for name, value in values.items():
        setattr(request, name, value)
    return request


@pytest.mark.parametrize(
    "make",
    [
        _broken,
        lambda: "a string",
        lambda: {"key": object()},
        lambda: Request(None),  # type: ignore[arg-type]
        lambda: Request(URL, meta={"when": object()}),
        lambda: Request(URL, meta={1: "a key that is no text"}),  # type: ignore[dict-item]
        lambda: Request(URL, headers={"X": 1}),  # type: ignore[dict-item]
        lambda: Request(URL, priority="high"),  # type: ignore[arg-type]
        lambda: Request(URL, priority=1.5),  # type: ignore[arg-type]
        lambda: Request(URL, priority=2**70),
        lambda: Request(URL, method=""),
        lambda: Request(URL, body=7),  # type: ignore[arg-type]
        lambda: _changed(meta=[1]),
        lambda: _changed(callback=print),
        lambda: Follow([URL, 7]),  # type: ignore[list-item]
        lambda: Follow([URL], meta={"x": {1, 2}}),
        lambda: Follow([], headers={"X": b"1"}),  # type: ignore[dict-item]
    ],
)
async def test_a_page_on_which_the_spider_fails_gives_nothing(
    make: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    outcome = await _visit(Page("x"), spider=Wrong(make))
    assert (outcome.kind, outcome.reason) == ("failed", "spider_error")
    assert (outcome.items, outcome.found) == ([], [])
    assert (outcome.status, outcome.body_bytes, outcome.error) == (200, 1, None)
    assert URL in caplog.text
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("made", [list, iter, tuple])
async def test_items_are_kept_as_they_were_when_they_were_made(made: Callable[[list[Any]], Any]) -> None:
    class Rare(Spider):
        def parse(self, response: Response) -> Any:
            return made([{"n": 2**70}, {"b": b"x"}, {"half": "\ud800"}, {1: 2}])

        def generator(self, response: Response) -> Iterator[Any]:
            item = {"n": 1}
            yield item
            item["n"] = 2**70
            yield item

    lines = [
        b'{"n":1180591620717411303424}\n',
        b'{"b":"eA=="}\n',
        '{"half":"\ufffd"}\n'.encode(),
        b'{"1":2}\n',
    ]
    assert (await _visit(Page(), spider=Rare())).items == lines
    outcome = await _visit(Page(), Request(URL, callback="generator"), spider=Rare())
    assert outcome.items == [b'{"n":1}\n', lines[0]]


async def test_nothing_is_awaited_for_a_list_or_a_generator() -> None:
    class Listing(Plain):
        def parse(self, response: Response) -> Any:
            return list(super().parse(response))

    for spider in (Plain(), Listing()):
        visitor = _visitor(linking("/x"), spider)
        request = Request(URL)
        outcome, rest = visitor.read(request, Response.from_bytes(URL, b"<a href=/x>"), last_try=False)
        assert rest is None
        assert (len(outcome.items), len(outcome.found)) == (1, 1)


@pytest.mark.parametrize(
    "odd", [{"meta": {"no": object()}}, {"priority": 2**63}, {"headers": {"X": 1}}, {"priority": "high"}]
)
async def test_links_of_a_page_that_could_not_travel_are_the_spider_s_fault(odd: dict[str, Any]) -> None:
    class Careless(Spider):
        def parse(self, response: Response) -> Iterator[Any]:
            yield response.follow_all(**odd)

    outcome = await _visit(linking("/x"), spider=Careless())
    assert (outcome.kind, outcome.reason, outcome.found) == ("failed", "spider_error", [])


async def test_a_callback_that_does_not_exist_ends_the_crawl() -> None:
    with pytest.raises(ConfigError, match="parse_nothing"):
        await _visit(Page(), Request(URL, callback="parse_nothing"))


async def test_failures_are_told_without_alarm(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "airless.crawl")
    await _visit(Page(status=404))
    await _visit(TlsError("the certificate was refused"))
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO"]
    assert "HTTP 404" in caplog.text
    assert "the certificate was refused" in caplog.text


# Sitemaps.


async def test_a_sitemap_is_read_and_not_given_to_the_spider() -> None:
    outcome = await _visit(Page("http://example.com/a\n"), Request(URL, callback=SITEMAP))
    assert outcome.kind == "fetched"
    assert outcome.items == []
    assert [list(found.urls) for found in outcome.found if isinstance(found, Follow)] == [
        ["http://example.com/a"]
    ]


async def test_a_robots_file_that_is_not_there_still_leads_to_the_usual_sitemap() -> None:
    outcome = await _visit(Page(status=404), Request("http://example.com/robots.txt", callback=ROBOTS))
    assert outcome.kind == "fetched"
    (found,) = outcome.found
    assert isinstance(found, Request)
    assert found.url == "http://example.com/sitemap.xml"


async def test_a_sitemap_that_can_not_be_had_now_is_tried_again() -> None:
    for status in (429, 500):
        assert (await _visit(Page(status=status), Request(URL, callback=SITEMAP))).kind == "retry"


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://example.com/", "/"),
        ("http://example.com/a/b", "/a/b"),
        ("http://example.com/a?", "/a?"),
        ("http://example.com/a?b=c", "/a?b=c"),
        ("http://example.com/a;p?b", "/a;p?b"),
    ],
)
def test_robots_rules_see_path_and_query(url: str, target: str) -> None:
    assert target_of(url) == target


class TestLookingAhead:
    @staticmethod
    def scans(monkeypatch: pytest.MonkeyPatch, spider: Spider) -> tuple[Visitor, list[bytes]]:
        """A visitor, and the bodies that are scanned from now on."""
        scanned: list[bytes] = []

        def counted(body: bytes, *arguments: Any) -> Any:
            scanned.append(body)
            return scan(body, *arguments)

        monkeypatch.setattr("airless.crawl.response.scan", counted)
        return _visitor(None, spider), scanned

    @staticmethod
    def page(number: int) -> Response:
        return Response.from_bytes(f"{URL}/{number}", b"<a href=/%d>" % number)

    @pytest.mark.skipif(speed is None, reason="a tree is never made ahead")
    def test_begins_with_a_callback_that_asked_for_links_and_ends_with_one_that_did_not(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Moody(Spider):
            follows = True

            def parse(self, response: Response) -> Iterator[Any]:
                yield {"url": response.url}
                if self.follows:
                    yield response.follow_all()

        visitor, scanned = self.scans(monkeypatch, spider := Moody())
        for expected, spider.follows in ((0, True), (1, True), (1, False), (0, False)):
            page = self.page(len(scanned))
            before = len(scanned)
            visitor.look_ahead([page])
            assert len(scanned) - before == expected
            outcome, rest = visitor.read(page.request, page, last_try=False)
            visitor.looked_at(page)
            assert rest is None
            assert len(scanned) - before == (1 if expected or spider.follows else 0)
            assert [each.urls for each in outcome.found if isinstance(each, Follow)] == (
                [[f"http://example.com/{page.url.rsplit('/')[-1]}"]] if spider.follows else []
            )

    def test_is_of_pages_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        visitor, scanned = self.scans(monkeypatch, Plain())
        page = self.page(1)
        visitor.read(page.request, page, last_try=False)
        visitor.looked_at(page)
        del scanned[:]
        visitor.look_ahead([Response.from_bytes(URL, b"<a href=/x>", headers={"Content-Type": "text/plain"})])
        assert scanned == []
