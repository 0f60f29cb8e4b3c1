"""A plan names its job and its files so that the same crawl is found again, and no other."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from airless.core.errors import ConfigError
from airless.crawl.settings import Settings
from airless.engines.sqlite.options import SqliteOptions
from airless.local.crawl.files import locked, process_lock, remove
from airless.local.crawl.plan import SITE_SPIDER, Plan


def plan(*seeds: str, **options: object) -> Plan:
    return Plan(seeds=seeds, settings=Settings(), **options)  # type: ignore[arg-type]


def test_the_same_seeds_in_any_order_are_one_job() -> None:
    first, second = "https://example.com/a", "https://example.org/b"
    assert plan(first, second).name == plan(second, first).name
    assert plan(first).name != plan(second).name
    assert plan(first).name != plan(first, second).name
    assert plan(first).name != plan(first, spider="other:Spider").name


def test_a_name_that_is_given_is_the_jobs() -> None:
    assert plan("https://example.com/", job="weekly").name == "weekly"
    assert plan("https://example.com/", job="weekly").database == Path(".airless/weekly.db")


@pytest.mark.parametrize(
    "seed",
    [
        "https://example.com/a/very/long/path/that/goes/on/and/on?with=a&query=too",
        "https://[::1]:8080/",
        "https://xn--bcher-kva.example/%F0%9F%93%9A",
        "https://.../",
    ],
)
def test_a_name_that_is_made_is_a_short_file_name_that_says_where(seed: str) -> None:
    name = plan(seed).name
    assert len(name) < 60
    assert not set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789.-")
    assert not name.startswith((".", "-"))


def test_a_spider_that_names_its_own_start_has_a_job_too() -> None:
    assert plan(spider="shop:Shop").name.startswith("start-")


@pytest.mark.parametrize("folder", ["plain", "a?b", "50%25", "a#b", "ä ö"])
def test_the_engine_url_means_the_database(tmp_path: Path, folder: str) -> None:
    made = plan("https://example.com/", state_dir=tmp_path / folder, job="job")
    assert SqliteOptions.parse(made.engine_url).path == tmp_path / folder / "job.db"
    relative = plan("https://example.com/", state_dir=Path(folder), job="job")
    assert SqliteOptions.parse(relative.engine_url).path == Path(folder) / "job.db"


def test_the_spider_starts_from_the_plans_seeds() -> None:
    made = plan("https://example.com/a", "https://example.com/b")
    assert made.spider == SITE_SPIDER
    assert list(made.make_spider().start_urls) == ["https://example.com/a", "https://example.com/b"]


def test_the_scope_is_what_was_allowed_or_else_the_seeds_hosts() -> None:
    made = plan("https://example.com/a")
    assert made.scope(made.make_spider()).allows("https://sub.example.com:8080/")
    assert not made.scope(made.make_spider()).allows("https://example.org/")
    wider = plan("https://example.com/a", allowed_domains=("example.org",))
    assert wider.scope(wider.make_spider()).allows("https://example.org/")
    assert not wider.scope(wider.make_spider()).allows("https://example.com/")


def test_a_spiders_domains_hold_where_none_were_allowed_and_without_any_it_may_go_anywhere() -> None:
    made = plan()
    spider = made.make_spider()
    assert made.scope(spider).everywhere
    spider.allowed_domains = "example.com"
    assert made.scope(spider).allows("https://www.example.com/")
    assert not made.scope(spider).allows("https://example.org/")
    assert plan(allowed_domains=("example.org",)).scope(spider).allows("https://example.org/")


def test_a_plan_goes_to_other_processes_unchanged() -> None:
    made = plan("https://example.com/", job="a", output="x.jsonl", processes=4)
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301 - our own bytes


def test_removing_a_job_leaves_the_others(tmp_path: Path) -> None:
    mine = plan("https://example.com/", state_dir=tmp_path, job="mine")
    theirs = ["mine2.db", "theirs.db", "mine.lock", process_lock(mine, 0).name]
    for name in ("mine.db", "mine.db-wal", "mine.db-shm", *theirs):
        (tmp_path / name).touch()
    (tmp_path / "mine.db.consumers").mkdir()
    remove(mine)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(theirs)
    remove(mine)


def test_a_state_directory_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with (
            pytest.raises(ConfigError, match="state directory"),
            locked(plan("https://a.example/", state_dir=place)),
        ):
            raise AssertionError("it was locked")
    long = plan("https://a.example/", state_dir=tmp_path, job="x" * 300)
    with pytest.raises(ConfigError, match="can't be written"), locked(long):
        raise AssertionError("it was locked")
