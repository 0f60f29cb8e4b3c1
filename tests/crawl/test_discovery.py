"""What becomes of URLs that are found: each is new once, and what is skipped says why."""

from collections.abc import Iterable
from typing import Any

import pytest

from airless.crawl.discovery import Discovery
from airless.crawl.layout import Layout
from airless.crawl.met import Met
from airless.crawl.request import Follow, Request
from airless.crawl.scope import Scope
from airless.crawl.settings import Dedup, Limits, Settings, Traps
from airless.crawl.shard import Shard
from airless.crawl.sitemap_seeds import SITEMAP

LAYOUT = Layout("job", 16)
HERE = "example.com"
PAGE = "http://example.com/"
DEFAULTS = Settings()


class World:
    """The shards of a crawl that are in hand, and the discovery over them. Others belong to somebody else."""

    def __init__(self, settings: Settings = DEFAULTS, *scope: str, owned: tuple[str, ...] = (HERE,)) -> None:
        self.shards = {index: Shard(LAYOUT, index) for index in {LAYOUT.shard_of(h, 0) for h in owned}}
        self.shard = self.shards[LAYOUT.shard_of(HERE, 0)]
        self.discovery = Discovery(settings, Scope.of((), scope or ("*",)), LAYOUT, self.shards.get)

    def follow(self, *urls: str, depth: int = 0, **options: Any) -> None:
        self.discovery.follow(self.shard, _page(depth), Follow(urls, **options))
        self.check()

    def yielded(self, *requests: Request, depth: int = 0) -> None:
        for request in requests:
            self.discovery.request(self.shard, _page(depth), request)
        self.check()

    def seeds(self, *urls: str) -> None:
        requests = [Request(url) for url in urls]
        for request in requests:
            request.seed = True
        self.admit(self.shard, requests)

    def admit(self, shard: Shard, offered: Iterable[Request]) -> None:
        for request in offered:
            if self.discovery.admits(shard, request):
                shard.send(request)
        self.check()

    def redirect(self, hop: Request, *, parent: str = PAGE) -> None:
        hop.redirects += 1
        self.discovery.redirect(self.shard, Request(parent), hop)
        self.check()

    def check(self) -> None:
        """Whatever was discovered waits to be crawled, or was skipped."""
        for shard in self.shards.values():
            assert shard.counts.waiting == len(shard.outgoing.now)

    @property
    def sent(self) -> list[Request]:
        return self.shard.outgoing.now

    @property
    def urls(self) -> list[str]:
        return [request.url for request in self.sent]

    @property
    def skipped(self) -> dict[str, int]:
        return {reason: number for reason, number in self.shard.counts.skipped.items() if number}

    @property
    def discovered(self) -> int:
        return self.shard.counts.discovered


def _page(depth: int = 0) -> Request:
    page = Request(PAGE)
    page.depth = depth
    return page


def _request(path: str = "", **options: Any) -> Request:
    return Request(PAGE + path, **options)


def test_a_link_is_crawled_once_however_often_it_is_found() -> None:
    world = World()
    world.follow(PAGE + "a", PAGE + "b", PAGE + "a")
    world.follow(PAGE + "b", PAGE + "c")
    world.yielded(_request("a"), _request("d"), _request("d"))
    assert world.urls == [PAGE + "a", PAGE + "b", PAGE + "c", PAGE + "d"]
    assert world.discovered == 4


def test_a_link_is_one_deeper_than_its_page_and_names_it() -> None:
    world = World()
    world.follow(PAGE + "a", depth=3)
    world.yielded(_request("b"), depth=5)
    assert [(request.depth, request.referrer) for request in world.sent] == [(4, PAGE), (6, PAGE)]


def test_what_a_follow_says_holds_for_each_of_its_links() -> None:
    world = World()
    world.follow(PAGE + "a", PAGE + "b", callback="parse_it", meta={"k": 1}, priority=2, headers={"X": "y"})
    for request in world.sent:
        assert (request.callback, request.meta, request.priority, request.headers) == (
            "parse_it",
            {"k": 1},
            2,
            {"X": "y"},
        )


def test_the_order_of_query_parameters_makes_no_new_page_but_is_left_alone_on_the_wire() -> None:
    world = World()
    world.follow(PAGE + "s?b=2&a=1", PAGE + "s?a=1&b=2")
    assert world.urls == [PAGE + "s?b=2&a=1"]


def test_the_order_of_query_parameters_counts_if_asked_to() -> None:
    world = World(Settings(dedup=Dedup(sort_query=False)))
    world.follow(PAGE + "s?b=2&a=1", PAGE + "s?a=1&b=2")
    assert len(world.urls) == 2


