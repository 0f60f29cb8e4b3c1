"""The shop's pages, with what real ones hold: relative and absolute links, repeats, a redirect, a 404.

The markup of lists and books carries the class names of books.toscrape.com, so that a spider written for that
shop reads this one too.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from html import escape

from airless.local.demo.books import CATEGORIES, Book, book

BOOKS_A_LIST = 20
SMALLEST = 50

_HTML = "text/html; charset=utf-8"
_BOOK = re.compile(r"/catalogue/[a-z0-9-]+_(\d{1,9})/index\.html")
_LIST = re.compile(r"/catalogue/(?:category/[a-z0-9-]+_(\d{1,9})/)?(?:index|page-(\d{1,9}))\.html")


@dataclass(frozen=True, slots=True)
class Page:
    """An answer: its status, its content type and its bytes; where it leads, if it is a redirect."""

    body: bytes = b""
    status: int = 200
    content_type: str = _HTML
    location: str | None = None


class Shop:
    """A shop of about `pages` pages, SMALLEST at least; the same for the same number."""

    def __init__(self, pages: int = 1_000) -> None:
        # A book stands in two lists, one of them in two orders; each category's last list is half full.
        books = (max(pages, SMALLEST) - len(CATEGORIES) - 1) * BOOKS_A_LIST // (BOOKS_A_LIST + 3)
        self.books = [book(number) for number in range(books)]
        self._by_category: list[list[Book]] = [[] for _ in CATEGORIES]
        for each in self.books:
            self._by_category[each.category].append(each)

    def page(self, path: str, origin: str) -> Page:
        """What is at a path (decoded, without its query); `origin` is the shop's own, for absolute links."""
        match path:
            case "/":
                return self._list(path, None, 1, origin)
            case "/robots.txt":
                rules = f"User-agent: *\nDisallow: /basket\n\nSitemap: {origin}/sitemap.xml\n"
                return Page(rules.encode(), content_type="text/plain; charset=utf-8")
            case "/sitemap.xml":
                return self._sitemap(origin)
            case "/basket":
                return Page(_document("Basket", "<h1>Your basket</h1><p>It is empty.</p>"))
            case "/old-catalogue.html":
                return Page(status=301, location="/catalogue/page-1.html")
        if found := _BOOK.fullmatch(path):
            return self._book(path, int(found[1]), origin)
        if found := _LIST.fullmatch(path):
            category = None if found[1] is None else int(found[1])
            if category is not None or found[2] is not None:
                return self._list(path, category, int(found[2] or 1), origin)
        return _missing()

    def paths(self) -> list[str]:
        """The paths of all lists and books: what the sitemap names."""
        lists = [f"/catalogue/page-{n}.html" for n in range(1, self._length(self.books) + 1)]
        for category, books in enumerate(self._by_category):
            lists += [_list_path(category, n) for n in range(1, self._length(books) + 1)]
        return ["/", *lists, *map(_book_path, self.books)]

    @staticmethod
    def _length(books: list[Book]) -> int:
        return max(1, math.ceil(len(books) / BOOKS_A_LIST))

    def _list(self, path: str, category: int | None, number: int, origin: str) -> Page:
        if category is not None and category >= len(CATEGORIES):
            return _missing()
        books = self.books if category is None else self._by_category[category]
        length = self._length(books)
        if not 1 <= number <= length or path not in {"/", _list_path(category, number)}:
            return _missing()
        up = "../../" if category is not None else "catalogue/" if path == "/" else ""
        shown = books[(number - 1) * BOOKS_A_LIST : number * BOOKS_A_LIST]
        pods = "\n".join(_pod(each, up) for each in shown)
        name = "All books" if category is None else CATEGORIES[category]
        parts = [f"<h1>{escape(name)}</h1>", self._categories(), f"<section><ol>\n{pods}\n</ol></section>"]
        if category is not None:
            # The same choice, written in two orders: one page, not two.
            parts.append('<p>As a list, by price: <a href="?order=price&amp;view=list">up</a>')
            parts.append('or <a href="?view=list&amp;order=price">down</a></p>')
        parts.append(f'<ul class="pager"><li class="current">Page {number} of {length}</li>')
        if number < length:
            near = f"catalogue/page-{number + 1}.html" if path == "/" else f"page-{number + 1}.html"
            parts.append(f'<li class="next"><a href="{near}">next</a></li>')
        parts.append("</ul>")
        if path == "/":
            parts.append('<p>Looking for <a href="/old-catalogue.html">the old catalogue</a>')
            parts.append('or for what is <a href="/out-of-print.html">out of print</a>?')
            parts.append('<a href="https://example.com/publishers">Publishers</a></p>')
        return Page(_document(f"{name}, page {number}", "\n".join(parts), canonical=f"{origin}{path}"))

    def _categories(self) -> str:
        entries = (
            f'<li><a href="{_list_path(number, 1)}">{escape(name)}</a></li>'
            for number, name in enumerate(CATEGORIES)
        )
        return f'<div class="side_categories"><ul>{"".join(entries)}</ul></div>'

    def _book(self, path: str, number: int, origin: str) -> Page:
        if number >= len(self.books) or path != _book_path(self.books[number]):
            return _missing()
        this = self.books[number]
        following = self.books[(number + 1) % len(self.books)]
        category = CATEGORIES[this.category]
        stock = f"In stock ({this.in_stock} available)" if this.in_stock else "Sold out"
        body = f"""<ul class="breadcrumb">
<li><a href="../../">Home</a></li>
<li><a href="../page-1.html">Books</a></li>
<li><a href="..{_list_path(this.category, 1).removeprefix("/catalogue")}">{escape(category)}</a></li>
<li class="active">{escape(this.title)}</li>
</ul>
<article class="product_page">
<div class="product_main">
<h1>{escape(this.title)}</h1>
<p class="price_color">{this.price}</p>
<p class="instock availability">{stock}</p>
<p class="star-rating {this.rating}"></p>
<p><a href="#product_description">About this book</a> <a href="mailto:shop@example.com">Ask us</a></p>
</div>
<div id="product_description"><h2>About this book</h2></div>
<p>{escape(this.text)}</p>
<table><tr><th>UPC</th><td>{this.upc}</td></tr><tr><th>Price</th><td>{this.price}</td></tr></table>
<p>Others bought <a href="{origin}{_book_path(following)}">{escape(following.title)}</a></p>
</article>"""
        return Page(_document(this.title, body, canonical=f"{origin}{path}"))

    def _sitemap(self, origin: str) -> Page:
        urls = "".join(f"<url><loc>{origin}{path}</loc></url>\n" for path in self.paths())
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}</urlset>\n'
        )
        return Page(text.encode(), content_type="application/xml")


