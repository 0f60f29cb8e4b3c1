"""With a limit on depth a crawl finds what a breadth-first walk finds, however slow the short paths are."""

from __future__ import annotations

import multiprocessing

from support.crawling import Crawl
from support.pages import Pages, linking

from airless.crawl.levels import Levels, OwnBoard
from airless.crawl.settings import Limits, Settings
from airless.local.crawl.shared_board import SharedBoard

SEED = "http://a.test/"


def _slow_short_path() -> Pages:
    """/x is two links from the seed, through the slow page, and three through the quick ones; /end hangs on it."""
    return Pages(
        {
            SEED: linking("/slow", "/quick"),
            "http://a.test/slow": linking("/x", latency_s=0.3),
            "http://a.test/quick": linking("/quick2"),
            "http://a.test/quick2": linking("/x"),
            "http://a.test/x": linking("/end"),
            "http://a.test/end": linking("/beyond"),
            "http://a.test/beyond": linking(),
        }
    )


def _limited(pages: Pages, depth: int) -> Crawl:
    return Crawl(pages, settings=Settings(obey_robots=False, limits=Limits(depth=depth)))


async def test_a_page_is_met_on_its_shortest_path() -> None:
    crawl = _limited(_slow_short_path(), 3)
    await crawl.seed(SEED)
    await crawl.run()
    depths = {item["url"]: item["depth"] for item in crawl.items()}
    assert depths["http://a.test/x"] == 2
    assert depths["http://a.test/end"] == 3
    assert "http://a.test/beyond" not in depths
    counts = await crawl.counts()
    assert counts.fetched == 6
    assert counts.skipped == {"depth": 1}


async def test_a_request_that_is_tried_again_holds_up_what_is_deeper() -> None:
    pages = _slow_short_path()
    pages.answers["http://a.test/slow"] = [linking(status=503), linking("/x")]  # type: ignore[index]
    crawl = _limited(pages, 3)
    await crawl.seed(SEED)
    await crawl.run()
    assert {item["url"] for item in crawl.items()} >= {"http://a.test/x", "http://a.test/end"}


async def test_the_levels_survive_a_stop_in_between() -> None:
    pages = _slow_short_path()
    crawl = _limited(pages, 3)
    await crawl.seed(SEED)
    await crawl.run(until=lambda: len(pages.asked) >= 3)
    await crawl.run(crawl.crawler(crawl.open()))
    depths = {item["url"]: item["depth"] for item in crawl.items()}
    assert depths["http://a.test/end"] == 3
    assert (await crawl.counts()).waiting == 0


async def test_without_a_limit_nothing_waits_for_a_slow_page() -> None:
    pages = _slow_short_path()
    crawl = Crawl(pages)
    await crawl.seed(SEED)
    await crawl.run()
    assert pages.urls().index("http://a.test/x") < len(pages.urls())
    assert (await crawl.counts()).fetched == 7


def test_the_least_depth_that_waits_is_told() -> None:
    board = OwnBoard()
    levels = Levels(board)
    assert levels.deepest() == float("inf")
    levels.enter(2)
    levels.enter(1, 2)
    assert board.deepest() == 1
    levels.leave(1)
    assert levels.deepest() == 1
    levels.leave(1)
    assert levels.deepest() == 2
    levels.leave(2)
    assert levels.deepest() == float("inf")


def test_a_process_waits_for_the_others() -> None:
    board = SharedBoard(multiprocessing.get_context("spawn"), 2)
    one, two = board.of(0), board.of(1)
    one.tell(0)
    two.tell(3)
    assert one.deepest() == two.deepest() == 0
    one.tell(3)
    assert two.deepest() == 0, "a rise has to stand for a moment"
