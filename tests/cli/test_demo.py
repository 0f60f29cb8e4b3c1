"""The demo needs nothing but this machine: an ordinary crawl of a shop of which every page is known."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from airless.cli import cli
from airless.local.demo import Shop, served
from airless.local.demo.books import CATEGORIES, book
from airless.local.demo.shop import SMALLEST

AIRLESS = [sys.executable, "-m", "airless"]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*AIRLESS, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


def items(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def fetched(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - the shop's own address
        text: str = answer.read().decode()
    return text


def test_the_demo_finds_every_book_once(tmp_path: Path) -> None:
    done = run(tmp_path, "demo", "--pages", "120", "-o", "books.jsonl")
    assert done.returncode == 0, done.stderr
    found = items(tmp_path / "books.jsonl")
    assert sorted(
        (item["title"], item["price"], item["category"], item["rating"], item["upc"]) for item in found
    ) == sorted(
        (each.title, each.price, CATEGORIES[each.category], each.rating, each.upc) for each in Shop(120).books
    )
    assert "failed: http_404 1" in done.stderr
    assert re.search(r"skipped: offsite 1, redirected 1, robots 1", done.stderr)
    assert "waiting 0" in done.stderr


def test_the_demo_says_which_crawl_it_is_and_can_be_had_again(tmp_path: Path) -> None:
    first = run(tmp_path, "demo", "--pages", "50", "-o", "books.csv")
    command = re.search(
        r"^\$ airless crawl (http://127\.0\.0\.1:\d+/) -s airless\.local\.demo:Bookshop -o books\.csv$",
        first.stderr,
        re.MULTILINE,
    )
    assert command, first.stderr
    before = (tmp_path / "books.csv").read_text(encoding="utf-8")
    again = run(tmp_path, "demo", "--pages", "50", "-o", "books.csv")
    assert again.returncode == 0, again.stderr
    after = (tmp_path / "books.csv").read_text(encoding="utf-8")
    assert len(after.splitlines()) == len(before.splitlines()) == len(Shop(50).books) + 1


def test_a_fault_of_the_crawl_is_told_as_the_crawl_tells_it(tmp_path: Path) -> None:
    done = run(tmp_path, "demo", "--pages", "50", "-o", "books.unknown")
    assert done.returncode == 2
    assert "the format '.unknown' is unknown" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_shop_is_not_too_small() -> None:
    assert CliRunner().invoke(cli, ["demo", "--pages", str(SMALLEST - 1)]).exit_code == 2
    assert Shop(1).paths() == Shop(SMALLEST).paths()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_only_leaves_the_crawl_to_others(tmp_path: Path, number: signal.Signals) -> None:
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [*AIRLESS, "demo", "--serve-only", "--pages", "50"]
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True) as shop:
        assert shop.stdout is not None
        url = ""
        while "airless shell" not in (line := shop.stdout.readline()):
            assert line
            if found := re.search(r"airless crawl (\S+) -o pages\.jsonl", line):
                url = found[1]
        done = run(tmp_path, "crawl", url, "-o", "pages.jsonl", "--stats", "stats.json", "-q")
        shop.send_signal(number)
        assert shop.wait(30) == 0
    assert done.returncode == 0, done.stderr
    pages = {str(item["url"]).removeprefix(url.rstrip("/")) for item in items(tmp_path / "pages.jsonl")}
    lists = {path for path in Shop(50).paths() if "/category/" in path}
    by_price = {path for path in pages if "?" in path}
    assert pages - by_price == set(Shop(50).paths())
    # Each category's other order is one page, though it is linked in two spellings.
    assert {path.partition("?")[0] for path in by_price} == lists
    assert len(by_price) == len(lists)
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert stats["failures"] == {"http_404": 1}
    assert stats["balanced"] is True


def test_the_sitemap_names_every_page() -> None:
    shop = Shop(200)
    with served(shop, port=0) as url:
        sitemap = fetched(f"{url}sitemap.xml")
        named = re.findall(r"<loc>(.+?)</loc>", sitemap)
        assert named == [f"{url.rstrip('/')}{path}" for path in shop.paths()]
        robots = fetched(f"{url}robots.txt")
        assert f"Sitemap: {url}sitemap.xml" in robots
        assert "Disallow: /basket" in robots


@pytest.mark.parametrize(
    "path",
    [
        "/out-of-print.html",
        "/catalogue/page-0.html",
        "/catalogue/page-999.html",
        "/catalogue/index.html",
        "/catalogue/category/poetry_0/page-1.html",
        "/catalogue/category/poems_0/index.html",
        "/catalogue/category/poetry_99/index.html",
        "/catalogue/another-title_0/index.html",
        "/catalogue/the-quiet-lighthouse-of-lisbon_999999/index.html",
    ],
)
def test_a_page_has_one_address(path: str) -> None:
    assert Shop(100).page(path, "http://shop").status == 404


def test_the_basket_is_there_for_those_who_may_see_it() -> None:
    assert b"Your basket" in Shop(100).page("/basket", "http://shop").body


def test_about_as_many_pages_as_asked_for() -> None:
    for pages in (100, 1_000, 20_000):
        paths = Shop(pages).paths()
        in_two_orders = sum("/category/" in path for path in paths)
        assert abs(len(paths) + in_two_orders - pages) <= 0.1 * pages


def test_no_two_books_are_alike() -> None:
    books = [book(number) for number in range(30_000)]
    for name in ("title", "slug", "upc"):
        assert len({getattr(each, name) for each in books}) == len(books)
    assert {each.category for each in books[:200]} == set(range(len(CATEGORIES)))


def test_a_taken_port_is_no_trouble() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with served(Shop(50), port=port) as url:
            assert url != f"http://127.0.0.1:{port}/"
            assert "All books" in fetched(url)
    with pytest.raises(urllib.error.URLError):
        fetched(url)