def test_named_parameters_make_no_new_page_if_asked_to() -> None:
    world = World(Settings(dedup=Dedup(drop_parameters=("utm_*", "ref"))))
    world.follow(PAGE + "s?a=1&utm_source=x", PAGE + "s?ref=y&a=1", PAGE + "s?a=1", PAGE + "s?a=2")
    assert world.urls == [PAGE + "s?a=1&utm_source=x", PAGE + "s?a=2"]


def test_another_method_or_body_is_another_request() -> None:
    world = World()
    world.yielded(
        _request("form"),
        _request("form", method="POST", body="a=1"),
        _request("form", method="POST", body="a=2"),
        _request("form", method="POST", body="a=1"),
    )
    assert [(request.method, request.body) for request in world.sent] == [
        ("GET", None),
        ("POST", b"a=1"),
        ("POST", b"a=2"),
    ]


def test_what_is_yielded_is_made_canonical() -> None:
    world = World()
    world.yielded(Request("HTTP://EXAMPLE.com:80/a/../b#part"))
    world.follow("HTTP://EXAMPLE.com/c#part", "http://example.com/b")
    assert world.urls == [PAGE + "b", PAGE + "c"]


@pytest.mark.parametrize(
    "junk",
    ["", "/relative", "mailto:a@example.com", "http://x:port/", "http://[/", "javascript:void(0)", "\ud800"],
)
def test_a_link_that_leads_nowhere_is_counted_and_harms_nobody(junk: str) -> None:
    world = World()
    world.follow(PAGE + "a", junk, PAGE + "b")
    world.yielded(Request(junk))
    assert world.urls == [PAGE + "a", PAGE + "b"]
    assert world.skipped == {"invalid_url": 2}
    assert world.discovered == 4


def test_addresses_that_take_parsing_are_crawled_like_others() -> None:
    world = World(Settings(), owned=(HERE, "[::1]:81", "xn--bcher-kva.example"))
    world.follow("http://[::1]:81/x", "http://bücher.example/", "http://user:pw@example.com/")
    sent = [request.url for shard in world.shards.values() for request in shard.outgoing.now]
    assert sorted(sent) == [
        "http://[::1]:81/x",
        "http://user:pw@example.com/",
        "http://xn--bcher-kva.example/",
    ]


def test_links_out_of_scope_are_skipped_and_counted_once() -> None:
    world = World(Settings(), HERE)
    world.follow("http://other.example/", PAGE + "a", "http://sub.example.com.evil.example/")
    world.yielded(Request("http://other.example/"))
    assert world.urls == [PAGE + "a"]
    assert world.skipped == {"offsite": 2}
    assert world.discovered == 3


@pytest.mark.parametrize(
    ("traps", "url", "depth", "reason"),
    [
        (Traps(depth=5), PAGE + "deep", 5, "trap_depth"),
        (Traps(url_chars=50), PAGE + "x" * 50, 0, "url_too_long"),
        (Traps(path_repeats=2), PAGE + "a/b/a/b/a/b", 0, "path_repeats"),
        (Traps(query_parameters=2), PAGE + "s?a=1&b=2&c=3", 0, "too_many_parameters"),
    ],
)
def test_a_trap_is_skipped_and_counted_under_its_name(
    traps: Traps, url: str, depth: int, reason: str
) -> None:
    world = World(Settings(traps=traps))
    world.follow(url, url, depth=depth)
    world.yielded(Request(url), depth=depth)
    world.follow(PAGE + "fine")
    assert world.urls == [PAGE + "fine"]
    assert world.skipped == {reason: 1}


def test_a_url_too_deep_is_counted_and_crawled_when_it_is_found_nearer() -> None:
    world = World(Settings(limits=Limits(depth=2)))
    world.follow(PAGE + "a", depth=2)
    world.follow(PAGE + "a", depth=4)
    assert (world.urls, world.skipped, world.discovered) == ([], {"depth": 1}, 1)
    world.follow(PAGE + "a", depth=1)
    assert (world.urls, world.skipped, world.discovered) == ([PAGE + "a"], {}, 1)
    world.follow(PAGE + "a", depth=0)
    assert (world.urls, world.discovered) == ([PAGE + "a"], 1)


def test_a_page_that_is_crawled_is_not_counted_again_when_it_is_found_too_deep() -> None:
    world = World(Settings(limits=Limits(depth=2)))
    world.follow(PAGE + "a", depth=0)
    world.follow(PAGE + "a", depth=2)
    assert (world.urls, world.skipped, world.discovered) == ([PAGE + "a"], {}, 1)


