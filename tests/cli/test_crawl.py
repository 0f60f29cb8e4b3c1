"""Each option of ``airless crawl`` does what it says, and the exit code says how it ended."""

from __future__ import annotations

import csv
import gzip
import io
import logging
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from aiohttp import web
from click.testing import CliRunner, Result
from support.command import Folder
from support.site import Site, links_of
from support.web import Web, chain, linking, star

from airless.cli import cli

LINKS = """
class Links(Spider):
    async def parse(self, response):
        yield {"url": response.url, "spider": "links"}
        yield response.follow_all()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site(120) as site:
        yield site


def misused(folder: Folder, *words: str) -> Result:
    """What the command says, in this process, to words that it can't use."""
    handlers = logging.root.handlers[:]
    known = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.path)
        patch.setattr(sys, "path", sys.path[:])
        done = CliRunner().invoke(cli, ["crawl", *words])
    logging.root.handlers[:] = handlers
    for name in set(sys.modules) - known:
        if str(folder.path) in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]
    assert done.exit_code == 2, (done.stderr, done.exception)
    return done


def depths(pages: int) -> dict[int, int]:
    """Each page's depth, by a breadth-first search of the generated site."""
    found = {0: 0}
    todo = deque([0])
    while todo:
        page = todo.popleft()
        for target in links_of(page, pages):
            if target not in found:
                found[target] = found[page] + 1
                todo.append(target)
    return found


# Where to stop.


@pytest.mark.parametrize(("depth", "processes"), [(0, 1), (1, 1), (2, 1), (2, 2)])
def test_the_depth_limit_gives_exactly_what_a_breadth_first_search_gives(
    folder: Folder, site: Site, depth: int, processes: int
) -> None:
    folder.crawl(site.url, "-o", "pages.jsonl", "--max-depth", depth, "--processes", processes)
    near = {number: its for number, its in depths(site.pages).items() if its <= depth}
    assert folder.paths() == sorted(f"/p/{number}.html" for number in near)
    assert {item["depth"] for item in folder.items()} == set(range(depth + 1))
    beyond = {target for number in near for target in links_of(number, site.pages)} - near.keys()
    assert folder.stats()["skipped"] == ({"depth": len(beyond)} if beyond else {})


@pytest.mark.parametrize("processes", [1, 2])
def test_the_page_limit_is_exact_and_a_higher_one_goes_on_to_exactly_the_rest(
    folder: Folder, site: Site, processes: int
) -> None:
    command = [site.url, "-o", "pages.jsonl", "--job", "some", "--processes", processes]
    done = folder.crawl(*command, "--max-pages", 37)
    assert len(folder.items()) == 37
    assert folder.stats()["fetched"] == 37
    assert folder.stats()["status"] == "limited"
    assert folder.stats()["waiting"] > 0
    assert "Ended at the page limit; the same command with a higher one goes on." in done.err
    again = folder.crawl(*command, "--max-pages", 37)
    assert "The job some is at the page limit already: 37 pages." in again.err
    folder.crawl(*command, "--max-pages", 50)
    assert len(folder.paths()) == len(set(folder.paths())) == 50
    assert folder.stats()["run_fetched"] == 13
    folder.crawl(*command)
    assert folder.paths() == sorted(f"/p/{number}.html" for number in range(site.pages))
    assert folder.stats()["status"] == "finished"
    assert folder.stats()["waiting"] == 0


def test_a_page_limit_that_is_never_reached_ends_as_finished(folder: Folder, site: Site) -> None:
    folder.crawl(site.url, "--max-pages", site.pages)
    assert folder.stats()["status"] == "finished"
    assert folder.stats()["fetched"] == site.pages


def test_only_pages_count_for_the_page_limit(folder: Folder) -> None:
    pages = {"/": linking("/a", "/b", "/c", "/d"), "/a": 404, "/b": 404, "/c": linking(), "/d": linking()}
    with Web(pages) as web_:
        folder.crawl(web_.url(), "-o", "pages.jsonl", "--max-pages", 3)
    assert folder.paths() == ["/", "/c", "/d"]


