"""What is said of a page by its tree is what the scanner says, whoever looks at the page in between."""

from __future__ import annotations

import random
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser
from support.pure_scan import OPTIONS, answers

from airless.crawl import scan, urls
from airless.crawl.discovery import Discovery
from airless.crawl.layout import Layout
from airless.crawl.request import Request
from airless.crawl.response import Response
from airless.crawl.scan import PageFollow
from airless.crawl.scope import Scope
from airless.crawl.seen import unpack_fingerprints
from airless.crawl.settings import Dedup, Limits, Settings
from airless.crawl.shard import Shard
from airless.crawl.tree_scan import TreeScan

PAGE = "http://a.test/dir/page.html"
LAYOUT = Layout("job", 16)
SETTINGS = Settings()

HEADS = [
    "<title> A\n b </title>",
    "<title></title>",
    "<svg><title>drawn</title></svg>",
    "<base>",
    "<base href>",
    "<base href=/r/>",
    "<base href='http://c.test/'>",
    "<link rel=canonical href=c>",
    "<link rel='x CANONICAL next' href=d>",
    "<link rel=canonical href=''>",
    "<link rel=next href=n>",
    "<meta http-equiv=Refresh content='0; url=m'>",
    "<meta http-equiv=refresh content='0'>",
    "<template><base href=/t/><link rel=canonical href=t><a href=t></a></template>",
    "<head>",
    "</head><body>",
    "<table>",
    "<frameset>",
]
LINKS = [
    *(
        "x",
        "/x",
        "./x#y",
        "?b=1&a=2",
        "?a=2&b=1",
        "//a.test/x",
        "http://a.test/dir/x",
        "HTTP://A.Test/x",
        "é",
        "/%C3%A9",
    ),
    *(
        "http://b.test/?b&a",
        "//b.test/?a&b",
        "http://b.test:80",
        "mailto:a@b",
        "",
        "#z",
        " x ",
        "http://[",
        "../x",
        "a b",
    ),
]


def _page(r: random.Random) -> bytes:
    parts = [r.choice(HEADS) for _ in range(r.randint(0, 5))]
    parts += [
        f"<{r.choice(('a', 'a', 'a', 'area', 'svg', 'p'))} href='{r.choice(LINKS)}'>"
        for _ in range(r.randint(0, 9))
    ]
    r.shuffle(parts)
    return "".join(parts).encode()


class Crawl:
    """One shard, and how pages are read for it: scanned where there is a scanner, by their tree, or link by link."""

    def __init__(self, way: str, settings: Settings = SETTINGS) -> None:
        self.shard = Shard(LAYOUT, LAYOUT.shard_of("a.test", 0))
        self._discovery = Discovery(settings, Scope.of(["http://a.test/"]), LAYOUT, lambda index: self.shard)
        self._way = way

    def take(self, body: bytes, url: str = PAGE, depth: int = 0) -> PageFollow:
        response = Response.from_bytes(url, body)
        if self._way == "tree":
            assert response.tree is not None
        follow = response.follow_all()
        assert isinstance(follow, PageFollow)
        if self._way == "links":
            follow.urls = list(follow.urls)
        parent = Request(url)
        parent.depth = depth
        self._discovery.follow(self.shard, parent, follow)
        return follow

    @property
    def urls(self) -> list[str]:
        return [request.url for request in self.shard.outgoing.now]

    @property
    def outcome(self) -> tuple[Any, ...]:
        counts = self.shard.counts
        marks = {*self.shard._marks, *unpack_fingerprints(bytes(self.shard._kept.delta))}
        return (
            counts.discovered,
            dict(counts.skipped),
            marks,
            {urls.dedup_key(url, Dedup()) for url in self.urls},
        )


@pytest.mark.parametrize("options", OPTIONS)
def test_one_walk_says_what_a_query_for_each_says(options: Any) -> None:
    r = random.Random(4)
    for _ in range(1_500):
        body = _page(r)
        page, expected = TreeScan(LexborHTMLParser(body), options), answers(LexborHTMLParser(body), options)
        assert (page.title, page.base, page.canonicals) == (
            expected["title"],
            expected["base"],
            expected["canonicals"],
        ), body
        assert list(dict.fromkeys(page.hrefs())) == expected["hrefs"], body


