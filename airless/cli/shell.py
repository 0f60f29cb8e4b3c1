"""``airless shell``: one page, and a prompt to try selectors on it."""

from __future__ import annotations

import asyncio
import code
import contextlib
import html
import importlib
import re
import sys
import tempfile
import webbrowser
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import click

from airless.core.clock import SystemClock
from airless.core.errors import AirlessError, ConfigError
from airless.crawl.errors import FetchError
from airless.crawl.http import AddressGuard, AiohttpFetcher, CookieJar, Fetching
from airless.crawl.request import Request
from airless.crawl.response import Response
from airless.crawl.selectors import SelectorList
from airless.crawl.settings import Http, Limits
from airless.crawl.urls import host_of, join, seed
from airless.crawl.visit import redirected

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")
# Where a <base> may go in: as late as there is a place for it, and after any doctype, which must stay first.
_PLACES = tuple(
    re.compile(rb"<%s(\s[^>]*)?>" % tag, re.IGNORECASE) for tag in (b"head", b"html", b"!doctype")
)
_HELP = """
  response        the page                 css("h1::text")   what a selector matches on it
  request         what led to it           fetch(url)        another page: it becomes `response`
  view()          the page in a browser    exit()
"""


class Session:
    """The page at hand. Cookies are kept from one fetch to the next.

    A host may have a private address if the user named it; the hosts that redirects lead to may not.
    """

    def __init__(self, http: Http) -> None:
        self._http = http
        self._cookies = CookieJar()
        self.names: dict[str, Any] = {"fetch": self.fetch, "css": self.css, "view": self.view}

    def open(self, source: str, url: str | None = None) -> Response:
        """Have the page that `source` names: a URL, or a local file that was recorded at `url`.

        Raises ConfigError for what is neither, FetchError where the page can't be had.
        """
        path = _local(source)
        if path is None:
            return self.fetch(source)
        try:
            return self._have(Response.from_file(path, url=seed(url) if url else None))
        except OSError as error:
            raise ConfigError(f"can't read {path}: {error.strerror or error}") from error

    def fetch(self, url: str | Request) -> Response:
        """Fetch a page, redirects followed: it is `response` from now on. Raises ConfigError, FetchError."""
        request = url if isinstance(url, Request) else Request(seed(url))
        return self._have(asyncio.run(self._fetched(request)))

    def css(self, query: str) -> SelectorList:
        """What a CSS selector matches on the page."""
        return self.response.css(query)

    def view(self) -> str:
        """Open the page, as it was had, in the browser; the name of the file that it was written to."""
        body = self.response.body
        if self.response.is_html:
            base = f'<base href="{html.escape(self.response.base_url)}">'.encode()
            place = next((found.end() for tag in _PLACES if (found := tag.search(body))), None)
            body = body if place is None else body[:place] + base + body[place:]
        suffix = ".html" if self.response.is_html else Path(urlsplit(self.response.url).path).suffix
        with tempfile.NamedTemporaryFile(prefix="airless-", suffix=suffix or ".txt", delete=False) as file:
            file.write(body)
        webbrowser.open(Path(file.name).as_uri())
        return file.name

    @property
    def response(self) -> Response:
        response: Response = self.names["response"]
        return response

    def _have(self, response: Response) -> Response:
        self.names["response"] = response
        self.names["request"] = response.request
        click.echo(_summary(response), err=True)
        return response

    async def _fetched(self, request: Request) -> Response:
        fetching = Fetching(
            self._http,
            concurrency=1,
            per_host=1,
            page_bytes=Limits().page_bytes,
            guard=AddressGuard(allowed_hosts=frozenset({host_of(request.url)})),
            clock=SystemClock(),
            cookies=self._cookies,
        )
        fetcher = AiohttpFetcher(fetching)
        try:
            while True:
                response = await fetcher.fetch(request)
                target = response.headers.get("location")
                url = join(request.url, target) if target and response.status in _REDIRECTS else None
                if url is None:
                    return response
                if request.redirects >= self._http.max_redirects:
                    raise FetchError(f"{request.url}: more than {self._http.max_redirects} redirects")
                click.echo(_summary(response), err=True)
                request = redirected(request, response.status, url)
        finally:
            await fetcher.aclose()


