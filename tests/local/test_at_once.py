"""How many requests at once a process is made for: its share, within the files that the system allows."""

import subprocess
import sys
from pathlib import Path

import pytest

from airless.core.ports import Engine
from airless.crawl.budget import Unlimited
from airless.crawl.layout import Layout
from airless.crawl.settings import Pace, Settings
from airless.engines import open_engine
from airless.local.crawl.plan import Plan
from airless.local.crawl.worker import Assignment, make_crawler, status_of

FILES = """
import resource, sys
from airless.crawl.fetcher import allow_files
soft, hard, wanted = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(allow_files(wanted), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


async def limit_of(engine: Engine, concurrency: int | None, processes: int) -> int:
    settings = Settings(pace=Pace(concurrency=concurrency))
    plan = Plan(seeds=("http://a.test/",), settings=settings, processes=processes)
    work = Assignment(plan, Layout("job", 8, 1), 0, processes, frozenset(), 30)
    async with make_crawler(work, engine, plan.make_spider(), Unlimited()) as crawler:
        assert status_of(crawler).limit == crawler.limit
        return crawler.limit


async def test_processes_share_what_the_crawl_may_have_under_way(tmp_path: Path) -> None:
    async with await open_engine(f"sqlite:///{tmp_path}/job.db") as engine:
        assert await limit_of(engine, 10, 1) == 10
        assert await limit_of(engine, 10, 4) == 2
        assert await limit_of(engine, 3, 4) == 1
        assert await limit_of(engine, None, 1) == 64
        assert await limit_of(engine, None, 4) == 16


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ((200, 300, 250), "250 250 300"),
        ((200, 300, 1_000), "300 300 300"),
        ((200, 300, 100), "200 200 300"),
    ],
)
def test_the_system_is_asked_for_as_many_files_as_are_needed(limits: tuple[int, ...], told: str) -> None:
    command = [sys.executable, "-c", FILES, *map(str, limits)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == told