def test_a_url_that_was_in_a_trap_is_crawled_when_it_is_found_nearer() -> None:
    world = World(Settings(traps=Traps(depth=2)))
    world.yielded(_request("a"), depth=2)
    world.yielded(_request("a"), depth=0)
    world.yielded(_request("a"), depth=2)
    assert world.urls == [PAGE + "a"]
    assert world.skipped == {"trap_depth": 1}
    world.yielded(_request("b"), depth=0)
    world.yielded(_request("b"), depth=2)
    assert world.skipped == {"trap_depth": 1}


def test_what_is_not_to_be_filtered_is_crawled_each_time_and_anywhere() -> None:
    world = World(Settings(), HERE)
    world.follow(PAGE + "a")
    world.yielded(_request("a", dont_filter=True), _request("a", dont_filter=True))
    assert world.urls == [PAGE + "a"] * 3
    assert world.discovered == 3
    world.yielded(Request("http://other.example/", dont_filter=True))
    assert world.skipped == {}


def test_seeds_go_anywhere_but_once() -> None:
    world = World(Settings(), "nothing.example")
    world.seeds(PAGE + "a", PAGE + "a", PAGE + "b")
    assert world.urls == [PAGE + "a", PAGE + "b"]
    assert world.shard.counts.seeds == 2


def test_a_seed_is_crawled_although_a_page_linked_to_it_out_of_scope() -> None:
    world = World(Settings(), "nothing.example")
    world.follow(PAGE + "a")
    world.seeds(PAGE + "a")
    assert world.urls == [PAGE + "a"]


def test_links_to_other_shards_are_sent_to_their_owners_who_decide() -> None:
    world = World()
    world.follow("http://elsewhere.example/a", PAGE + "b", "http://elsewhere.example/a")
    world.yielded(Request("http://elsewhere.example/c", meta={"k": 1}), depth=4)
    assert world.urls == [PAGE + "b"]
    assert world.discovered == 1
    owner = LAYOUT.shard_of("elsewhere.example", 0)
    offered = world.shard.outgoing.foreign[owner]
    assert [(request.url, request.depth) for request in offered] == [
        ("http://elsewhere.example/a", 1),
        ("http://elsewhere.example/c", 5),
    ]
    there = World(owned=(HERE, "elsewhere.example"))
    there.admit(there.shards[owner], [*offered, *offered])
    assert [request.url for request in there.shards[owner].outgoing.now] == [
        request.url for request in offered
    ]
    assert there.shards[owner].counts.discovered == 2


@pytest.mark.parametrize(
    ("keeps_offers", "settings", "offers"),
    [(True, DEFAULTS, 1), (False, DEFAULTS, 2), (True, Settings(limits=Limits(depth=3)), 2)],
)
def test_an_offer_to_another_shard_is_remembered_with_the_shard_where_that_is_asked_for(
    keeps_offers: bool, settings: Settings, offers: int
) -> None:
    shard = Shard(LAYOUT, LAYOUT.shard_of(HERE, 0))
    for _ in range(2):  # one invocation after the other
        discovery = Discovery(
            settings,
            Scope.of((), ("*",)),
            LAYOUT,
            {shard.index: shard}.get,
            keeps_offers=keeps_offers,
        )
        discovery.follow(shard, _page(), Follow(("http://elsewhere.example/a",)))
    (sent,) = shard.outgoing.foreign.values()
    assert len(sent) == offers
    # Having offered it is not having it: where the host becomes this shard's, it is crawled.
    assert discovery.admits(shard, Request("http://elsewhere.example/a"))


def test_links_to_shards_in_the_same_hands_are_admitted_at_once() -> None:
    world = World(owned=(HERE, "elsewhere.example"))
    world.follow("http://elsewhere.example/a", "http://elsewhere.example/a")
    owner = world.shards[LAYOUT.shard_of("elsewhere.example", 0)]
    assert [request.url for request in owner.outgoing.now] == ["http://elsewhere.example/a"]
    assert owner.counts.discovered == 1
    assert world.shard.outgoing.foreign == {}


def test_what_came_with_no_shard_goes_to_the_shards_that_own_it() -> None:
    world = World(Settings(), "nothing.example")
    world.discovery.offer(world.shard, [_request("a"), _request("a"), Request("http://elsewhere.example/")])
    world.check()
    assert world.urls == [PAGE + "a"]
    (offered,) = world.shard.outgoing.foreign.values()
    assert [request.url for request in offered] == ["http://elsewhere.example/"]