@click.command()
@click.argument("source", metavar="URL|FILE")
@click.option(
    "-c", "--code", "expression", metavar="EXPR", help="Evaluate one expression, print it, and end."
)
@click.option("--url", help="Where a local FILE was recorded: its links are relative to that.")
def shell(source: str, expression: str | None, url: str | None) -> None:
    """Fetch a page (or read a recorded one) and try selectors on it at a prompt.

    A local file is named with its path, or as file:///…; robots.txt is not asked, for a person is looking.

    \b
    Examples:
      airless shell https://books.toscrape.com/
      airless shell https://books.toscrape.com/ -c 'css("h3 a::attr(title)").getall()'
      airless shell tests/pages/catalogue.html --url https://books.toscrape.com/
    """
    session = Session(Http())
    session.open(source, url)
    if expression is None:
        _prompt(session.names)
        return
    value = _evaluated(expression, session.names)
    if isinstance(value, bytes):
        click.echo(value, nl=False)
    elif value is not None:
        click.echo(value if isinstance(value, str) else repr(value))


def _local(source: str) -> Path | None:
    """The file that is meant, or None where it is a URL. Raises ConfigError for a file that isn't there."""
    if not source:
        return None
    scheme = _SCHEME.match(source)
    if scheme and scheme[1].lower() == "file":
        parts = urlsplit(source)
        if parts.netloc not in ("", "localhost"):
            raise ConfigError(f"{source}: a file URL names a file of this machine, as file:///path")
        path = Path(url2pathname(parts.path))
    elif scheme:
        return None
    else:
        path = Path(source).expanduser()
        if not path.exists() and not source.startswith(("/", ".", "~")):
            return None
    if not path.is_file():
        raise ConfigError(f"{path} is no file" if path.exists() else f"there is no file {path}")
    return path


def _summary(response: Response) -> str:
    try:
        phrase = f" {HTTPStatus(response.status).phrase}"
    except ValueError:  # a status that no RFC registers
        phrase = ""
    parts = [f"{response.status}{phrase}", response.url, response.content_type or "(no type)"]
    parts.append(f"{len(response.body):,} bytes")
    if response.address:
        parts.append(f"{response.elapsed_s:.2f} s")
    location = response.headers.get("location")
    if location and response.status in _REDIRECTS:
        parts.append(f"→ {location}")
    return "  ".join(parts)


def _evaluated(expression: str, names: dict[str, Any]) -> Any:
    """The value of an expression, which is the user's own, typed on the user's machine."""
    try:
        return eval(compile(expression.strip(), "<--code>", "eval"), names)  # noqa: S307
    except AirlessError:
        raise
    except Exception as error:
        raise click.ClickException(f"{expression!r}: {type(error).__name__}: {error}") from error


def _prompt(names: dict[str, Any]) -> None:
    embed = _ipython()
    if embed is not None:
        embed(argv=["--no-banner"], user_ns=names)
        return
    if sys.stdin.isatty():
        _complete(names)
    code.interact(banner=_HELP, local=names, exitmsg="")


def _ipython() -> Callable[..., Any] | None:
    try:
        start: Callable[..., Any] = importlib.import_module("IPython").start_ipython
    except ImportError:
        return None
    return start


def _complete(names: dict[str, Any]) -> None:
    """Tab and the arrow keys, where this Python has readline."""
    with contextlib.suppress(ImportError):
        import readline
        import rlcompleter

        readline.set_completer(rlcompleter.Completer(names).complete)
        readline.parse_and_bind("tab: complete")
