"""A job arrives as it was sent, whatever its settings."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from airless.core.errors import EngineError
from airless.crawl.job import Job
from airless.crawl.settings import Dedup, Http, Limits, Settings

SETTINGS = replace(
    Settings(),
    limits=Limits(pages=7),
    http=Http(
        headers={"X-A": "b"}, resolve={"a.example": "127.0.0.1"}, handle_statuses=frozenset({404, 410})
    ),
    dedup=Dedup(drop_parameters=("utm_*",)),
)
JOB = Job(
    "weekly",
    "crawlers.site:SiteSpider",
    ("https://a.example/",),
    SETTINGS,
    allowed_domains=("a.example",),
    private_hosts=frozenset({"a.example"}),
)


def test_a_job_survives_its_journey() -> None:
    assert Job.from_json(JOB.to_json()) == JOB


def test_a_job_makes_its_spider_scope_and_layout() -> None:
    spider = JOB.make_spider()
    assert list(spider.start_urls) == ["https://a.example/"]
    assert JOB.scope(spider).allows("https://www.a.example/x")
    assert not JOB.scope(spider).allows("https://b.example/")
    assert JOB.layout.topic == "frontier/weekly"


def test_a_setting_that_this_version_does_not_know_is_named() -> None:
    doc = orjson.loads(JOB.to_json())
    doc["settings"]["pace"]["warp"] = 9
    with pytest.raises(EngineError, match="'warp'"):
        Job.from_json(orjson.dumps(doc))


@pytest.mark.parametrize("data", [b"", b"[]", b'{"name": "x", "settings": 3}', b'{"name": "x"}'])
def test_what_is_no_job_is_told(data: bytes) -> None:
    with pytest.raises(EngineError, match="another version"):
        Job.from_json(data)
