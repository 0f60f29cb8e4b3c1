"""Links of a page: by the HTML standard, RFC 6596, RFC 8288 and the crawl's options."""

from __future__ import annotations

import re

import pytest
from selectolax.lexbor import LexborHTMLParser

from airless.core.errors import ConfigError
from airless.crawl.headers import Headers
from airless.crawl.hints import refresh_reference
from airless.crawl.links import (
    Link,
    LinkExtractor,
    Rule,
    base_url,
    canonical_link,
    page_links,
    page_urls,
    robots_directives,
)
from airless.crawl.settings import Links

DEFAULT = Links()
PAGE = "https://example.org/dir/page?q=1"
EVERYTHING = Links(frames=True, images=True)


def parse(html: str | bytes) -> LexborHTMLParser:
    return LexborHTMLParser(html)


def urls(html: str | bytes, options: Links = DEFAULT) -> list[str]:
    """Both ways to the links of a page, which must agree."""
    tree = parse(html)
    found = page_urls(tree, PAGE, options)
    assert [link.url for link in page_links(tree, PAGE, options)] == found
    return found


def test_anchors_and_areas_are_links_in_document_order_and_once() -> None:
    html = """
        <a href="one">1</a> <map><area href="/two" alt="two"></map> <A HREF='three?B=1&amp;a=2#part'>3</A>
        <p><a href=one>again</a> <a href="one#there">once more</a> <a name=x>no link</a>
        <a href="//four">4</a>
    """
    assert urls(html) == [
        "https://example.org/dir/one",
        "https://example.org/two",
        "https://example.org/dir/three?B=1&a=2",
        "https://four/",
    ]


def test_a_link_knows_its_text_its_relations_and_its_tag() -> None:
    html = """
        <a href="a" rel="NoFollow  ugc">  Some <b>bold</b>
            text </a><map><area href="b" alt=" An
            area "></map><iframe src="c">Use <a href="x">this</a></iframe><img src="d" alt="Seen">
    """
    assert page_links(parse(html), PAGE, EVERYTHING) == [
        Link("https://example.org/dir/a", "Some bold text", frozenset({"nofollow", "ugc"}), "a"),
        Link("https://example.org/dir/b", "An area", tag="area"),
        Link("https://example.org/dir/c", tag="iframe"),
        Link("https://example.org/dir/d", "Seen", tag="img"),
    ]
    assert page_links(parse(html), PAGE)[0].nofollow
    assert not Link(PAGE).nofollow


def test_what_only_looks_like_a_link_is_none() -> None:
    assert urls("""
        <!-- <a href="comment">x</a> --> <script>document.write('<a href="script">x</a>')</script>
        <style>a::after { content: '<a href="style">' }</style> <template><a href="template">x</a></template>
        <textarea><a href="textarea">x</a></textarea> <title><a href="title">x</a></title>
        <p title='<a href="attribute">x</a>'>&lt;a href="text"&gt;</p> <![CDATA[<a href="cdata">]]>
        <iframe><a href="inside-iframe">x</a></iframe> <a data-href="data">x</a>
        <xmp><a href="xmp">x</a></xmp>
        <noscript><a href="real">x</a></noscript>
    """) == ["https://example.org/dir/real"]


def test_broken_markup_gives_what_the_parser_recovers() -> None:
    assert urls("<a href=one>x<a href='two'>y<td><a\nhref\n=\nthree/>z<a href=four href=five></p></b>") == [
        "https://example.org/dir/one",
        "https://example.org/dir/two",
        "https://example.org/dir/three/",
        "https://example.org/dir/four",
    ]


def test_references_that_cannot_be_fetched_are_dropped() -> None:
    assert (
        urls("""
        <a href="mailto:me@example.org">1</a> <a href="javascript:void(0)">2</a> <a href="tel:+1">3</a>
        <a href="ftp://example.org/">4</a> <a href="http://[broken">5</a> <a href="https://">6</a>
        <a href="http://ex ample/">7</a> <a href="data:text/html,x">8</a>
    """)
        == []
    )


def test_white_space_in_a_reference_is_dropped_as_the_standard_says() -> None:
    assert urls('<a href=" \n /a\tb\nc \r\n">x</a><a href="/d e">y</a>') == [
        "https://example.org/abc",
        "https://example.org/d%20e",
    ]


def test_an_empty_href_or_a_fragment_is_a_link_to_the_page_and_an_empty_src_is_none() -> None:
    assert urls('<a href>x</a><a href="#top">y</a><iframe src></iframe><img src="">', EVERYTHING) == [PAGE]