def test_the_time_limit_ends_the_crawl_and_the_same_command_goes_on(folder: Folder) -> None:
    with Site(60, delay_s=0.1) as site:
        command = [site.url, "-o", "pages.jsonl", "--job", "timed", "--per-host", 2]
        done = folder.crawl(*command, "--max-time", 0.7)
        assert "Ended at the time limit" in done.err
        first = folder.stats()
        assert first["status"] == "limited"
        assert first["reason"] == "max_time"
        assert 0 < first["fetched"] < 60
        assert first["run_seconds"] >= 0.7
        folder.crawl(*command, "--per-host", 60)
        assert folder.paths() == sorted(f"/p/{number}.html" for number in range(60))
        assert max(number for path, number in site.asked.items() if path != "/robots.txt") == 1
    assert folder.stats()["seconds"] > first["seconds"]


# Where to go.


def test_the_seeds_hosts_and_what_is_below_them_are_crawled_on_any_port(folder: Folder) -> None:
    with Web() as other, Web() as web_:
        port, elsewhere = web_.port, other.port
        pages = {
            "/": linking(
                f"http://www.shop.test:{port}/below",
                f"http://shop.test:{elsewhere}/port",
                f"http://other.test:{port}/other",
                f"http://noshop.test:{port}/suffix",
            ),
            **dict.fromkeys(("/below", "/port", "/other", "/suffix"), linking()),
        }
        web_.pages, other.pages = pages, pages
        names = ("shop.test", "www.shop.test", "other.test", "noshop.test")
        pins = [word for name in names for word in ("--resolve", f"{name}=127.0.0.1")]
        command = [web_.url("/", "shop.test"), "-o", "pages.jsonl", "--allow-private", *pins]
        folder.crawl(*command)
        assert folder.paths() == ["/", "/below", "/port"]
        assert folder.stats()["skipped"] == {"offsite": 2}
        folder.crawl(*command, "--allow-domain", "shop.test", "--allow-domain", "other.test")
        assert folder.paths() == ["/", "/below", "/other", "/port"]
        folder.crawl(*command, "--allow-domain", "*")
        assert folder.paths() == ["/", "/below", "/other", "/port", "/suffix"]


def test_a_private_address_is_refused_unless_a_seed_names_it_or_it_is_allowed(folder: Folder) -> None:
    with Web({"/hidden": linking()}) as hidden, Web() as web_:
        web_.pages = {"/": linking(hidden.url("/hidden", "inside.test")), "/own": linking()}
        command = [
            web_.url(),
            "-o",
            "pages.jsonl",
            "--allow-domain",
            "*",
            "--resolve",
            "inside.test=127.0.0.1",
        ]
        folder.crawl(*command, "--ignore-robots")
        assert folder.paths() == ["/"]
        assert folder.stats()["failures"] == {"address": 1}
        assert not hidden.asked
        folder.crawl(*command, "--ignore-robots", "--allow-private")
        assert folder.paths() == ["/", "/hidden"]


def test_robots_files_are_obeyed_unless_they_are_ignored(folder: Folder) -> None:
    rules = b"User-agent: airless\nDisallow: /private\n\nUser-agent: *\nDisallow: /\n"
    pages = {
        "/robots.txt": rules,
        "/": linking("/private", "/open"),
        "/private": linking(),
        "/open": linking(),
    }
    with Web(pages) as web_:
        folder.crawl(web_.url(), "-o", "pages.jsonl")
        assert folder.paths() == ["/", "/open"]
        assert folder.stats()["skipped"] == {"robots": 1}
        asked = len(web_.asked)
        folder.crawl(web_.url(), "-o", "pages.jsonl", "--ignore-robots")
        assert folder.paths() == ["/", "/open", "/private"]
        assert "/robots.txt" not in {asked.path for asked in web_.asked[asked:]}


def test_the_user_agent_is_sent_and_robots_go_by_it(folder: Folder) -> None:
    rules = b"User-agent: surveyor\nDisallow: /a\n\nUser-agent: *\nDisallow: /\n"
    with Web({"/robots.txt": rules, "/": linking("/a", "/b"), "/a": linking(), "/b": linking()}) as web_:
        folder.crawl(web_.url(), "-o", "pages.jsonl", "--user-agent", "Surveyor/2 (+https://example.com)")
        assert {asked.headers["user-agent"] for asked in web_.asked} == {"Surveyor/2 (+https://example.com)"}
    assert folder.paths() == ["/", "/b"]


def test_a_name_can_be_pinned_to_an_address(folder: Folder) -> None:
    with Web({"/": linking()}) as web_:
        pin = ["--resolve", "shop.test=127.0.0.1", "--allow-private"]
        folder.crawl(web_.url("/", "shop.test"), "-o", "pages.jsonl", *pin)
        assert web_.requests()[0].headers["host"] == f"shop.test:{web_.port}"
    assert folder.items()[0]["url"] == web_.url("/", "shop.test")


