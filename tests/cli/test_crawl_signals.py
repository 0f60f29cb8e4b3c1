"""A crawl that is stopped, or whose output fails, loses nothing: it says how to go on, and so it does."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from aiohttp import web
from support.command import Folder
from support.site import Site
from support.web import Web, star

PAGES = 150

START = """
class Many(Spider):
    async def start(self):
        for number in range(1200):
            yield Request(f"{ORIGIN}/n?{number}")

    def parse(self, response):
        return {"url": response.url}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def interrupt(process: subprocess.Popen[str], number: int = signal.SIGINT) -> None:
    """What a terminal does on Ctrl-C: the whole group hears it."""
    os.killpg(process.pid, number)


def until_some(site: Site, asked: int = 20) -> None:
    end = time.monotonic() + 30
    while sum(site.asked.values()) < asked:
        assert time.monotonic() < end, "the crawl doesn't get going"
        time.sleep(0.01)


def until_open(folder: Folder) -> None:
    """From when on a signal is the command's to answer, its imports being done."""
    end = time.monotonic() + 30
    while not list(folder.path.glob(".airless/*.db.consumers/*.lock")):
        assert time.monotonic() < end, "the crawl doesn't begin"
        time.sleep(0.002)


def all_paths(pages: int = PAGES) -> list[str]:
    return sorted(f"/p/{number}.html" for number in range(pages))


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_what_is_under_way_end_and_the_told_command_goes_on(
    folder: Folder, number: int, processes: int
) -> None:
    with Site(PAGES, delay_s=0.05) as site:
        words = [site.url, "-o", "pages.jsonl", "--job", "stopped", "--processes", processes]
        with folder.crawling(*words) as process:
            until_some(site)
            interrupt(process, number)
            _, told = process.communicate(timeout=20)
            assert process.returncode == 130, told
        assert "Traceback" not in told
        assert "Finishing what is under way; Ctrl-C again stops at once." in told
        stats = folder.stats()
        assert stats["status"] == "interrupted"
        assert 0 < stats["fetched"] < PAGES
        assert len(folder.items()) == stats["items"] == stats["fetched"]
        # What was under way was awaited, so nothing is asked for twice.
        asked = Counter(site.asked)
        assert asked.total() == stats["fetched"]
        go_on = shlex.split(told.split("Go on with:\n")[1].strip())
        assert go_on[:2] == ["airless", "crawl"]
        done = folder.crawl(*go_on[2:])
        assert "Going on with a crawl that was interrupted" in done.err
        assert folder.paths() == all_paths()
        assert set(site.asked.values()) == {1}
    assert folder.stats()["status"] == "finished"


@pytest.mark.parametrize("processes", [1, 2])
def test_a_second_signal_stops_at_once_and_nothing_is_lost(folder: Folder, processes: int) -> None:
    site = star(40)

    def centre(_: web.Request) -> web.Response:
        # All that comes after it is slow; said from outside, some might have been answered by then.
        web_.delay_s = 30.0
        return web.Response(text=str(site["/"]), content_type="text/html")

    with Web({**site, "/": centre}) as web_:
        words = [web_.url(), "-o", "pages.jsonl", "--processes", processes]
        with folder.crawling(*words) as process:
            web_.wait_for(3)
            interrupt(process)
            time.sleep(0.5)
            assert process.poll() is None, "one signal awaits what is under way"
            interrupt(process)
            _, told = process.communicate(timeout=10)
            assert process.returncode == 130, told
        assert "Traceback" not in told
        assert "Stopped at once. Go on with:" in told
        web_.delay_s = 0.0
        web_.pages.update(site)
        folder.crawl(*words)
    assert folder.paths() == sorted(["/", *(f"/{n}" for n in range(40))])
    assert folder.stats()["fetched"] == 41


@pytest.mark.parametrize("after_s", [0.1, 0.4, 0.7])
def test_a_signal_while_the_processes_start_is_no_traceback(folder: Folder, after_s: float) -> None:
    with Site(PAGES, delay_s=0.05) as site:
        words = [site.url, "-o", "pages.jsonl", "--processes", 2]
        with folder.crawling(*words) as process:
            until_open(folder)
            time.sleep(after_s)
            interrupt(process)
            _, told = process.communicate(timeout=20)
            assert process.returncode == 130, told
        assert "Traceback" not in told
        assert "died" not in told
        folder.crawl(*words)
    assert folder.paths() == all_paths()


