"""Which fetcher the settings ask for."""

from __future__ import annotations

import importlib.util

from airless.core.errors import ConfigError
from airless.crawl.fetch import Fetcher
from airless.crawl.http.fast import FastFetcher
from airless.crawl.http.fetching import Fetching


def choose_fetcher(fetching: Fetching) -> Fetcher:
    """The fetcher for these settings. Raises ConfigError where what they need isn't installed."""
    if not fetching.http.http2:
        return FastFetcher(fetching)
    if importlib.util.find_spec("h2") is None:
        raise ConfigError("http2 needs h2: pip install 'airless[http2]'")
    # Not imported before it is asked for: it is an extra.
    from airless.crawl.http.http2 import Http2Fetcher

    return Http2Fetcher(fetching)
