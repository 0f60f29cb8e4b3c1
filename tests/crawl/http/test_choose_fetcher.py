"""Which fetcher a crawl gets, by its settings and its command line."""

from __future__ import annotations

import sys

import pytest

from airless.cli.crawl import crawl, make_plan
from airless.core.clock import SystemClock
from airless.core.errors import ConfigError
from airless.crawl.http import AddressGuard, FastFetcher, Fetching, choose_fetcher
from airless.crawl.settings import Http


def fetching(http: Http) -> Fetching:
    return Fetching(
        http, concurrency=4, per_host=2, page_bytes=1_000, guard=AddressGuard(), clock=SystemClock()
    )


def test_it_is_the_one_for_http_1_1_unless_told_otherwise() -> None:
    assert type(choose_fetcher(fetching(Http()))) is FastFetcher


def test_it_is_the_one_for_http_2_where_that_is_asked_for() -> None:
    pytest.importorskip("h2", reason="needs the extra http2")
    from airless.crawl.http.http2 import Http2Fetcher

    assert type(choose_fetcher(fetching(Http(http2=True)))) is Http2Fetcher


def test_what_is_missing_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h2", None)
    with pytest.raises(ConfigError, match=r"pip install 'airless\[http2\]'"):
        choose_fetcher(fetching(Http(http2=True)))


@pytest.mark.parametrize(("words", "http2"), [(["--http2"], True), ([], False)])
def test_the_command_line_asks_for_it(words: list[str], http2: bool) -> None:
    options = crawl.make_context("crawl", ["https://example.com/", *words]).params
    assert make_plan(options.pop("seeds"), options).settings.http.http2 is http2
