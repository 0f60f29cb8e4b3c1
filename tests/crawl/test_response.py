"""A response: how its bytes are read, what its links are, and what is asked for when one is followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airless.crawl.headers import Headers
from airless.crawl.links import Link
from airless.crawl.request import Follow, Request
from airless.crawl.response import Response
from airless.crawl.settings import Links

URL = "https://shop.example/list/?p=1"
PAGE = """<!doctype html><html><head><title>
  All  the
 books </title><base href="/base/"><link rel=canonical href="/list/"></head><body>
<ul class=books><li><a href="one.html?b=2&a=1#top">One</a><li><a href="/two" id=two>Two</a></ul>
<nav><a class=next href=" ?p=2 ">next</a><a href="mailto:a@b">mail</a><a name=here>here</a></nav>
<img src=cover.png><p id=url>three.html</p><a href="one.html?b=2&a=1">again</a></body></html>"""


def page(body: str = PAGE, **fields: Any) -> Response:
    return Response.from_bytes(URL, body.encode(), **fields)


def test_nothing_is_read_before_it_is_asked_for() -> None:
    response = Response(URL, 200, Headers(), b"\xff", request=Request(URL))
    assert (response.elapsed_s, response.wire_bytes, response.address, response.fetched_at) == (0, 0, None, 0)
    assert response._page is response._text is response._encoding is None
    assert not hasattr(response, "__dict__")
    assert repr(response) == f"<200 {URL}>"


def test_text_is_decoded_as_the_page_says() -> None:
    body = "<meta charset=windows-1251><title>Книги</title>".encode("cp1251")
    response = Response.from_bytes(URL, body)
    assert response.encoding == "windows-1251"
    assert "Книги" in response.text
    assert response.title == "Книги"
    assert Response.from_bytes(URL, body).text == response.text
    assert Response.from_bytes(URL, body).css("title::text").get() == "Книги"


def test_the_document_is_parsed_once() -> None:
    response = page()
    assert response.tree is response.tree
    assert response.text is response.text
    assert response.css("li a::text").getall() == ["One", "Two"]
    assert response.xpath("//li/a/text()").getall() == ["One", "Two"]


def test_json_is_read_or_the_url_is_named() -> None:
    assert Response.from_bytes(URL, b'\xef\xbb\xbf{"a": [1, null]}').json() == {"a": [1, None]}
    with pytest.raises(ValueError, match=r"https://shop\.example/list/\?p=1 is not JSON"):
        page().json()


@pytest.mark.parametrize(
    ("markup", "title"),
    [
        ("<title> a\n\t b </title>", "a b"),
        ("<title></title>", None),
        ("<p>no title", None),
        ("<body><svg><title>drawing</title></svg><title>page</title>", "page"),
        ("<svg><title>drawing</title></svg>", None),
        ("<title>a &amp; <b></title><title>c</title>", "a & <b>"),
    ],
)
def test_the_title_has_its_white_space_collapsed(markup: str, title: str | None) -> None:
    assert page(markup).title == title


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("text/html; charset=utf-8", b"", True),
        ("Text/HTML", b"", True),
        ("application/xhtml+xml", b"", True),
        ("application/json", b"<html>", False),
        ("image/png", b"<html>", False),
        ("", b"\n <!DOCTYPE HTML>", True),
        ("", b"\xef\xbb\xbf<!-- x -->", True),
        ("", b"<p>", True),
        ("", b"<pre>", False),
        ("", b"{}", False),
    ],
)
def test_a_page_is_known_by_its_type_or_how_it_begins(content_type: str, body: bytes, expected: bool) -> None:
    headers = Headers([("Content-Type", content_type)] if content_type else [])
    response = Response(URL, 200, headers, body, request=Request(URL))
    assert response.is_html is expected
    assert response.content_type == content_type.partition(";")[0].lower()


def test_addresses_are_relative_to_the_base_of_the_page() -> None:
    response = page()
    assert response.base_url == "https://shop.example/base/"
    assert response.urljoin("x#y") == "https://shop.example/base/x"
    assert response.urljoin("javascript:void(0)") is None
    assert response.canonical == "https://shop.example/list/"
    plain = page(headers={"Content-Type": "application/json", "Link": '</l>; rel="canonical"'})
    assert plain.urljoin("x") == "https://shop.example/list/x"
    assert plain.canonical == "https://shop.example/l"


def test_links_are_those_of_the_page_or_chosen_among_them() -> None:
    response = page()
    one, two, following = (
        "https://shop.example/base/one.html?b=2&a=1",
        "https://shop.example/two",
        "https://shop.example/base/?p=2",
    )
    assert [link.url for link in response.links()] == [one, two, following]
    assert [link.text for link in response.links(css="ul.books")] == ["One", "Two"]
    assert [link.url for link in response.links(css="a.next")] == [following]
    assert [link.url for link in response.links(allow=r"one|two", deny="one")] == [two]
    assert [link.url for link in response.links(css="nav", allow="p=")] == [following]
    assert page(headers={"Content-Type": "text/plain"}).links() == []


def test_link_options_say_what_is_a_link() -> None:
    response = page(link_options=Links(images=True))
    assert "https://shop.example/base/cover.png" in response.follow_all().urls
    assert "https://shop.example/base/cover.png" in [link.url for link in response.links()]
    forbidden = page(headers={"X-Robots-Tag": "nofollow"}, link_options=Links(obey_nofollow=True))
    assert forbidden.links() == forbidden.links(allow=".") == forbidden.follow_all().urls == []


def test_a_link_is_followed_whatever_form_it_has() -> None:
    response = page()
    two = "https://shop.example/two"
    for link in (
        "/two",
        " /two#part ",
        Link(two),
        response.css("#two")[0],
        response.css("#two::attr(href)")[0],
        response.xpath("//a[2]/@href | //a[@id='two']/@href")[0],
    ):
        assert response.follow(link).url == two
    assert response.follow(response.css("#url::text")[0]).url == "https://shop.example/base/three.html"
    assert response.follow(response.css("img")[0]).url == "https://shop.example/base/cover.png"


def test_a_request_that_follows_carries_what_it_is_given() -> None:
    class Shop:
        def book(self) -> None: ...

    request = page().follow(
        "/two", Shop().book, method="POST", body="x", meta={"n": 1}, priority=3, headers={"A": "b"}
    )
    assert (request.callback, request.method, request.body) == ("book", "POST", b"x")
    assert (request.meta, request.priority, request.headers) == ({"n": 1}, 3, {"A": "b"})
    assert repr(request) == "<POST https://shop.example/two>"


def test_what_can_not_be_followed_says_why() -> None:
    response = page()
    with pytest.raises(ValueError, match=r"'mailto:a@b' on https://shop\.example/list/"):
        response.follow("mailto:a@b")
    with pytest.raises(ValueError, match="<p> has neither href nor src"):
        response.follow(response.css("p")[0])
    with pytest.raises(TypeError, match="not SelectorList"):
        response.follow(response.css("a"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a callback is a method"):
        response.follow("/two", callback=3)  # type: ignore[arg-type]


def test_all_links_are_followed_as_one_object() -> None:
    response = page()
    follow = response.follow_all(callback="book", meta={"n": 1}, priority=2, headers={"A": "b"})
    assert isinstance(follow, Follow)
    assert follow.urls == [link.url for link in response.links()]
    assert len(follow) == 3
    assert repr(follow) == "<Follow 3 links>"
    first, *_ = follow
    assert (first.url, first.callback, first.meta) == (follow.urls[0], "book", {"n": 1})
    assert (first.priority, first.headers) == (2, {"A": "b"})
    assert first.meta is not follow.meta


def test_follow_all_takes_urls_or_what_chooses_links() -> None:
    response = page()
    assert response.follow_all(["/two", Link("https://shop.example/x"), "/two#a", "tel:1"]).urls == [
        "https://shop.example/two",
        "https://shop.example/x",
    ]
    assert response.follow_all(response.css("li a")).urls == response.follow_all(css="li").urls
    assert response.follow_all(deny="one").urls == [link.url for link in response.links(deny="one")]
    assert response.follow_all([]).urls == []
    assert page(headers={"Content-Type": "image/png"}).follow_all().urls == []
    with pytest.raises(ValueError, match="not both"):
        response.follow_all(["/two"], css="li")


def test_meta_and_depth_are_those_of_the_request() -> None:
    request = Request(URL, meta={"a": 1})
    request.depth = 4
    response = page(request=request)
    assert (response.meta, response.depth) == ({"a": 1}, 4)
    empty = page()
    empty.meta["b"] = 2
    assert empty.meta == empty.request.meta == {"b": 2}


def test_a_recorded_page_is_a_response(tmp_path: Path) -> None:
    file = tmp_path / "list.html"
    file.write_text(PAGE)
    response = Response.from_file(file, URL, fetched_at=1.5)
    assert (response.status, response.content_type, response.fetched_at) == (200, "text/html", 1.5)
    assert response.urljoin("x") == "https://shop.example/base/x"
    assert Response.from_file(str(file)).url == file.as_uri()
    (tmp_path / "data.json").write_text('{"a": 1}')
    data = Response.from_file(tmp_path / "data.json", URL, status=404, headers={"X-A": "b"})
    assert (data.status, data.content_type, data.headers["x-a"]) == (404, "application/json", "b")
    (tmp_path / "data").write_bytes(b"")
    assert Response.from_file(tmp_path / "data").content_type == "application/octet-stream"
    given = Response.from_file(file, headers={"Content-Type": "text/plain"})
    assert given.content_type == "text/plain"
    assert Response.from_bytes(URL, b"", headers={"content-type": "a/b"}).content_type == "a/b"


@pytest.mark.parametrize(
    "wire", [b"", b"\nContent-Type\n Text/HTML ; charset=utf-8", b"\nContent-Type\ntext/plain"]
)
@pytest.mark.parametrize("body", [b"<html >", b"{}"])
def test_an_answer_that_was_received_is_the_response_of_its_parts(wire: bytes, body: bytes) -> None:
    headers, request = Headers.from_wire(wire), Request("http://a.test/")
    made = Response.received("http://a.test/", 203, headers, body, request, 5, "192.0.2.1", 0.5)
    built = Response(
        "http://a.test/",
        203,
        headers,
        body,
        request=request,
        wire_bytes=5,
        address="192.0.2.1",
        elapsed_s=0.5,
    )
    for name in Response.__slots__:
        assert getattr(made, name) == getattr(built, name), name


class TestAScanAhead:
    PAGE = b"<title>T</title><a href=/1>one</a><img src=/2>"

    def response(self, options: Links) -> Response:
        response = Response.from_bytes("http://a.test/", self.PAGE, link_options=options)
        assert not response.scan_was_asked_for
        return response

    @pytest.mark.parametrize("images", [False, True])
    def test_is_what_is_asked_for_later(self, images: bool) -> None:
        options = Links(images=images)
        ahead, plain = self.response(options), self.response(options)
        ahead.scan_ahead(options)
        assert not ahead.scan_was_asked_for
        assert ahead.follow_all().urls == plain.follow_all().urls
        assert (ahead.title, ahead.encoding) == (plain.title, plain.encoding) == ("T", "utf-8")
        assert ahead.scan_was_asked_for
        assert plain.scan_was_asked_for

    def test_counts_for_no_other_options(self) -> None:
        response = self.response(Links())
        response.scan_ahead(Links())
        response.link_options = Links(images=True)
        assert response.follow_all().urls == ["http://a.test/1", "http://a.test/2"]

    def test_does_not_count_for_a_tree_that_may_have_been_changed(self) -> None:
        response = self.response(Links())
        response.scan_ahead(response.link_options)
        response.tree.css_first("a").decompose()
        assert response.follow_all().urls == []
