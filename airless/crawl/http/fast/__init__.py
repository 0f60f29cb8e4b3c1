"""The fetcher for the common case: HTTP/1.1 over kept connections, with as little work a page as there can be."""

from airless.crawl.http.fast.client import FastFetcher

__all__ = ["FastFetcher"]
