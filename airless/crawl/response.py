"""A response: the answer to one request, and the ways to read it."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson
from selectolax.lexbor import LexborHTMLParser

from airless.crawl import charset, links
from airless.crawl.headers import Headers
from airless.crawl.links import Link, LinkExtractor
from airless.crawl.making import maker_like
from airless.crawl.request import Follow, Request, callback_name
from airless.crawl.scan import page_follow, scan
from airless.crawl.selectors import Page, Selector, SelectorList
from airless.crawl.settings import Links
from airless.crawl.tree_scan import TreeScan
from airless.crawl.urls import canonical, join

if TYPE_CHECKING:
    from airless._speed import Page as ScannedPage
    from airless.crawl.forms import Form

_HTML = frozenset({"text/html", "application/xhtml+xml"})
_LINK_OPTIONS = Links()

# MIME Sniffing §7.1, the patterns for text/html, for the answers that name no type.
_LOOKS_LIKE_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?[\t\n\f\r ]*<"
    rb"(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|!--)[ >]",
    re.IGNORECASE,
)


class Response:
    """One answer. Nothing is decoded or parsed before it is asked for, and then once.

    `url` is the one that was fetched, `body` is decompressed; `wire_bytes` counts it as it came; `address`
    is the IP connected to; `fetched_at` are seconds since the epoch. `link_options` say which references of
    the page are links where the callback doesn't. `content_type` is the media type in lower case, without
    parameters, empty where the server named none; `is_html` says whether this is a page, by its content type or,
    where there is none, by how it begins.
    """

    __slots__ = (
        "_ahead",
        "_declared",
        "_encoding",
        "_page",
        "_scanned",
        "_text",
        "address",
        "body",
        "content_type",
        "elapsed_s",
        "fetched_at",
        "headers",
        "is_html",
        "link_options",
        "request",
        "status",
        "url",
        "wire_bytes",
    )

    def __init__(
        self,
        url: str,
        status: int,
        headers: Headers,
        body: bytes,
        *,
        request: Request,
        elapsed_s: float = 0.0,
        wire_bytes: int = 0,
        address: str | None = None,
        fetched_at: float = 0.0,
        link_options: Links = _LINK_OPTIONS,
    ) -> None:
        self.url = url
        self.status = status
        self.headers = headers
        self.body = body
        self.request = request
        self.elapsed_s = elapsed_s
        self.wire_bytes = wire_bytes
        self.address = address
        self.fetched_at = fetched_at
        self.link_options = link_options
        # Kept as facts, and not asked of the fields by each that needs them: a page is asked for them eight times.
        self._declared = declared = headers.get("content-type")
        self.content_type, is_html = _described(declared)
        self.is_html = _LOOKS_LIKE_HTML.match(body) is not None if is_html is None else is_html
        self._encoding: str | None = None
        self._text: str | None = None
        self._page: Page | None = None
        self._scanned: ScannedPage | TreeScan | Literal[False] | None = None
        self._ahead: tuple[Links, ScannedPage | TreeScan | None, str] | None = None

    @staticmethod
    def received(
        url: str,
        status: int,
        headers: Headers,
        body: bytes,
        request: Request,
        wire_bytes: int,
        address: str | None,
        elapsed_s: float,
    ) -> Response:
        """The same as a Response of these, for those who make one for each page: sooner, and by position."""
        declared = headers.get("content-type")
        content_type, is_html = _described(declared)
        if is_html is None:
            is_html = _LOOKS_LIKE_HTML.match(body) is not None
        return _received(
            url,
            status,
            headers,
            body,
            request,
            wire_bytes,
            address,
            elapsed_s,
            declared,
            content_type,
            is_html,
        )

    @classmethod
    def from_bytes(
        cls,
        url: str,
        body: bytes,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        *,
        request: Request | None = None,
        **fields: Any,
    ) -> Response:
        """A response from recorded bytes, for tests. The content type is text/html if no header names one."""
        recorded = Headers((headers or {}).items())
        if "content-type" not in recorded:
            recorded = Headers([*recorded.items_list(), ("content-type", "text/html")])
        return cls(url, status, recorded, body, request=request or Request(url), **fields)

    @classmethod
    def from_file(cls, path: str | Path, url: str | None = None, **fields: Any) -> Response:
        """A response from a recorded file; its suffix gives the content type. `url` is where it was.

        Raises OSError where it can't be read.
        """
        file = Path(path)
        headers = dict(fields.pop("headers", None) or {})
        if not any(name.lower() == "content-type" for name in headers):
            headers["content-type"] = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        return cls.from_bytes(url or file.resolve().as_uri(), file.read_bytes(), headers=headers, **fields)

    @property
    def meta(self) -> dict[str, Any]:
        """What the request carried."""
        if self.request.meta is None:
            self.request.meta = {}
        return self.request.meta

    # A getter that is no Python function, as each page is asked for it.
    depth: int = property(attrgetter("request.depth"), doc="Links from the seeds.")  # type: ignore[assignment]

    @property
    def encoding(self) -> str:
        """The body's encoding, by its name in the Encoding standard, as HTML's sniffing finds it."""
        if self._encoding is None:
            self._encoding = charset.detect(self.body, self._declared)
        return self._encoding

    @property
    def text(self) -> str:
        """The body as text; what can't be decoded is U+FFFD."""
        if self._text is None:
            self._text, self._encoding = charset.decode(self.body, self._declared)
        return self._text

    def json(self) -> Any:
        """The body as JSON (RFC 8259). Raises ValueError, naming the URL, where it isn't."""
        body = self.body.removeprefix(b"\xef\xbb\xbf")
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"{self.url} is not JSON: {error}") from error

    @property
    def tree(self) -> LexborHTMLParser:
        """The document, parsed as HTML whatever its type is."""
        self._document.changeable = True
        return self._document.tree

    def _scan(self) -> ScannedPage | TreeScan | None:
        """What a scan of the page finds, unless its tree was given out: it may have been changed since.

        Those who are asked on each page look first themselves: without a tree, what was found stands.
        """
        page, scanned = self._page, self._scanned
        if page is None and scanned:
            return scanned
        if page is not None and page.changeable:
            return None
        if scanned is None:
            ahead, options = self._ahead, self.link_options
            if ahead is not None and ahead[0] is options:
                _, found, self._encoding = ahead
            else:
                tree = None if page is None else page.tree
                found, self._encoding = scan(self.body, self._declared, options, tree)
            self._scanned = scanned = found or False
        return scanned or None

    def scan_ahead(self, options: Links) -> None:
        """Scan the page now, for those who will ask with these options for what a scan finds."""
        self._ahead = options, *scan(self.body, self._declared, options)

    @property
    def scan_was_asked_for(self) -> bool:
        """Whether something was asked that a scan finds."""
        return self._scanned is not None

    @property
    def _document(self) -> Page:
        if self._page is None:
            if isinstance(self._scanned, TreeScan):
                self._page = Page(self._scanned.tree)
            else:
                body, self._encoding = charset.to_utf8(self.body, self._declared)
                self._page = Page(LexborHTMLParser(body))
        return self._page

    def css(self, query: str) -> SelectorList:
        """What a CSS selector matches; see `Selector.css` for ``::text`` and ``::attr(name)``.

        Raises ValueError where the query is no CSS.
        """
        return self._document.root.css(query)

    def xpath(self, query: str, **variables: Any) -> SelectorList:
        """What an XPath 1.0 expression gives. Needs ``airless[xpath]``; raises as `Selector.xpath` does."""
        return self._document.root.xpath(query, **variables)

    @property
    def title(self) -> str | None:
        """The document's title (HTML §3.1.5), its white space collapsed; None where there is none."""
        scanned = self._page is None and self._scanned
        return (scanned or self._scan() or TreeScan(self._document.tree, self.link_options)).title

    @property
    def base_url(self) -> str:
        """What the page's relative references are relative to."""
        scanned = self._scan()
        if scanned is not None:
            return self._relative_to(scanned.base)
        return links.base_url(self._document.tree, self.url)

    def _relative_to(self, base: str | None) -> str:
        return self.url if base is None else join(self.url, base) or self.url

    @property
    def canonical(self) -> str | None:
        """The address that the page names as its canonical one: a hint (RFC 6596)."""
        if not self.is_html:
            return links.canonical_link(None, self.headers, self.url)
        scanned = (self._page is None and self._scanned) or self._scan()
        if scanned is None:
            return links.canonical_link(self._document.tree, self.headers, self.url)
        hrefs = scanned.canonicals
        if not hrefs and self.headers.get("link") is None:
            return None
        if hrefs:
            base = self.base_url
            for href in hrefs:
                if (found := join(base, href)) is not None:
                    return found
        return links.canonical_link(None, self.headers, self.url)

    def urljoin(self, reference: str) -> str | None:
        """The absolute address, without a fragment; None where it isn't an http(s) URL."""
        return join(self.base_url if self.is_html else self.url, reference)

    def links(self, css: str | None = None, **options: Any) -> list[Link]:
        """The links of the page, each once, in its order; none where this isn't HTML.

        `css` keeps those inside of what it matches; `options` are those of `LinkExtractor` (``allow``,
        ``deny``…).
        """
        if not self.is_html:
            return []
        tree = self._document.tree
        if not options:
            return links.page_links(tree, self.url, self.link_options, css=css, headers=self.headers)
        if css is not None:
            options["restrict_css"] = css
        return LinkExtractor(**options).extract(tree, self.url, self.link_options, headers=self.headers)

    def follow(
        self,
        link: str | Link | Selector,
        callback: str | Callable[..., Any] | None = None,
        **options: Any,
    ) -> Request:
        """A request for one link: a reference, a `Link`, or a selector of an element, an attribute or a text.

        `options` are those of `Request`. Raises ValueError where it doesn't lead to an http(s) URL.
        """
        reference = _reference(link)
        url = self.urljoin(reference)
        if url is None:
            raise ValueError(f"{reference!r} on {self.url} is not an http(s) URL")
        return Request(url, callback=callback, **options)

    def follow_all(
        self,
        urls: Iterable[str | Link | Selector] | None = None,
        *,
        css: str | None = None,
        callback: str | Callable[..., Any] | None = None,
        meta: Mapping[str, Any] | None = None,
        priority: int = 0,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Follow:
        """Many links as one object to yield: without arguments all links of the page.

        `urls` are taken as `follow` takes one, but what leads to no http(s) URL is left out; `css` and
        `options` choose among the page's links as `links` does.
        """
        all_of_them = urls is None and css is None and not options
        if all_of_them and self.is_html and not self.link_options.obey_nofollow:
            scanned = self._page is None and self._scanned
            scanned = scanned or self._scan() or TreeScan(self._document.tree, self.link_options)
            base = self.url if scanned.base is None else self._relative_to(scanned.base)
            return page_follow(
                scanned,
                base,
                isinstance(scanned, TreeScan),
                None if callback is None else callback_name(callback),
                dict(meta) if meta else None,
                priority,
                dict(headers) if headers else None,
            )
        found: Iterable[str]
        if urls is not None:
            if css is not None or options:
                raise ValueError("follow_all takes either urls or what chooses links, not both")
            joined = (self.urljoin(_reference(link)) for link in urls)
            found = dict.fromkeys(url for url in joined if url is not None)
        elif not all_of_them:
            found = (link.url for link in self.links(css, **options))
        elif not self.is_html:
            found = ()
        else:
            found = links.page_urls(self._document.tree, self.url, self.link_options, headers=self.headers)
        return Follow(found, callback=callback, meta=meta, priority=priority, headers=headers)

    def form(
        self, css: str | None = None, *, name: str | None = None, id: str | None = None, index: int = 0
    ) -> Form:
        """One form of the page: the `index`-th of those that match. Raises ValueError where there is none."""
        # Most spiders ask for no form, and what reads them takes 5 ms to import.
        from airless.crawl.forms import find_form

        return find_form(
            self._document.tree,
            page_url=canonical(self.url) or self.url,
            base_url=self.base_url,
            encoding=self.encoding,
            css=css,
            name=name,
            id=id,
            index=index,
        )

    def __repr__(self) -> str:
        return f"<{self.status} {self.url}>"


@lru_cache(maxsize=256)
def _described(content_type: str | None) -> tuple[str, bool | None]:
    """The media type that a field names, and whether that is a page's; None where it names none."""
    media_type = (content_type or "").partition(";")[0].strip().lower()
    return media_type, media_type in _HTML if media_type else None


_received: Callable[..., Response] = maker_like(
    Response("", 0, Headers(), b"", request=Request("")),
    "url",
    "status",
    "headers",
    "body",
    "request",
    "wire_bytes",
    "address",
    "elapsed_s",
    "_declared",
    "content_type",
    "is_html",
)


def _reference(link: str | Link | Selector) -> str:
    if isinstance(link, str):
        return link
    if isinstance(link, Link):
        return link.url
    if not isinstance(link, Selector):
        raise TypeError(f"follow takes a URL, a Link or a selector, not {type(link).__name__}")
    if link.tag is None:
        return link.get()
    attributes = link.attrib
    for attribute in ("href", "src"):
        if attribute in attributes:
            return attributes[attribute]
    raise ValueError(f"<{link.tag}> has neither href nor src to follow")