@pytest.mark.parametrize("pin", ["shop.test", "=127.0.0.1", "shop.test=", "shop.test=elsewhere.test"])
def test_a_pin_that_is_none_is_wrong_usage(folder: Folder, pin: str) -> None:
    done = misused(folder, "http://shop.test/", "--resolve", pin)
    assert "resolve" in done.stderr


# How a page is fetched.


def test_a_page_that_takes_longer_than_the_timeout_fails(folder: Folder) -> None:
    spider = folder.spider(LINKS + "    settings = Settings(retry=Retry(max_attempts=1))\n")
    with Web({"/": linking()}, delay_s=5) as web_:
        folder.crawl("-s", spider, web_.url(), "--timeout", 0.3, expect=1)
    assert folder.stats()["failures"] == {"timeout": 1}


def test_a_page_over_the_size_limit_fails_by_its_decompressed_bytes(folder: Folder) -> None:
    def packed(request: web.Request) -> web.Response:
        headers = {"Content-Encoding": "gzip", "Content-Type": "text/html"}
        return web.Response(body=gzip.compress(b"x" * 50_000), headers=headers)

    with Web({"/": linking("/large", "/packed"), "/large": "y" * 20_001, "/packed": packed}) as web_:
        folder.crawl(web_.url(), "-o", "pages.jsonl", "--max-bytes", 20_000)
        assert folder.paths() == ["/"]
        assert folder.stats()["failures"] == {"too_large": 2}
        folder.crawl(web_.url(), "-o", "pages.jsonl", "--max-bytes", 50_000)
    assert folder.paths() == ["/", "/large", "/packed"]


# Spiders.


def test_a_spider_is_named_by_its_file_or_by_file_and_class(folder: Folder) -> None:
    name = folder.spider(LINKS + "\nclass Other(Links):\n    async def parse(self, r): yield {'other': 1}\n")
    with Web({"/": linking("/a"), "/a": linking()}) as web_:
        folder.crawl("-s", f"{name}:Links", web_.url(), "-o", "pages.jsonl")
        assert folder.paths() == ["/", "/a"]
        folder.crawl("-s", "spider:Other", web_.url(), "-o", "other.jsonl")
        assert folder.items("other.jsonl") == [{"other": 1}]
        alone = folder.spider(LINKS, "alone.py")
        folder.crawl("-s", alone, web_.url(), "-o", "alone.jsonl", "--processes", 2)
        assert folder.paths("alone.jsonl") == ["/", "/a"]


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("nowhere.py", "nowhere.py"),
        ("no_such_module:Spider", "no_such_module"),
        ("spider.py:Lynx", "Lynx"),
        ("spider.py:Path", "Path"),
        ("two.py", "Links"),
        ("broken.py", "ZeroDivisionError"),
        ("", "names no class"),
    ],
)
def test_a_target_that_is_no_spider_is_wrong_usage_and_says_why(
    folder: Folder, target: str, told: str
) -> None:
    folder.spider("from pathlib import Path\n" + LINKS)
    folder.spider(LINKS + "\nclass Second(Links): ...\n", "two.py")
    folder.spider("1 / 0\n", "broken.py")
    done = misused(folder, "-s", target, "http://127.0.0.1:1/")
    assert told in done.stderr
    assert not (folder.path / ".airless").exists()


def test_a_spiders_own_start_and_settings_hold_where_the_command_line_is_silent(folder: Folder) -> None:
    with Web(chain(6)) as web_:
        source = LINKS + f"    start_urls = ['{web_.url('/0')}']\n"
        source += "    settings = Settings(limits=Limits(depth=2), http=Http(user_agent='mine/1'))\n"
        name = folder.spider(source)
        folder.crawl("-s", name, "-o", "pages.jsonl")
        assert folder.paths() == ["/0", "/1", "/2"]
        assert {asked.headers["user-agent"] for asked in web_.asked} == {"mine/1"}
        folder.crawl("-s", name, "-o", "pages.jsonl", "--max-depth", 3)
        assert folder.paths() == ["/0", "/1", "/2", "/3"]
        folder.crawl("-s", name, web_.url("/4"), "-o", "seeded.jsonl")
        assert folder.paths("seeded.jsonl") == ["/4", "/5"]


