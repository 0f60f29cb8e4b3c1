"""An independent walk of a folder of pages: what a crawl must find there, by the standard library alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

# Any origin will do: only paths are kept.
_ORIGIN = "http://walk.test"
_PAGES = frozenset({".html", ".htm"})


@dataclass(frozen=True, slots=True)
class Walked:
    """What links reach: `pages` are paths (with the query, if any) and titles, white space collapsed.

    `others` are files that are no page, and folders named without their slash. `missing` is reached and
    isn't there.
    """

    pages: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def walk(root: Path, start: str) -> Walked:
    """Follow anchors and areas from the path `start` through the files below `root`.

    A folder's page is its index.html. Raises UnicodeDecodeError for a page that isn't UTF-8.
    """
    walked = Walked()
    todo = [urljoin(_ORIGIN, start)]
    seen = set(todo)
    while todo:
        url = todo.pop()
        path = url.removeprefix(_ORIGIN)
        file = file_of(root, path)
        if file.is_dir():
            # Servers send on to the folder's page.
            walked.others.append(path)
            found = [f"{url}/"]
        elif not file.is_file() or ".." in file.parts:
            walked.missing.append(path)
            continue
        elif file.suffix.lower() not in _PAGES:
            walked.others.append(path)
            continue
        else:
            page = _Page()
            page.feed(file.read_text(encoding="utf-8"))
            page.close()
            walked.pages[path] = " ".join("".join(page.title).split())
            found = page.targets(url)
        for target in found:
            if target not in seen and target.startswith(f"{_ORIGIN}/"):
                seen.add(target)
                todo.append(target)
    return walked


def file_of(root: Path, path: str) -> Path:
    """The file below `root` that a URL's path names, whether it is there or not."""
    decoded = unquote(urlsplit(path).path).lstrip("/")
    return root / (f"{decoded}index.html" if not decoded or decoded.endswith("/") else decoded)


class _Page(HTMLParser):
    """A page's first title, its base and the references of its anchors and areas."""

    def __init__(self) -> None:
        super().__init__()
        self.title: list[str] = []
        self._references: dict[str, None] = {}
        self._base = ""
        self._titles = 0
        self._in_title = False

    def targets(self, url: str) -> list[str]:
        """Where the references point from the page at `url`, without fragments; those of no meaning left out."""
        base = urljoin(url, self._base)
        found = []
        for reference in self._references:
            try:
                found.append(urldefrag(urljoin(base, reference)).url)
            except ValueError:
                continue  # as the URL standard has it, a link that can't be resolved is none
        return found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title":
            self._titles += 1
            self._in_title = self._titles == 1
        elif tag in ("a", "area", "base"):
            reference = next((value for name, value in attrs if name == "href"), None)
            if reference is None:
                return
            if tag == "base":
                self._base = self._base or reference.strip()
            else:
                self._references[reference.strip().partition("#")[0]] = None

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