def test_bytes_that_are_no_text_lose_no_other_link() -> None:
    assert urls(b'<a href="/\xff\xe9">x</a>\x00<a href="/ok">y\xff</a>') == [
        "https://example.org/%EF%BF%BD%EF%BF%BD",
        "https://example.org/ok",
    ]


def test_the_first_base_counts_wherever_it_stands() -> None:
    html = '<a href="x">x</a><base target=_top><base href="/b/#f"><base href="/c/"><a href="#f">y</a>'
    assert base_url(parse(html), PAGE) == "https://example.org/b/"
    assert urls(html) == ["https://example.org/b/x", "https://example.org/b/"]


@pytest.mark.parametrize("href", ["data:text/html,x", "javascript:1", "http://[broken", "mailto:x", ""])
def test_a_base_that_is_no_http_url_leaves_the_page_its_base(href: str) -> None:
    assert urls(f'<base href="{href}"><base href="/c/"><a href="x">x</a>') == ["https://example.org/dir/x"]


def test_frames_and_images_are_links_by_option() -> None:
    html = '<iframe src="i" href="no"></iframe><img src="p.png"><img src="p.png"><img srcset="q 2x">'
    assert urls(html) == []
    assert urls(html, Links(frames=True)) == ["https://example.org/dir/i"]
    assert urls(html, Links(images=True)) == ["https://example.org/dir/p.png"]
    assert urls("<frameset><frame src=f></frameset>", Links(frames=True)) == ["https://example.org/dir/f"]


def test_the_next_page_is_a_link_by_option() -> None:
    html = '<link rel="prefetch NEXT" href="p2"><link rel="stylesheet" href="s.css"><link rel=nextish href=n>'
    assert urls(html) == ["https://example.org/dir/p2"]
    assert urls(html, Links(next=False)) == []


def test_a_refresh_is_followed_by_option_and_only_the_first() -> None:
    html = """
        <meta http-equiv="refresh" content="broken"><meta http-equiv=Refresh content="0; URL='r1'">
        <meta http-equiv=refresh content="0;r2"><meta name=refresh content="0;r3">
    """
    assert urls(html) == ["https://example.org/dir/r1"]
    assert urls(html, Links(refresh=False)) == []
    assert urls('<meta http-equiv=refresh content="5"><meta http-equiv=refresh content="0;r2">') == []


@pytest.mark.parametrize(
    ("content", "reference"),
    [
        ("5; url=next.html", "next.html"),
        ("0;URL=next.html", "next.html"),
        ("  5.5 , Url = 'a b' rest", "a b"),
        ('1;url="x', "x"),
        ('1;"x"y', "x"),
        ("1 x.html", "x.html"),
        ("1;x.html", "x.html"),
        ("1;url", "url"),
        ("1;urls=x", "urls=x"),
        ("1;u=x", "u=x"),
        (".5;url=x", "x"),
        ("1.2.3;url=x;y", "x;y"),
        ("1;;url=x", ";url=x"),
        ("300", ""),
        ("0;", ""),
        ("0; url=", ""),
        ("", None),
        ("x", None),
        ("-1;url=x", None),
        ("1x;url=x", None),
        ("url=x", None),
    ],
)
def test_a_refresh_is_read_as_the_html_standard_reads_it(content: str, reference: str | None) -> None:
    assert refresh_reference(content) == reference


def test_nofollow_is_obeyed_by_option() -> None:
    html = '<a href="a" rel="external NOFOLLOW">a</a><a href="b" rel="nofollower">b</a><a href="a">again</a>'
    assert urls(html) == ["https://example.org/dir/a", "https://example.org/dir/b"]
    assert urls(html, Links(obey_nofollow=True)) == ["https://example.org/dir/b", "https://example.org/dir/a"]


def test_a_page_that_says_nofollow_has_no_links_by_option() -> None:
    obey = Links(obey_nofollow=True)
    html = '<meta name="ROBOTS" content="NoIndex, NoFollow"><a href="a">a</a>'
    assert urls(html, obey) == []
    assert urls(html) == ["https://example.org/dir/a"]
    tree = parse('<a href="a">a</a>')
    told = Headers([("X-Robots-Tag", "airless: none")])
    assert page_urls(tree, PAGE, obey, headers=told, agent="airless/0.1 (+https://example.org)") == []
    assert page_links(tree, PAGE, obey, headers=told, agent="other") != []
    assert LinkExtractor().extract(tree, PAGE, obey, headers=told, agent="airless") == []


