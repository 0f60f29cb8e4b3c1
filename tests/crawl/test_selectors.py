"""Queries: what they select, in which order, and what is said about the ones that can't be read."""

from __future__ import annotations

import subprocess
import sys

import pytest
from selectolax.lexbor import LexborHTMLParser

from airless.crawl.response import Response
from airless.crawl.selectors import Page, Selector, SelectorList

HTML = """<!doctype html><html><body class=page>
<div id=a>one <b>two</b> three<!-- c --><p>four</p></div>
<p class=k title="x, y">R&amp;D <i>five</i></p>
<ul><li>1<li>2<ul><li data-n=3>3</ul></ul>
<a href="/x" disabled>link</a><svg viewBox="0 0" xlink:href="#s"></svg>
<template><p>never</p></template>
</body></html>"""


@pytest.fixture
def root() -> Selector:
    return Page(LexborHTMLParser(HTML.encode())).root


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("b", ["<b>two</b>"]),
        ("b, i", ["<b>two</b>", "<i>five</i>"]),
        ("i, b", ["<b>two</b>", "<i>five</i>"]),
        ("b, b, :is(b, u)", ["<b>two</b>"]),
        ("#a::text", ["one ", " three"]),
        ("#a ::text", ["one ", "two", " three", "four"]),
        ("#a *::text", ["one ", "two", " three", "four"]),
        ("#a > *::text", ["two", "four"]),
        ("#a, #a *::text", ["#a", "one ", "two", " three", "four"]),
        ("li::text", ["1", "2", "3"]),
        ("ul ::text", ["1", "2", "3"]),
        ("p.k::text", ["R&D "]),
        ("a::attr(href)", ["/x"]),
        ("a::attr( HREF )", ["/x"]),
        ("a::attr(disabled)", [""]),
        ("svg::attr(viewBox)", ["0 0"]),
        ("a::attr(title)", []),
        ("body ::attr(id), p::attr(title)", ["a", "x, y"]),
        ("::attr(class)", ["page", "k"]),
        ("*::attr(data-n)", ["3"]),
        ('[title="x, y"]::attr(class)', ["k"]),
        ("[title='x, y'] > i::text", ["five"]),
        ("p:is(.k, .l)::attr(class), b::text", ["two", "k"]),
        ("a::attr(href), a::text, a::attr(href)", ["/x", "link"]),
        ("p:not(.k, .l)::text", ["four"]),
        ("template p", []),
    ],
)
def test_a_query_selects_in_the_order_of_the_document(
    root: Selector, query: str, expected: list[str]
) -> None:
    found = ["#a" if text.startswith('<div id="a">') else text for text in root.css(query).getall()]
    assert found == expected


def test_all_texts_of_a_page_come_in_order_and_without_templates(root: Selector) -> None:
    texts = [text.strip() for text in root.css("::text").getall() if text.strip()]
    assert texts == ["one", "two", "three", "four", "R&D", "five", "1", "2", "3", "link"]


@pytest.mark.parametrize(
    "query", ["", " ", "p[", "p,", ",p", "p:has(", "p::before", "p::attr()", "p:", "+ p", "p]"]
)
def test_a_query_that_is_no_css_is_named_in_the_error(root: Selector, query: str) -> None:
    with pytest.raises(ValueError, match="not a CSS selector") as error:
        root.css(query)
    assert repr(query) in str(error.value)


def test_a_relative_query_starts_from_the_element_and_leaves_no_trace(root: Selector) -> None:
    (box,) = root.css("#a")
    before = root.get()
    assert box.css("> p::text").getall() == ["four"]
    assert box.css(":scope > b, > p").getall() == ["<b>two</b>", "<p>four</p>"]
    assert box.css(":scope::attr(id)").get() == "a"
    assert box.css("::text").getall() == ["one ", "two", " three", "four"]
    assert box.css('[title=":scope"]').getall() == []
    with pytest.raises(ValueError, match="not a CSS selector"):
        box.css("> p[")
    assert root.get() == before


def test_an_element_selects_itself_and_what_is_inside(root: Selector) -> None:
    (box,) = root.css("#a")
    assert box.css("div, p::text").getall() == [box.get(), "four"]
    assert box.css("i").getall() == []
    assert box.css("body p::text").getall() == ["four"]


def test_get_gives_html_a_string_or_the_default(root: Selector) -> None:
    assert root.css("b").get() == "<b>two</b>"
    assert root.css("b::text").get() == "two"
    assert root.css("b")[0].get() == "two".join(("<b>", "</b>"))
    assert root.css("b")[0].getall() == ["<b>two</b>"]
    assert root.css("u").get() is None
    assert root.css("u").get("none") == "none"
    assert root.css("u").getall() == []


def test_regular_expressions_give_groups_or_the_whole_match(root: Selector) -> None:
    items = root.css("ul ::text")
    assert items.re(r"\d") == ["1", "2", "3"]
    assert items.re_first(r"[23]") == "2"
    assert items.re_first("x") is None
    assert items.re_first("x", "-") == "-"
    text = root.css("#a::text")[0]
    assert text.re(r"(o)(n)e|(z)") == ["o", "n", ""]
    assert text.re_first("ne") == "ne"
    assert text.re_first("x", 0) == 0


