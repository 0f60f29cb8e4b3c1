"""What the hand-tuned Python contenders share: which links of a page are new, in cheap plain Python."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from selectolax.lexbor import LexborHTMLParser


class Links:
    """Tells new addresses from those seen before; keeps to the seeds' hosts.

    A link is skipped by its spelling before anything parses it, so only a new spelling costs a `urljoin`.
    """

    def __init__(self, seeds: list[str]) -> None:
        self._hosts = {urlsplit(seed).netloc for seed in seeds}
        self._spellings: set[str] = set()
        self._seen = {canonical(seed) for seed in seeds}

    def new(self, url: str, tree: LexborHTMLParser) -> list[str]:
        """The canonical addresses on the page at `url` that no page had before, in order."""
        found: list[str] = []
        origin = url[: url.index("/", 8)]
        folder = url.partition("?")[0].rpartition("/")[0]
        spellings, seen = self._spellings, self._seen
        for node in tree.css("a[href]"):
            href = node.attributes["href"]
            if not href or href[0] == "#":
                continue
            # What a spelling means may depend on the host, or on the folder too.
            if href[0] == "/":
                spelling = href if href[:2] == "//" else origin + href
            elif href[:4] == "http":
                spelling = href
            else:
                spelling = f"{folder}/{href}"
            if spelling in spellings:
                continue
            spellings.add(spelling)
            absolute = urljoin(url, href)
            if absolute[:4] == "http":
                target = canonical(absolute)
                if target not in seen and urlsplit(target).netloc in self._hosts:
                    seen.add(target)
                    found.append(target)
        return found


def title(tree: LexborHTMLParser) -> str:
    """The text of the head's title."""
    node = tree.css_first("head > title")
    return node.text() if node else ""


def canonical(url: str) -> str:
    """Host in lower case, parameters sorted, no fragment."""
    parts = urlsplit(url)
    query = "?" + "&".join(sorted(parts.query.split("&"))) if parts.query else ""
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path or '/'}{query}"
