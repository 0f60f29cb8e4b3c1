"""The benchmarks ask what they say they ask, and a contender that cheats is found out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from airless import Response
from benchmarks import backlog, brokers
from benchmarks.__main__ import NAMES
from benchmarks.backlog import pages
from benchmarks.crawl import peers
from benchmarks.crawl.field import AIRLESS, CONTENDERS, PROGRAMS
from benchmarks.crawl.pages import Site
from benchmarks.crawl.run import judged, row
from benchmarks.crawl.store import Bound, bind, lay_out
from benchmarks.crawl.verdict import verify
from benchmarks.engine import APART, CASES, once
from benchmarks.publish import ENGINES, WAYS, Way, seconds
from tests.support.brokers import BROKERS

ROOT = Path(__file__).resolve().parents[1]
SITE = Site(50, 8080)
EXPECTED = SITE.expected()


def lines(items: dict[str, str]) -> list[str]:
    return [json.dumps({"url": url, "title": title}) for url, title in items.items()]


def output(folder: Path, found: list[str]) -> Path:
    file = folder / "out.jsonl"
    file.write_text("".join(f"{line}\n" for line in found), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bind(SITE, tmp_path_factory.mktemp("site"))


def test_the_help_has_every_benchmark_and_its_question() -> None:
    command = [sys.executable, "-m", "benchmarks", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    said = done.stdout.split()
    assert set(NAMES) <= set(said)
    assert done.stdout.count("?") == len(NAMES)


def test_every_page_is_reached_by_links_and_nothing_else_is(bound: Path) -> None:
    found: dict[str, str | None] = {}
    todo = list(SITE.seeds)
    with Bound(bound) as pages:
        while todo:
            url = todo.pop()
            body = pages.get(url)
            if url in found or not url.startswith(tuple(SITE.origin(page) for page in range(4))):
                continue
            assert body is not None, url
            response = Response.from_bytes(url, body)
            found[url] = response.title
            for link in response.links():
                path, mark, query = link.url.partition("?")
                todo.append(path + mark + "&".join(sorted(query.split("&"))))
    assert found == EXPECTED


def test_a_site_is_the_same_bytes_in_files_and_in_one(tmp_path: Path, bound: Path) -> None:
    lay_out(SITE, tmp_path, gzipped=True)
    files = sorted(file for file in tmp_path.rglob("*.html*") if file.suffix != ".gz")
    assert len(files) == SITE.pages
    with Bound(bound) as pages:
        bodies = sorted(body for url in EXPECTED if (body := pages.get(url)) is not None)
        assert sorted(file.read_bytes() for file in files) == bodies
        assert pages.get(f"{SITE.origin(0)}/bait/head-0.html") is None
    assert len(list(tmp_path.rglob("*.gz"))) == SITE.pages


def test_a_site_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    lay_out(SITE, tmp_path)
    file = next(tmp_path.rglob("*.html"))
    file.write_text("mine")
    lay_out(SITE, tmp_path)
    assert file.read_text() == "mine"
    lay_out(Site(51, SITE.port), tmp_path)
    assert file.read_text() != "mine"


def test_a_whole_output_is_right_however_addresses_and_titles_are_written(tmp_path: Path) -> None:
    otherwise = {}
    for url, title in EXPECTED.items():
        path, mark, query = url.replace(".site.test", ".SITE.test").partition("?")
        otherwise[path + mark + "&".join(reversed(query.split("&")))] = f"\n  {title.replace(' ', '  ')} "
    assert otherwise.keys() != EXPECTED.keys()
    assert verify(output(tmp_path, lines(otherwise)), EXPECTED).right


def test_a_page_that_is_missing_is_found_out(tmp_path: Path) -> None:
    verdict = verify(output(tmp_path, lines(EXPECTED)[:-1]), EXPECTED)
    assert (verdict.right, verdict.missing, verdict.pages) == (False, 1, 49)
    assert verdict.example == f"missing: {list(EXPECTED)[-1]}"


def test_a_page_that_does_not_belong_is_found_out(tmp_path: Path) -> None:
    bait = f"{SITE.origin(0)}/bait/head-0.html"
    verdict = verify(output(tmp_path, [*lines(EXPECTED), *lines({bait: "bait"})]), EXPECTED)
    assert (verdict.right, verdict.extra, verdict.example) == (False, 1, f"extra: {bait}")


def test_a_page_that_comes_twice_is_found_out(tmp_path: Path) -> None:
    verdict = verify(output(tmp_path, [*lines(EXPECTED), lines(EXPECTED)[7]]), EXPECTED)
    assert (verdict.right, verdict.repeated, verdict.pages) == (False, 1, 50)


@pytest.mark.parametrize("title", ["An icon's title", None])
def test_a_wrong_title_is_found_out(tmp_path: Path, title: Any) -> None:
    url = SITE.url(9)
    verdict = verify(output(tmp_path, lines(EXPECTED | {url: title})), EXPECTED)
    assert (verdict.right, verdict.wrong_titles, verdict.example) == (False, 1, f"wrong title: {url}")


def test_no_output_is_wrong(tmp_path: Path) -> None:
    assert judged(tmp_path / "nothing", EXPECTED) == {"pages": 0, "right": False, "fault": "no output"}


def test_one_wrong_run_makes_a_contender_wrong() -> None:
    run = {"wall_s": 2.0, "cpu_s": 1.0, "pages": 50, "pages_per_s": 25.0, "peak_rss_mb": 30.0}
    run |= {"requests": 50, "load": 0.1, "right": True}
    assert row("fine", [run, run, run])["right"]
    assert not row("wrong", [run, run | {"right": False}, run])["right"]
    assert row("fine", [run])["cpu_us_a_page"] == 20_000


def test_who_is_not_installed_is_named_with_what_is_missing(tmp_path: Path) -> None:
    asked = [CONTENDERS[AIRLESS], CONTENDERS["aiohttp_loop"]]
    nowhere = peers.missing(asked, tmp_path / "python")
    assert nowhere == {"aiohttp_loop": "aiohttp, selectolax, orjson, uvloop"}
    assert "aiohttp" not in peers.missing(asked, Path(sys.executable)).get("aiohttp_loop", "")


def test_every_contender_has_its_program() -> None:
    for name, contender in CONTENDERS.items():
        program = PROGRAMS / ("go/crawl.go" if contender.sources else f"{name}.py")
        assert contender.ours or program.is_file()
        assert (PROGRAMS / contender.spider.partition(":")[0]).exists()


@pytest.mark.parametrize(("engine", "processes"), CASES)
def test_the_crawl_without_a_network_fetches_every_page(bound: Path, engine: str, processes: int) -> None:
    took = once(engine, processes, SITE, bound)
    crawls = processes if engine == APART else 1
    assert took.pages == crawls * SITE.pages
    assert took.wall_s > 0
    assert took.cpu_s > 0


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("way", WAYS, ids=str)
async def test_however_messages_are_published_all_of_them_are_there(engine: str, way: Way) -> None:
    assert await seconds(engine, way, 130) > 0


@pytest.mark.parametrize("engine", brokers.ENGINES)
@pytest.mark.parametrize("way", brokers.WAYS, ids=str)
async def test_what_a_queue_is_given_it_gives_back(engine: str, way: brokers.Way) -> None:
    with brokers.url_of(engine) as url:
        publish_s, consume_s = await brokers.once(url, way, 230)
    assert publish_s > 0
    assert consume_s > 0


def test_the_site_behind_the_backlog_has_every_page_of_every_host() -> None:
    urls = [pages.url(page, 300, 80) for page in range(900)]
    assert len(set(urls)) == 900
    assert len({url.partition("/section")[0] for url in urls}) == 300
    with pages.served(0.01) as port:
        for page in (0, 299, 899):
            with urlopen(pages.url(page, 300, port)) as answer:  # noqa: S310 - it is http
                body = answer.read().decode()
            assert f"<title>Page {page // 300}</title>" in body
            assert set(re.findall(r"page-(\d+)", body)) == {str(number) for number in range(page // 300)}


@pytest.mark.parametrize("name", BROKERS)
def test_a_backlog_stands_while_workers_work_on_it(name: str, tmp_path: Path) -> None:
    # So slowly that some of them still wait in the end, however fast the machine is.
    with pages.served(1.0) as port:
        row = backlog.once(name, backlog.Size(8_000, 50, 5.0), port, tmp_path)
    assert row["requests"] == 8_000
    assert 0 < row["waiting"] < 8_000
    assert len(row["all_worker_peaks_mib"]) == backlog.PROCESSES
    assert 10 < row["worker_peak_mib"] < backlog.MOST_MIB
    assert row["publisher_peak_mib"] > 10
    assert row["broker_peak_mib"] > 1


def test_a_worker_that_needs_too_much_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "MOST_MIB", 20)
    with (
        pages.served(0.2) as port,
        pytest.raises(RuntimeError, match=r"a worker needed \d+ MiB, more than 20"),
    ):
        backlog.once("redis", backlog.Size(3_000, 50, 30.0), port, tmp_path)