def test_a_redirect_keeps_the_depth_and_the_referrer() -> None:
    world = World()
    hop = _request("target")
    hop.depth, hop.referrer = 3, PAGE + "from"
    world.redirect(hop)
    (sent,) = world.sent
    assert (sent.depth, sent.referrer, sent.redirects) == (3, PAGE + "from", 1)


def test_a_redirect_to_what_is_known_ends_there() -> None:
    world = World()
    world.follow(PAGE + "a")
    world.redirect(_request("a"))
    assert world.urls == [PAGE + "a"]


def test_a_redirect_does_not_lead_out_of_scope_nor_into_a_trap() -> None:
    world = World(Settings(traps=Traps(url_chars=100)), HERE)
    world.redirect(Request("http://other.example/"))
    world.redirect(Request("http://other.example/2", dont_filter=True))
    world.redirect(_request("x" * 100))
    assert world.urls == []
    assert world.skipped == {"offsite": 2, "url_too_long": 1}


def test_a_seed_that_redirects_out_of_scope_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    world = World(Settings(), HERE)
    hop = Request("http://other.example/")
    hop.seed = True
    world.redirect(hop)
    assert world.urls == []
    assert world.skipped == {"offsite": 1}
    assert "out of scope" in caplog.text
    assert world.shard.counts.seeds == 0


def test_what_was_out_of_scope_on_purpose_may_be_redirected_there() -> None:
    world = World(Settings(), "nothing.example")
    world.redirect(_request("a"), parent=PAGE)
    assert world.urls == [PAGE + "a"]


def test_a_hop_back_to_the_same_url_is_no_duplicate() -> None:
    world = World()
    world.follow(PAGE + "a")
    world.discovery.repeat(world.shard, _request("a"))
    world.check()
    assert world.urls == [PAGE + "a"] * 2
    assert world.discovered == 2


def test_what_a_sitemap_lists_stands_beside_it() -> None:
    world = World()
    sitemap = Request(PAGE + "sitemap.xml", callback=SITEMAP)
    world.discovery.follow(world.shard, sitemap, Follow([PAGE + "a"]))
    world.discovery.request(world.shard, sitemap, Request(PAGE + "more.xml", callback=SITEMAP))
    assert [request.depth for request in world.sent] == [0, 0]


def test_the_memory_of_offered_links_is_bounded_and_forgets_no_page() -> None:
    world = World()
    met = world.shard.met = Met(160)
    for _ in range(3):
        for n in range(100):
            world.follow(f"{PAGE}{n}")
    assert len(world.urls) == 100
    assert len(met._recent) + len(met._older) <= 20


def test_a_spread_host_has_its_pages_in_several_shards() -> None:
    layout = Layout("job", 16, spread=4)
    shards = {index: Shard(layout, index) for index in range(16)}
    discovery = Discovery(Settings(), Scope.of((), ["*"]), layout, shards.get)
    discovery.follow(shards[0], _page(), Follow(f"{PAGE}{n}" for n in range(200)))
    filled = [index for index, shard in shards.items() if shard.outgoing.now]
    assert len(filled) == 4
    assert sum(len(shard.outgoing.now) for shard in shards.values()) == 200


def test_a_host_that_is_spread_has_no_one_owner() -> None:
    layout = Layout("job", 16, spread=4)
    shards = {index: Shard(layout, index) for index in range(16)}
    discovery = Discovery(DEFAULTS, Scope.of((), ("*",)), layout, shards.get)
    here = shards[layout.shard_of(HERE, 0)]
    urls = [f"{PAGE}{n}" for n in range(200)]
    for _ in range(2):
        discovery.follow(here, _page(), Follow(urls))
    owners = {request.url: index for index, shard in shards.items() for request in shard.outgoing.now}
    assert owners == {url: discovery.shard_of(Request(url)) for url in urls}
    assert len(set(owners.values())) == 4


def test_links_go_to_a_shard_of_our_own_from_when_it_is_loaded() -> None:
    world = World()
    index = LAYOUT.shard_of("elsewhere.example", 0)
    world.follow("http://elsewhere.example/a")
    assert [request.url for request in world.shard.outgoing.foreign[index]] == ["http://elsewhere.example/a"]
    world.shards[index] = Shard(LAYOUT, index)
    world.follow("http://elsewhere.example/b")
    assert [request.url for request in world.shards[index].outgoing.now] == ["http://elsewhere.example/b"]