def test_a_spider_that_starts_nowhere_is_wrong_usage(folder: Folder) -> None:
    done = folder.crawl("-s", folder.spider(LINKS), expect=2)
    assert "start_urls" in done.err


# Exit codes.


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["ftp://example.com/"],
        ["mailto:a@example.com"],
        ["http://"],
        ["http://exa mple.com/"],
        ["http://127.0.0.1:1/", "--max-pages", "0"],
        ["http://127.0.0.1:1/", "--max-depth", "-1"],
        ["http://127.0.0.1:1/", "--max-time", "soon"],
        ["http://127.0.0.1:1/", "--processes", "0"],
        ["http://127.0.0.1:1/", "--job", "../other"],
        ["http://127.0.0.1:1/", "--job", ""],
        ["http://127.0.0.1:1/", "--allow-domain", "a*b.example"],
        ["http://127.0.0.1:1/", "-o", "pages.txt"],
        ["http://127.0.0.1:1/", "-o", "pages"],
        ["http://127.0.0.1:1/", "-o", "."],
        ["http://127.0.0.1:1/", "-o", "file/pages.jsonl"],
        ["http://127.0.0.1:1/", "--stats", "file/stats.json"],
        ["http://127.0.0.1:1/", "--state", "file/state"],
        ["http://127.0.0.1:1/", "--state", "/dev/null"],
    ],
)
def test_wrong_usage_is_told_in_one_line_and_ends_with_2(folder: Folder, words: list[str]) -> None:
    (folder.path / "file").write_text("not a directory")
    done = misused(folder, "--stats", "stats.json", *words)
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert done.stdout == ""
    assert not (folder.path / "stats.json").exists()


def test_wrong_usage_leaves_no_job_to_go_on_with(folder: Folder) -> None:
    with Web({"/": linking()}) as web_:
        folder.crawl(web_.url(), "-o", "pages.txt", expect=2)
        done = folder.crawl(web_.url(), "-o", "pages.jsonl")
    assert "Going on" not in done.err


@pytest.mark.parametrize("processes", [1, 2])
def test_a_crawl_of_which_every_seed_failed_ends_with_1(folder: Folder, processes: int) -> None:
    spider = folder.spider(LINKS + "    settings = Settings(retry=Retry(max_attempts=1))\n")
    with Web() as web_:
        gone = f"http://127.0.0.1:{unused_port()}/"
        command = ["-s", spider, web_.url("/a"), gone, "-o", "pages.jsonl", "--ignore-robots"]
        done = folder.crawl(*command, "--processes", processes, expect=1)
    assert folder.stats()["failures"] == {"connect": 1, "http_404": 1}
    assert "connect 1" in done.err
    assert folder.items() == []


def test_one_seed_that_is_had_is_enough(folder: Folder) -> None:
    with Web({"/here": linking()}) as web_:
        folder.crawl(web_.url("/missing"), web_.url("/here"))
    stats = folder.stats()
    assert (stats["seeds"], stats["seeds_fetched"], stats["failed"]) == (2, 1, 1)


def test_a_seed_that_redirects_is_had_where_it_leads(folder: Folder) -> None:
    def moved(request: web.Request) -> web.Response:
        return web.Response(status=301, headers={"Location": "/new"})

    with Web({"/old": moved, "/new": linking()}) as web_:
        folder.crawl(web_.url("/old"), "-o", "pages.jsonl")
    assert folder.paths() == ["/new"]
    assert folder.stats()["skipped"] == {"redirected": 1}


def test_help_names_every_option_and_the_exit_codes(folder: Folder) -> None:
    told = folder.crawl("--help").out
    for option in (
        *("--spider", "--output", "--max-pages", "--max-depth", "--max-time", "--allow-domain"),
        *("--concurrency", "--per-host", "--delay", "--timeout", "--max-bytes", "--user-agent"),
        *("--ignore-robots", "--sitemap", "--allow-private", "--resolve", "--state", "--job", "--restart"),
        *("--processes", "--stats", "--log-level", "--quiet", "130"),
    ):
        assert option in told


# Outputs.