def test_css_keeps_the_links_inside_of_what_it_matches() -> None:
    html = """
        <nav><a href="n">n</a></nav>
        <ul><li class=next><b><a href="a">a</a></b></li><li><a href="b">b</a></li></ul>
        <div class=next><p><a href="c" class=next>c</a><a href="d">d</a></p></div><a class=next href="e">e</a>
    """

    def matched(css: str) -> list[str]:
        return [link.text for link in page_links(parse(html), PAGE, css=css)]

    assert matched("li.next") == ["a"]
    assert matched(".next") == ["a", "c", "d", "e"]
    assert matched("a.next") == ["c", "e"]
    assert matched("ul, nav") == ["n", "a", "b"]
    assert matched("table") == []
    with pytest.raises(ConfigError, match="'li::text'"):
        matched("li::text")


def test_links_in_deep_markup_are_found_in_regions() -> None:
    html = "<div>" * 400 + '<a href="deep">x</a>' + "</div>" * 400
    assert [link.url for link in page_links(parse(html), PAGE, css="div")] == ["https://example.org/dir/deep"]


def test_a_page_without_a_url_of_its_own_is_refused() -> None:
    with pytest.raises(ConfigError, match="no absolute URL"):
        page_urls(parse("<a href=x>"), "page.html")


# RFC 6596 §5: the preferred address of two duplicates, in a link element and in a header field.
PREFERRED = "http://www.example.com/page.php?item=purse"
DUPLICATE = "http://www.example.com/page.php?item=purse&category=bags"


@pytest.mark.parametrize("href", [PREFERRED, "page.php?item=purse"])
def test_the_canonical_link_of_rfc_6596_is_read(href: str) -> None:
    tree = parse(f'<link rel="canonical" href="{href}">')
    assert canonical_link(tree, Headers(), DUPLICATE) == PREFERRED
    headers = Headers([("Link", f'<{href}>; rel="canonical"')])
    assert canonical_link(None, headers, DUPLICATE) == PREFERRED
    assert canonical_link(parse("<p>"), headers, DUPLICATE) == PREFERRED


def test_the_first_usable_canonical_link_of_the_head_counts() -> None:
    tree = parse("""
        <head><base href="/b/"><link rel=stylesheet href=s><link rel=canonical href=""><link rel=canonical
        href="mailto:x"><link rel="alternate CANONICAL" href="one#f"><link rel=canonical href=two></head>
    """)
    assert (
        canonical_link(tree, Headers([("Link", "</three>; rel=canonical")]), PAGE)
        == "https://example.org/b/one"
    )
    planted = parse('<body><p><link rel=canonical href="https://evil.example/"></p>')
    assert canonical_link(planted, Headers(), PAGE) is None


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("</a>; rel=canonical", "https://example.org/a"),
        ('<s.css>; rel="stylesheet"; title="a, \\"b\\"; rel=canonical", </a> ; REL = "next Canonical"', "https://example.org/a"),
        ("</a>; rel=next; rel=canonical", None),
        ("</a>; rel=canonical; anchor=other", None),
        ("</a>; rel=canonical; anchor=#part", "https://example.org/a"),
        ("<mailto:x>; rel=canonical, </a>; rel=canonical", "https://example.org/a"),
        ("</a>; title; rel=canonical", "https://example.org/a"),
        ("</a>", None),
        ("/a; rel=canonical", None),
        ('</a>; rel="canonical', None),
        ("", None),
    ],
)  # fmt: skip
def test_link_fields_are_read_as_rfc_8288_says(field: str, expected: str | None) -> None:
    assert canonical_link(None, Headers([("Link", field)]), PAGE) == expected


def test_directives_for_robots_and_for_the_agent_are_united() -> None:
    tree = parse("""
        <meta name="Robots" content="max-snippet:-1, NOARCHIVE,,"><meta name=AirLess content=nofollow>
        <meta name=otherbot content=noindex><meta name=description content=nosnippet>
    """)
    general = {"max-snippet:-1", "noarchive"}
    assert robots_directives(tree, Headers(), "airless/0.1 (+https://example.org)") == general | {"nofollow"}
    assert robots_directives(tree, Headers()) == general
    assert robots_directives(None, Headers(), "airless") == frozenset()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["noindex"], {"noindex"}),
        (["NoIndex, NoFollow"], {"noindex", "nofollow"}),
        (["airless: nofollow"], {"nofollow"}),
        (["otherbot: noindex, nofollow"], set()),
        (["otherbot: noindex, nofollow, airless: noarchive, nosnippet"], {"noarchive", "nosnippet"}),
        (["otherbot: noindex", "nofollow"], {"nofollow"}),
        (["*: nofollow"], {"nofollow"}),
        (["none"], {"none", "noindex", "nofollow"}),
        (["unavailable_after: 25 Jun 2010, noindex"], {"unavailable_after: 25 jun 2010", "noindex"}),
        (["max-image-preview:large"], {"max-image-preview:large"}),
        ([""], set()),
    ],
)  # fmt: skip
def test_x_robots_tags_are_read_for_the_agent_that_they_name(fields: list[str], expected: set[str]) -> None:
    headers = Headers([("X-Robots-Tag", field) for field in fields])
    assert robots_directives(None, headers, "airless") == expected