def _book_path(one: Book) -> str:
    return f"/catalogue/{one.slug}/index.html"


def _list_path(category: int | None, number: int) -> str:
    if category is None:
        return f"/catalogue/page-{number}.html"
    folder = "-".join(re.findall(r"[a-z]+", CATEGORIES[category].lower()))
    name = "index" if number == 1 else f"page-{number}"
    return f"/catalogue/category/{folder}_{category}/{name}.html"


def _pod(one: Book, up: str) -> str:
    path, title = _book_path(one), escape(one.title)
    near = f"{up}{path.removeprefix('/catalogue/')}"
    return (
        f'<li><article class="product_pod"><a class="image_container" href="{path}">{title}</a>'
        f'<h3><a href="{near}" title="{title}">{title}</a></h3>'
        f'<p class="price_color">{one.price}</p></article></li>'
    )


def _document(title: str, body: str, *, canonical: str | None = None) -> bytes:
    hint = f'<link rel="canonical" href="{canonical}">' if canonical else ""
    head = f'<meta charset="utf-8"><title>{escape(title)}</title>{hint}'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head>\n'
        f'<body><header><a href="/">The Loopback Bookshop</a> <a href="/basket">Basket</a></header>\n{body}\n'
        "</body></html>\n"
    ).encode()


def _missing() -> Page:
    return Page(_document("Not found", "<h1>There is no such page</h1>"), status=404)