def test_each_format_holds_each_page_once(folder: Folder, site: Site) -> None:
    expected = sorted(site.urls())
    folder.crawl(site.url, "-o", "deep/er/pages.jsonl", "--job", "a")
    assert sorted(item["url"] for item in folder.items("deep/er/pages.jsonl")) == expected
    folder.crawl(site.url, "-o", "pages.csv", "--job", "b")
    rows = list(csv.DictReader(io.StringIO((folder.path / "pages.csv").read_text())))
    assert sorted(row["url"] for row in rows) == expected
    folder.crawl(site.url, "-o", "pages.parquet", "--job", "c", "--processes", 2)
    assert sorted(pq.read_table(folder.path / "pages.parquet")["url"].to_pylist()) == expected
    done = folder.crawl(site.url, "-o", "-", "--job", "d")
    assert sorted(line.split('"')[3] for line in done.out.splitlines()) == expected
    assert "120 pages" in done.err


def test_a_parquet_file_holds_each_item_once_after_a_limit_and_the_rest(folder: Folder, site: Site) -> None:
    command = [site.url, "-o", "pages.parquet", "--job", "columns"]
    folder.crawl(*command, "--max-pages", 40)
    assert pq.read_table(folder.path / "pages.parquet").num_rows == 40
    folder.crawl(*command)
    urls = pq.read_table(folder.path / "pages.parquet")["url"].to_pylist()
    assert sorted(urls) == sorted(site.urls())
    folder.crawl(*command)
    assert pq.read_table(folder.path / "pages.parquet").num_rows == site.pages


def test_items_that_no_output_was_named_for_are_kept_for_one_that_is(folder: Folder, site: Site) -> None:
    done = folder.crawl(site.url, "--job", "later")
    assert "name a file with -o to have them" in done.err
    asked = sum(site.asked.values())
    done = folder.crawl(site.url, "--job", "later", "-o", "pages.jsonl")
    assert "finished already" in done.err
    assert folder.paths() == sorted(f"/p/{number}.html" for number in range(site.pages))
    assert sum(site.asked.values()) == asked
    assert folder.stats()["items"] == site.pages


# Jobs.


def test_a_finished_job_of_a_name_does_nothing_and_says_so(folder: Folder, site: Site) -> None:
    command = [site.url, "--job", "once", "-o", "pages.jsonl"]
    folder.crawl(*command)
    output = folder.path / "pages.jsonl"
    output.write_text("what the user made of it\n")
    asked = sum(site.asked.values())
    done = folder.crawl(*command)
    assert "The job once is finished already: 120 pages. --restart begins anew." in done.err
    assert output.read_text() == "what the user made of it\n"
    output.unlink()
    folder.crawl(*command)
    assert not output.exists()
    assert sum(site.asked.values()) == asked


def test_restart_begins_a_finished_job_anew(folder: Folder) -> None:
    with Web({"/": linking("/a"), "/a": linking()}) as web_:
        command = [web_.url(), "--job", "again", "-o", "pages.jsonl"]
        folder.crawl(*command)
        web_.pages["/"] = linking("/b")
        web_.pages["/b"] = linking()
        folder.crawl(*command)
        assert folder.paths() == ["/", "/a"]
        folder.crawl(*command, "--restart")
    assert folder.paths() == ["/", "/b"]
    assert folder.stats()["fetched"] == 2


def test_a_crawl_without_a_name_is_resumed_while_unfinished_and_then_begun_anew(folder: Folder) -> None:
    with Web(chain(10)) as web_:
        command = [web_.url("/0"), "-o", "pages.jsonl"]
        folder.crawl(*command, "--max-pages", 4)
        done = folder.crawl(*command)
        assert "Going on with a crawl that was limited" in done.err
        assert len(folder.items()) == 10
        assert len(web_.requests()) == 10
        done = folder.crawl(*command)
        assert "Going on" not in done.err
        assert len(folder.items()) == 10
        assert len(web_.requests()) == 20


def test_seeds_in_another_order_are_the_same_crawl(folder: Folder) -> None:
    with Web(chain(10)) as web_:
        folder.crawl(web_.url("/0"), web_.url("/5"), "-o", "pages.jsonl", "--max-pages", 3)
        folder.crawl(web_.url("/5"), web_.url("/0"), "-o", "pages.jsonl")
        assert len(folder.items()) == len(web_.requests()) == 10