SHOP = """
    <nav><a href="/about">About</a><a href="https://partner.example/x">Partner</a></nav>
    <main><a href="/item/1?ref=a">One</a><a href="/item/2.PDF?x">Two</a><a href="/item/3">Three</a>
    <img src="/item/4.png" data-full="/item/5"></main><a href="https://cdn.partner.example/y">CDN</a>
"""


def chosen(extractor: LinkExtractor, options: Links = DEFAULT) -> list[str]:
    found = extractor.extract(parse(SHOP), "https://shop.example/", options)
    return [link.url.removeprefix("https://shop.example") for link in found]


def test_an_extractor_without_conditions_gives_the_pages_links() -> None:
    for options in (Links(), EVERYTHING):
        tree = parse(SHOP)
        assert LinkExtractor().extract(tree, PAGE, options) == page_links(tree, PAGE, options)


def test_patterns_are_searched_for_in_the_absolute_url() -> None:
    items = ["/item/1?ref=a", "/item/2.PDF?x", "/item/3"]
    assert chosen(LinkExtractor(r"/item/\d")) == items
    assert chosen(LinkExtractor(re.compile("/ITEM/", re.IGNORECASE))) == items
    assert chosen(LinkExtractor([r"^https://shop\.example/about$", "/3$"])) == ["/about", "/item/3"]
    assert chosen(LinkExtractor("/item/", [r"\?", "nothing"])) == ["/item/3"]


def test_domains_cover_their_subdomains() -> None:
    partners = ["https://partner.example/x", "https://cdn.partner.example/y"]
    assert chosen(LinkExtractor(allow_domains="partner.example")) == partners
    assert chosen(LinkExtractor(deny_domains=["shop.example", "cdn.partner.example"])) == partners[:1]


def test_extensions_are_compared_at_the_end_of_the_path() -> None:
    assert "/item/2.PDF?x" in chosen(LinkExtractor())
    assert chosen(LinkExtractor("/item/", deny_extensions=["pdf", ".zip"])) == ["/item/1?ref=a", "/item/3"]
    assert chosen(LinkExtractor("/item/", deny_extensions="pdf")) == ["/item/1?ref=a", "/item/3"]


def test_extraction_can_be_restricted_to_regions() -> None:
    assert chosen(LinkExtractor(restrict_css="nav")) == ["/about", "https://partner.example/x"]
    assert len(chosen(LinkExtractor(restrict_css=("nav", "main")))) == 5


def test_other_tags_and_attributes_can_be_read() -> None:
    assert chosen(LinkExtractor(tags="img", attrs=("src", "data-full"))) == ["/item/4.png", "/item/5"]


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: LinkExtractor("item("), r"'item\('"),
        (lambda: LinkExtractor(deny=["ok", "[z-a]"]), "z-a"),
        (lambda: LinkExtractor(allow_domains="no domain"), "'no domain'"),
        (lambda: LinkExtractor(deny_domains=[""]), "names no domain"),
        (lambda: chosen(LinkExtractor(restrict_css="a[")), r"'a\['"),
        (lambda: chosen(LinkExtractor(tags="a b[")), "CSS selector"),
    ],
)
def test_an_extractor_that_cannot_work_is_refused_by_name(make: object, named: str) -> None:
    assert callable(make)
    with pytest.raises(ConfigError, match=named):
        make()


def test_a_rule_follows_where_it_has_no_callback() -> None:
    assert Rule().follows
    assert not Rule(callback="parse_item").follows
    assert Rule(callback="parse_item", follow=True).follows
    assert not Rule(follow=False).follows
    extractor = LinkExtractor("/item/")
    assert Rule(extractor, meta={"kind": "item"}, priority=2).link_extractor is extractor