@pytest.mark.parametrize("settings", [SETTINGS, Settings(dedup=Dedup(sort_query=False))])
@pytest.mark.parametrize("way", ["scan", "tree"])
def test_a_crawl_by_pages_finds_and_counts_what_one_link_by_link_does(way: str, settings: Settings) -> None:
    r = random.Random(9)
    for _ in range(40):
        by_page, by_link = Crawl(way, settings), Crawl("links", settings)
        for _ in range(12):
            body, url = (
                _page(r),
                r.choice((PAGE, "http://a.test/", "http://a.test/dir/sub/p?q", "https://a.test/x")),
            )
            by_page.take(body, url)
            by_link.take(body, url)
            assert by_page.outcome == by_link.outcome, (body, url)


@pytest.mark.parametrize("way", ["scan", "tree"])
def test_a_link_is_crawled_once_however_it_is_spelled(way: str) -> None:
    crawl = Crawl(way)
    crawl.take(b"<a href=/x?a=1&b=2><a href=y><a href=//b.test/>")
    crawl.take(b"<a href=/x?b=2&a=1><a href=/x?a=1&b=2><a href=/dir/y#z><a href=http://b.test/>")
    crawl.take(b"<a href=y><a href=/x?b=2&a=1>", "http://a.test/z/")
    assert crawl.urls == ["http://a.test/x?a=1&b=2", "http://a.test/dir/y", "http://a.test/z/y"]
    assert crawl.shard.counts.skipped["offsite"] == 1


@pytest.mark.parametrize("way", ["scan", "tree"])
def test_a_link_that_was_too_deep_is_taken_when_it_is_found_nearer(way: str) -> None:
    crawl = Crawl(way, Settings(limits=Limits(depth=2)))
    crawl.take(b"<a href=x>", depth=2)
    assert crawl.urls == []
    crawl.take(b"<a href=x>", depth=1)
    assert crawl.urls == ["http://a.test/dir/x"]


@pytest.mark.parametrize("way", ["scan", "tree"])
def test_what_a_spider_leaves_of_a_pages_links_is_what_is_followed(way: str) -> None:
    for choose, left in (
        (lambda found: [url for url in found if url.endswith("y")], ["http://a.test/dir/y"]),
        (lambda found: [], []),
    ):
        crawl = Crawl(way)
        follow = Response.from_bytes(PAGE, b"<a href=x><a href=y>").follow_all()
        follow.urls = choose(follow.urls)
        crawl._discovery.follow(crawl.shard, Request(PAGE), follow)
        assert crawl.urls == left


def test_a_spider_that_changes_the_tree_is_told_what_is_left_of_it() -> None:
    response = Response.from_bytes(PAGE, b"<title>t</title><nav><a href=x></a></nav><a href=y></a>")
    before = response.follow_all()
    assert response.title == "t"
    response.tree.strip_tags(["nav", "title"])
    assert (response.title, response.follow_all().urls) == (None, ["http://a.test/dir/y"])
    assert before.urls == ["http://a.test/dir/x", "http://a.test/dir/y"]


def test_a_page_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "speed", None)
    response = Response.from_bytes(
        PAGE, b"<title>caf\xe9</title><a href=x>", headers={"content-type": "text/html"}
    )
    page = response._scan()
    assert isinstance(page, TreeScan)
    assert (response.title, response.encoding) == ("café", "windows-1252")
    assert response.tree is page.tree
    assert response.css("title::text").get() == "café"


def test_what_is_no_utf8_reads_as_in_the_pages_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "speed", None)
    response = Response.from_bytes(
        PAGE, b"<title>\xff\xe4</title>", headers={"content-type": "text/html;charset=utf-8"}
    )
    assert response.title == "\ufffd\ufffd"


def test_links_are_those_of_the_tree_as_it_is_once_an_element_was_given_out() -> None:
    body = b"<title>t</title><p><a href=/x>x</a></p><a href=/y>y</a>"
    response = Response.from_bytes(PAGE, body)
    assert response.css("title::text").get() == "t"
    assert response.follow_all().urls == ["http://a.test/x", "http://a.test/y"]
    node = response.css("p")[0].node
    assert node is not None
    node.decompose()
    assert response.follow_all().urls == ["http://a.test/y"]
    assert [link.url for link in response.links()] == ["http://a.test/y"]