@pytest.mark.parametrize("limit", [[], ["--max-pages", "2"]])
def test_a_job_of_another_spider_or_other_seeds_is_refused(folder: Folder, limit: list[str]) -> None:
    with Web(chain(10)) as web_:
        folder.crawl(web_.url("/0"), "--job", "mine", *limit)
        asked = len(web_.asked)
        done = folder.crawl("-s", folder.spider(LINKS), web_.url("/0"), "--job", "mine", expect=2)
        assert "'mine' belongs to the spider" in done.err
        done = folder.crawl(web_.url("/5"), "--job", "mine", expect=2)
        assert f"'mine' was begun from {web_.url('/0')}" in done.err
        assert "--restart" in done.err
        assert len(web_.asked) == asked


@pytest.mark.parametrize("limit", [[], ["--max-pages", "2"]])
def test_another_output_for_a_job_is_refused_and_the_first_can_go_on(
    folder: Folder, limit: list[str]
) -> None:
    with Web(chain(10)) as web_:
        command = [web_.url("/0"), "--job", "mine"]
        folder.crawl(*command, "-o", "first.jsonl", *limit)
        done = folder.crawl(*command, "-o", "second.jsonl", expect=2)
        assert "this job delivers to first.jsonl" in done.err
        assert "--restart with -o second.jsonl" in done.err
        assert not (folder.path / "second.jsonl").exists()
        folder.crawl(*command, "-o", "first.jsonl")
        assert len(folder.items("first.jsonl")) == 10
        folder.crawl(*command, "-o", "second.jsonl", "--restart")
        assert len(folder.items("second.jsonl")) == 10


@pytest.mark.parametrize("name", ["odd?name", "per%41cent", "with space", "häß#1"])
def test_the_state_directory_may_have_any_name(folder: Folder, name: str) -> None:
    with Web(chain(4)) as web_:
        folder.crawl(web_.url("/0"), "--job", "a", "--state", name, "--max-pages", 2)
        assert (folder.path / name / "a.db").exists()
        folder.crawl(web_.url("/0"), "--job", "a", "--state", name, "-o", "pages.jsonl")
    assert folder.paths() == ["/0", "/1", "/2", "/3"]


def test_a_state_file_that_is_damaged_is_told_and_restart_begins_anew(folder: Folder) -> None:
    with Web(chain(4)) as web_:
        folder.crawl(web_.url("/0"), "--job", "a")
        (folder.path / ".airless" / "a.db").write_bytes(b"no database at all" * 1000)
        for rest in (folder.path / ".airless").glob("a.db-*"):
            rest.unlink()
        done = folder.crawl(web_.url("/0"), "--job", "a", expect=1)
        assert "Error: " in done.err
        assert "a.db is damaged" in done.err
        folder.crawl(web_.url("/0"), "--job", "a", "--restart")


# The accounts.


def test_the_stats_have_all_the_accounts(folder: Folder) -> None:
    pages = {"/": linking("/a", "/gone", "http://elsewhere.test/"), "/a": linking("/")}
    with Web(pages) as web_:
        folder.crawl(web_.url(), "--job", "told", "-o", "pages.jsonl", "--stats", "deep/stats.json")
        (folder.path / "deep" / "stats.json").rename(folder.path / "stats.json")
        first = folder.stats()
        assert first.pop("seconds") > 0
        assert first.pop("run_seconds") > 0
        assert first.pop("pages_per_second") > 0
        size = sum(len(page) for page in pages.values())
        assert first.pop("wire_bytes") >= size
        assert first == {
            "job": "told",
            "status": "finished",
            "reason": "finished",
            "discovered": 4,
            "fetched": 2,
            "failed": 1,
            "failures": {"http_404": 1},
            "skipped": {"offsite": 1},
            "waiting": 0,
            "items": 2,
            "bytes": size,
            "retries": 0,
            "redirects": 0,
            "seeds": 1,
            "seeds_fetched": 1,
            "run_fetched": 2,
            "balanced": True,
            "output": "pages.jsonl",
        }
        folder.crawl(web_.url(), "--job", "told", "-o", "pages.jsonl")
    assert folder.stats()["run_fetched"] == 0
    assert folder.stats()["fetched"] == 2


def test_quiet_is_silent_and_the_log_level_is_heard(folder: Folder) -> None:
    with Web({"/": linking("/gone")}) as web_:
        quiet = folder.crawl(web_.url(), "--quiet")
        assert (quiet.out, quiet.err) == ("", "")
        told = folder.crawl(web_.url(), "--quiet", "--log-level", "info")
        assert f"INFO failed {web_.url('/gone')}: HTTP 404" in told.err
        told = folder.crawl(web_.url(), "--quiet", "--log-level", "INFO", "--processes", 2)
        assert "INFO [process" in told.err
        loud = folder.crawl(web_.url())
    assert "1 pages" in loud.err
    assert loud.out == ""


