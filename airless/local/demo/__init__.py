"""A bookshop on loopback to try a crawl on, and the spider that reads it; none of it needs the internet."""

from __future__ import annotations

from airless.local.demo.serving import served
from airless.local.demo.shop import Page, Shop
from airless.local.demo.spider import Bookshop

__all__ = ["Bookshop", "Page", "Shop", "served"]