def test_a_parquet_file_holds_each_item_once_after_a_signal_and_the_rest(folder: Folder) -> None:
    with Site(PAGES, delay_s=0.05) as site:
        words = [site.url, "-o", "pages.parquet"]
        with folder.crawling(*words) as process:
            until_some(site)
            interrupt(process)
            process.communicate(timeout=20)
        assert 0 < pq.read_table(folder.path / "pages.parquet").num_rows < PAGES
        folder.crawl(*words)
        urls = pq.read_table(folder.path / "pages.parquet")["url"].to_pylist()
        assert sorted(urls) == sorted(site.urls())


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.2])
def test_start_requests_are_published_once_however_they_are_interrupted(
    folder: Folder, seconds: float
) -> None:
    with Web({"/n": "a page"}, delay_s=0.1) as web_:
        source = START.replace("{ORIGIN}", web_.url("").rstrip("/"))
        words = ["-s", folder.spider(source), "-o", "pages.jsonl", "--job", "many", "--allow-private"]
        words += ["--ignore-robots", "--per-host", "64"]
        for _ in range(3):
            with folder.crawling(*words) as process:
                until_open(folder)
                time.sleep(seconds)
                interrupt(process)
                _, told = process.communicate(timeout=20)
                assert process.returncode in {0, 130}, told
                assert "Traceback" not in told
        folder.crawl(*words)
        assert set(Counter(web_.paths()).values()) == {1}
    assert folder.paths() == sorted(f"/n?{number}" for number in range(1200))
    stats = folder.stats()
    assert stats["seeds"] == stats["seeds_fetched"] == stats["discovered"] == 1200


# Outputs that fail.


def test_an_output_that_is_removed_stops_the_crawl_and_nothing_is_lost(folder: Folder) -> None:
    with Site(PAGES, delay_s=0.1) as site:
        words = [site.url, "-o", "out/pages.jsonl", "--job", "removed"]
        output = folder.path / "out" / "pages.jsonl"
        with folder.crawling(*words) as process:
            sizes: set[int] = set()
            while len(sizes) < 2:  # a second write says that the first is on record
                time.sleep(0.01)
                sizes |= {output.stat().st_size} - {0} if output.exists() else set()
            output.rename(folder.path / "aside.jsonl")
            (folder.path / "out").rmdir()
            _, told = process.communicate(timeout=20)
            assert process.returncode == 130, told
        assert "Traceback" not in told
        assert re.search(r"Error: can't (go on with|write items to) out/pages\.jsonl", told)
        assert "nothing is lost" in told
        assert "airless crawl" in told
        assert not (folder.path / "stats.json").exists()
        done = folder.crawl(*words, expect=130)
        assert "it is gone" in done.err
        output.parent.mkdir(exist_ok=True)
        (folder.path / "aside.jsonl").rename(output)
        folder.crawl(*words)
    assert folder.paths("out/pages.jsonl") == all_paths()
    assert folder.stats()["fetched"] == PAGES


@pytest.mark.parametrize("processes", [1, 2])
def test_a_full_standard_output_stops_the_crawl_and_nothing_is_lost(folder: Folder, processes: int) -> None:
    with Site(PAGES) as site:
        words = [site.url, "-o", "-", "--job", "full", "--processes", processes]
        with Path("/dev/full").open("wb") as full, folder.crawling(*words, stdout=full) as process:
            _, told = process.communicate(timeout=20)
            assert process.returncode == 130, told
        assert "Traceback" not in told
        assert "No space left on device" in told
        assert "nothing is lost" in told
        done = folder.crawl(*words)
    urls = [line.split('"')[3] for line in done.out.splitlines()]
    assert set(urls) == site.urls()


def test_a_reader_that_goes_away_ends_the_crawl_without_a_traceback(folder: Folder) -> None:
    # Slow enough that there is more to deliver after the first items.
    with Site(PAGES, delay_s=0.05) as site:
        words = [site.url, "-o", "-", "--job", "piped"]
        with folder.crawling(*words) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            first = process.stdout.readline()
            process.stdout.close()
            told = process.stderr.read()
            assert process.wait(timeout=20) == 130
            process.stdout = None
        assert site.url in first
        assert "Traceback" not in told
        assert "Exception ignored" not in told
        assert "Broken pipe" in told
        done = folder.crawl(*words)
        urls = {line.split('"')[3] for line in (first + done.out).splitlines()}
    assert urls <= site.urls()
    assert folder.stats()["items"] == PAGES


def test_an_output_without_permission_is_told_before_anything_is_fetched(folder: Folder) -> None:
    if os.geteuid() == 0:
        target = "/proc/sys/pages.jsonl"
    else:
        (folder.path / "locked").mkdir(mode=0o500)
        target = "locked/pages.jsonl"
    with Site(PAGES) as site:
        done = folder.crawl(site.url, "-o", target, expect=130)
        assert "can't write items to" in done.err
        assert not site.asked