# Spiders, whole.

SHOP = """
import dataclasses
import pathlib


@dataclasses.dataclass
class Product:
    name: str
    price: float
    tags: list[str]


class Shop(Spider):
    seen = 0

    async def start(self):
        for url in self.start_urls:
            yield Request(url, callback="login")

    def login(self, response):
        yield response.form().submit({"user": "ada", "note": "ä & b"}, callback=self.catalogue)

    async def catalogue(self, response):
        self.seen += 1
        for number, link in enumerate(response.links()):
            yield response.follow(link, callback=self.product, meta={"number": number, "of": ["x", None]})

    def product(self, response):
        self.seen += 1
        if response.url.endswith("/bad"):
            raise RuntimeError("no product at all")
        return [Product(response.url.rsplit("/")[-1], 1.5, ["a"]), {"meta": response.meta}]

    async def closed(self, reason):
        with pathlib.Path("closed.txt").open("a") as file:
            file.write(f"{reason} {self.seen}\\n")
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_callbacks_meta_forms_and_dataclasses_go_through_a_whole_crawl(
    folder: Folder, processes: int
) -> None:
    form = '<form action="/in" method="post"><input name="user"><input name="token" value="t1">'
    form += '<input name="note"></form>'
    with Web({"/": form, "/in": linking("/p/one", "/p/bad"), "/p/one": "1", "/p/bad": "2"}) as web_:
        command = ["-s", folder.spider(SHOP), web_.url(), "-o", "items.jsonl", "--job", "shop"]
        done = folder.crawl(*command, "--processes", processes, expect=None)
        assert done.code == 0
        posts = [asked for asked in web_.asked if asked.method == "POST"]
        folder.crawl(*command)
    assert [post.body for post in posts] == ["user=ada&token=t1&note=%C3%A4+%26+b"]
    assert posts[0].headers["content-type"] == "application/x-www-form-urlencoded"
    assert sorted(map(str, folder.items("items.jsonl"))) == sorted(
        map(str, [{"name": "one", "price": 1.5, "tags": ["a"]}, {"meta": {"number": 0, "of": ["x", None]}}])
    )
    assert folder.stats()["failures"] == {"spider_error": 1}
    assert "the spider failed on" in done.err
    assert "RuntimeError: no product at all" in done.err
    told = (folder.path / "closed.txt").read_text()
    # In one process it is one spider from its start to its end.
    assert told == ("finished 3\n" if processes == 1 else "finished 0\n")


@pytest.mark.parametrize("processes", [1, 2])
def test_a_callback_that_there_is_not_is_told_and_ends_with_2(folder: Folder, processes: int) -> None:
    source = LINKS.replace("response.follow_all()", "response.follow_all(callback='nothing')")
    with Web(star(3)) as web_:
        command = ["-s", folder.spider(source), web_.url(), "--processes", processes]
        done = folder.crawl(*command, expect=2)
    assert "Links has no method 'nothing'" in done.err


def test_a_spider_that_fails_as_it_closes_still_has_its_accounts_told(folder: Folder) -> None:
    source = LINKS + "\n    async def closed(self, reason):\n        raise RuntimeError('no goodbye')\n"
    with Web({"/": linking()}) as web_:
        done = folder.crawl("-s", folder.spider(source), web_.url(), "-o", "pages.jsonl", expect=None)
    assert done.code == 0
    assert "no goodbye" in done.err
    assert folder.stats()["status"] == "finished"


def test_allowed_domains_may_be_one_name(folder: Folder) -> None:
    source = LINKS + "\n    allowed_domains = '127.0.0.1'\n"
    with Web({"/": linking("/a", "http://elsewhere.test/"), "/a": linking()}) as web_:
        folder.crawl("-s", folder.spider(source), web_.url(), "-o", "pages.jsonl")
    assert folder.paths() == ["/", "/a"]


def test_a_start_request_that_is_no_url_is_told(folder: Folder) -> None:
    source = LINKS + "\n    async def start(self):\n        yield Request('nonsense')\n"
    done = folder.crawl("-s", folder.spider(source), expect=2)
    assert "'nonsense' is no URL to start from" in done.err


def unused_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
