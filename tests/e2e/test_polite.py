"""What a host asks for, and what the user says of the pace, holds as the server itself sees it."""

from __future__ import annotations

import time
from itertools import accumulate
from pathlib import Path

import pytest
from aiohttp import web
from support.command import Folder
from support.web import Web, linking, star


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("per_host", [1, 2, 5])
def test_no_more_requests_than_allowed_are_under_way_on_a_host(
    folder: Folder, per_host: int, processes: int
) -> None:
    with Web(star(24), delay_s=0.05) as web_:
        folder.crawl(web_.url(), "--per-host", per_host, "--processes", processes)
        together = [asked.together for asked in web_.requests()]
    assert len(together) == 25
    assert max(together) <= per_host
    if processes == 1:
        assert max(together) == per_host


def test_a_host_is_asked_no_more_at_once_after_a_resume_with_other_processes(folder: Folder) -> None:
    with Web(star(40), delay_s=0.05) as web_:
        words = [web_.url(), "--job", "divided", "--per-host", 4]
        folder.crawl(*words, "--processes", 3, "--max-pages", 3)
        folder.crawl(*words, "--processes", 2)
        together = [asked.together for asked in web_.requests()]
    assert len(together) == 41
    assert max(together) <= 4


def test_no_more_requests_than_allowed_are_under_way_in_all(folder: Folder) -> None:
    with Web(star(12), delay_s=0.05) as first, Web(star(12), delay_s=0.05) as second:
        folder.crawl(first.url(), second.url(), "--concurrency", 3, "--ignore-robots")
        spans = [
            (asked.began_s, asked.began_s + 0.05) for site in (first, second) for asked in site.requests()
        ]
    most = max(sum(began <= at < ended for began, ended in spans) for at, _ in spans)
    assert most <= 3


@pytest.mark.parametrize("processes", [1, 2])
def test_requests_to_a_host_are_a_delay_apart(folder: Folder, processes: int) -> None:
    with Web(star(6)) as web_:
        folder.crawl(web_.url(), "--delay", 0.4, "--processes", processes)
        gaps = web_.gaps_s()
    # The delay is spread by half of itself; the machine may be late with a request, but never early.
    assert len(gaps) == 6
    assert min(gaps) >= 0.4 * 0.5 - 0.05
    assert sum(gaps) >= 6 * 0.4 * 0.5


def test_a_crawl_delay_of_the_host_is_kept(folder: Folder) -> None:
    with Web({"/robots.txt": b"User-agent: *\nCrawl-delay: 0.5\n", **star(4)}) as web_:
        folder.crawl(web_.url())
        gaps = web_.gaps_s()
    assert len(gaps) == 4
    # From the first one on: behind a request that the machine was late with, the next one comes sooner.
    assert all(at >= 0.5 * number - 0.05 for number, at in enumerate(accumulate(gaps), 1))


def test_a_host_that_asks_for_a_pause_gets_it_and_no_page_is_lost(folder: Folder) -> None:
    times: list[float] = []

    def busy(request: web.Request) -> web.Response:
        times.append(time.monotonic())
        if len(times) == 1:
            return web.Response(status=429, headers={"Retry-After": "2"})
        return web.Response(text="fine", content_type="text/html")

    with Web({"/": linking("/busy", "/a"), "/busy": busy, "/a": linking()}) as web_:
        folder.crawl(web_.url(), "-o", "pages.jsonl", "--per-host", 1)
        after = [asked.began_s for asked in web_.requests() if asked.began_s > times[0] + 0.01]
    assert folder.paths() == ["/", "/a", "/busy"]
    assert folder.stats()["retries"] == 1
    assert after
    assert min(after) - times[0] >= 1.9


def test_a_slow_host_holds_up_no_other(folder: Folder) -> None:
    with Web(star(10), delay_s=0.3) as slow, Web(star(30)) as quick:
        folder.crawl(slow.url(), quick.url(), "--per-host", 1)
        last_quick = max(asked.began_s for asked in quick.requests())
        last_slow = max(asked.began_s for asked in slow.requests())
    assert last_quick < last_slow


def test_robots_are_asked_for_before_anything_else_and_once(folder: Folder) -> None:
    with Web({"/robots.txt": b"", **star(20)}) as web_:
        folder.crawl(web_.url())
        paths = [asked.path for asked in web_.requests(robots=True)]
    assert paths[0] == "/robots.txt"
    assert paths.count("/robots.txt") == 1
