"""The callback: twenty fields of a page of Sphinx's, the same code on whatever has parsel's `css`."""

from __future__ import annotations

from typing import Any


def take(page: Any) -> dict[str, Any]:
    """Single texts and attributes, lists of them, all texts of an element, and what is nested in an element."""
    return {
        "title": page.css("title::text").get(),
        "language": page.css("html::attr(lang)").get(),
        "generator": page.css("meta[name=generator]::attr(content)").get(),
        "canonical": page.css("link[rel=canonical]::attr(href)").get(),
        "previous": page.css("link[rel=prev]::attr(href)").get(),
        "next": page.css("link[rel=next]::attr(href)").get(),
        "source": page.css("ul.this-page-menu a[rel=nofollow]::attr(href)").get(),
        "heading": "".join(page.css("h1 ::text").getall()),
        "lead": "".join(page.css("h1 ~ p:first-of-type ::text").getall()),
        "breadcrumbs": page.css("div.related li.nav-item > a::text").getall(),
        "contents": page.css("nav.menu a.internal::attr(href)").getall(),
        "sections": page.css("section > h2::text, section > h3::text").getall(),
        "data": page.css("dl.data > dt::attr(id), dl.attribute > dt::attr(id)").getall(),
        "changes": page.css("span.versionmodified::text").getall(),
        "references": page.css("div.body a.reference.external::attr(href)").getall(),
        "images": page.css("div.body img::attr(src)").getall(),
        "functions": [
            {
                "name": function.css("dt::attr(id)").get(),
                "signature": "".join(function.css("dt.sig ::text").getall()),
                "parameters": function.css("em.sig-param > span.n > span::text").getall(),
            }
            for function in page.css("dl.function")
        ],
        "notes": ["".join(note.css("p ::text").getall()) for note in page.css("div.admonition")],
        "examples": ["".join(example.css("::text").getall()) for example in page.css("div.highlight > pre")],
        "tables": [
            [["".join(cell.css("::text").getall()) for cell in row.css("th, td")] for row in table.css("tr")]
            for table in page.css("table.docutils")
        ],
    }