def test_text_is_all_text_with_its_white_space_collapsed(root: Selector) -> None:
    assert root.css("#a").text == "one two threefour"
    assert root.css("p.k")[0].text == "R&D five"
    assert root.css("#a::text")[1].text == "three"
    assert root.css("u").text == ""


def test_attributes_without_a_value_are_empty_strings(root: Selector) -> None:
    assert root.css("a").attrib == {"href": "/x", "disabled": ""}
    assert root.css("u").attrib == {}
    assert root.css("a::text")[0].attrib == {}


def test_a_text_can_not_be_asked_for_elements(root: Selector) -> None:
    with pytest.raises(ValueError, match="was asked of a text"):
        root.css("b::text")[0].css("i")


def test_a_list_is_asked_element_by_element(root: Selector) -> None:
    boxes = root.css("div, p.k")
    assert boxes.css("b::text, i::text").getall() == ["two", "five"]
    assert isinstance(boxes[:1], SelectorList)
    assert [box.attrib.get("class") for box in boxes] == [None, "k"]
    assert repr(root.css("b")) == "<SelectorList [<Selector '<b>two</b>'>]>"
    assert repr(root.css("body")[0]).endswith("...'>")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("//b/text()", ["two"]),
        ("//div/node()", ["one ", "<b>two</b>", " three", "<!-- c -->", "<p>four</p>"]),
        ("//a/@href", ["/x"]),
        ("count(//li)", ["3.0"]),
        ("boolean(//b)", ["1"]),
        ("not(//b)", ["0"]),
        ("string(//p[@class='k'])", ["R&D five"]),
        ("//svg/@xlink_href", ["#s"]),
        ("//*[re:test(@title, '^x')]/i/text()", ["five"]),
        ("//table", []),
    ],
)
def test_xpath_sees_the_same_document(root: Selector, query: str, expected: list[str]) -> None:
    assert root.xpath(query).getall() == expected


def test_css_and_xpath_can_be_chained(root: Selector) -> None:
    (item,) = root.css("li[data-n]")
    assert item.xpath("../../text()").get() == "2"
    assert item.xpath("ancestor::ul").css("li::text").getall() == ["1", "2", "3", "3"]
    assert root.css("ul").xpath("./li/text()").getall() == ["1", "2", "3"]
    assert root.xpath("//li[. = $n]", n="3").get() == item.get()


@pytest.mark.parametrize("query", ["//[", "$missing", "nope()"])
def test_an_xpath_that_can_not_be_evaluated_is_named(root: Selector, query: str) -> None:
    with pytest.raises(ValueError, match="not an XPath") as error:
        root.xpath(query)
    assert repr(query) in str(error.value)


def test_markup_that_xml_does_not_allow_is_no_obstacle_to_xpath() -> None:
    html = b"<o:p @click=go 1a=b data-x='\x01y'>a\x0cb\x02<!-- a--b- --></o:p><p>\xef\xbf\xbf</p>"
    root = Page(LexborHTMLParser(html)).root
    assert root.xpath("//o_p/@_click | //o_p/@_1a | //o_p/@data-x").getall() == ["go", "b", "y"]
    assert root.xpath("//o_p/text()").get() == "ab"


def test_a_deep_document_is_no_obstacle() -> None:
    root = Page(LexborHTMLParser(b"<div>" * 5_000 + b"deep")).root
    assert root.css("::text").getall() == ["deep"]
    assert root.css("div ::text").getall() == root.css("div::text").getall() == ["deep"]
    assert root.xpath("//div[not(div)]/text()").getall() == ["deep"]


def test_xpath_without_lxml_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['lxml'] = None\n"
        "from selectolax.lexbor import LexborHTMLParser\n"
        "from airless.core.errors import ConfigError\n"
        "from airless.crawl.selectors import Page\n"
        "root = Page(LexborHTMLParser(b'<p>x')).root\n"
        "assert root.css('p::text').get() == 'x'\n"
        "try:\n    root.xpath('//p')\n"
        "except ConfigError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install airless[xpath]" in done.stdout


QUERIES = ("p", "a::attr(href)", "p::text", "p ::text", "b::text", "*::text", "li > a", "i::attr(x)", "none")


@pytest.mark.parametrize("query", QUERIES)
def test_the_first_match_is_the_same_with_and_without_the_others(query: str) -> None:
    body = b"""<p><b>bold</b> and <i>it</i></p><p>second</p><a>no href</a><ul><li>x<a href=1>one</a><a href>two</a></ul>
    <p></p><i x>y</i>"""

    def fresh() -> SelectorList:
        return Response.from_bytes("http://a.test/", body).css(query)

    whole = fresh()
    expected = whole.getall()
    assert whole.get("none") == fresh().get("none") == (expected[0] if expected else "none")
    assert fresh().text == (whole[0].text if expected else "")
    assert fresh().attrib == (whole[0].attrib if expected else {})


def test_bad_css_is_refused_when_it_is_asked() -> None:
    with pytest.raises(ValueError, match="not a CSS selector"):
        Response.from_bytes("http://a.test/", b"<p>x").css("p[")
