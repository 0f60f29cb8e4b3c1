"""The commands for crawls that workers do, on a real broker: begun, listed, stopped, gone on with, explained."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner, Result
from support.site import Site
from support.valkey import Valkey
from support.web import Page, Web, linking, star
from support.worker_command import worker_command

from airless.cli import COMMANDS, cli
from airless.cli.crawls import span, table
from airless.cli.fleet import ways
from airless.core.ports import Settlement
from airless.crawl.counts import Counts
from airless.engines import open_engine
from airless.fleet.standing import Standing

ROOT = Path(__file__).resolve().parents[2]
PAGES = 200


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("broker"), fsync="everysec") as server:
        yield server


@dataclass(frozen=True, slots=True)
class There:
    """An engine, and commands about the crawls on it."""

    url: str
    folder: Path

    def ask(self, command: str, *words: object, expect: int | None = 0) -> Result:
        """A command in this process."""
        done = CliRunner().invoke(
            cli, [command, "--engine", self.url, *map(str, words)], prog_name="airless", input="n\n"
        )
        assert expect is None or done.exit_code == expect, (done.exit_code, done.output, done.exception)
        return done

    def crawl(self, *words: object, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """``airless crawl`` in a process of its own."""
        with self.crawling(*words) as done:
            out, err = done.communicate(timeout=120)
        assert done.returncode == expect, (done.returncode, out, err)
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    @contextmanager
    def crawling(self, *words: object) -> Iterator[subprocess.Popen[str]]:
        """A crawl that is followed; who does so is gone in the end, whatever happens."""
        process = subprocess.Popen(
            [sys.executable, "-m", "airless", "crawl", "--engine", self.url, *map(str, words)],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def job(self, name: str) -> dict[str, Any]:
        lines = self.ask("crawls", "--json").stdout.splitlines()
        found = {one["job"]: one for one in map(json.loads, lines)}
        return found.get(name, {"fetched": 0, "status": "not begun"})

    def until(self, name: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        end = time.monotonic() + 60
        while not wanted(one := self.job(name)):
            assert time.monotonic() < end, one
            time.sleep(0.1)
        return one

    def items(self, name: str) -> list[str]:
        self.ask("items", "--job", name, "-o", self.folder / "items.jsonl")
        lines = (self.folder / "items.jsonl").read_text().splitlines()
        return sorted(json.loads(line)["url"] for line in lines)


@pytest.fixture
def there(broker: Valkey, tmp_path: Path) -> There:
    return There(f"{broker.url}?prefix=t{uuid.uuid4().hex[:12]}", tmp_path)


def test_a_crawl_is_begun_and_left_paused_gone_on_with_and_explained(there: There) -> None:
    with Site(PAGES, delay_s=0.3) as site, worker_command(there.folder, there.url, "-n", 2):
        done = there.crawl(site.url, "--job", "weekly", "--ignore-robots", "--detach")
        assert done.stdout == "weekly\n"
        for way in ("airless crawls", "airless items", "airless pause", "--job weekly"):
            assert way in done.stderr
        there.until("weekly", lambda one: one["fetched"] > 20)
        paused = there.ask("pause", "weekly", "--wait").stdout
        assert paused.startswith("weekly is paused: ")
        one = there.job("weekly")
        assert (one["status"], one["still"], one["parked"]) == ("paused", True, one["messages"])
        assert 20 < one["fetched"] < PAGES
        time.sleep(1)
        assert there.job("weekly")["fetched"] == one["fetched"]
        there.ask("pause", "weekly")
        shown = there.ask("crawls").stdout.splitlines()
        head = "NAME SPIDER STATUS PAGES ITEMS ERRORS WAITING BEGAN TOOK LAST"
        assert " ".join(shown[0].split()) == head
        assert shown[1].split()[:3] == ["weekly", "crawlers.site:SiteSpider", "paused"]
        # Of two pages one is there and the other is not.
        (known, *_) = there.items("weekly")
        told = json.loads(there.ask("explain", known, "--job", "weekly", "--json").stdout)
        assert (told["verdict"], told["item"]["url"], told["robots"]) == ("fetched", known, "not heeded")
        waiting = (set(site.urls()) - set(there.items("weekly"))).pop()
        told = json.loads(there.ask("explain", waiting, "--job", "weekly", "--json").stdout)
        assert told["verdict"] in {"waiting", "not met"}
        assert "resume" not in there.ask("resume", "weekly").stdout
        site.delay_s = 0.0
        ended = there.until("weekly", lambda one: one["status"] == "finished")
        assert (ended["fetched"], ended["items"], ended["waiting"]) == (PAGES, PAGES, 0)
        assert there.items("weekly") == sorted(site.urls())
        assert max(site.asked.values()) == 1
        for command in ("pause", "resume", "cancel"):
            words = ["--yes"] if command == "cancel" else []
            assert "has finished" in there.ask(command, "weekly", *words).stdout
        assert there.ask("crawls", "--status", "running").stdout == "there are no such crawls\n"


def test_a_crawl_is_cancelled_when_that_was_confirmed(there: There) -> None:
    with Site(PAGES, delay_s=0.3) as site, worker_command(there.folder, there.url, "-n", 2):
        words = [site.url, "--job", "daily", "--ignore-robots"]
        there.crawl(*words, "--detach")
        with there.crawling(*words, "-o", "out.jsonl") as following:
            there.until("daily", lambda one: one["fetched"] > 20)
            assert "End it?" in there.ask("cancel", "daily", expect=1).stderr
            assert there.job("daily")["status"] == "running"
            done = there.ask("cancel", "daily", "nightly", "--yes", "--wait", expect=2)
            assert done.stdout.startswith("daily is cancelled: ")
            assert "there is no job 'nightly'" in done.stderr
            out, err = following.communicate(timeout=60)
            assert following.returncode == 130, (out, err)
        kept = there.items("daily")
        assert 20 < len(kept) < PAGES
        assert there.job("daily")["still"] is True
        for command in ("pause", "resume", "retry"):
            assert "was cancelled" in there.ask(command, "daily", expect=2).stderr
        again = there.crawl(*words, "--detach", expect=2)
        assert "give this one another --job" in again.stderr


def test_who_is_interrupted_leaves_it_running_and_says_how_to_come_back(there: There) -> None:
    with Site(PAGES, delay_s=0.3) as site, worker_command(there.folder, there.url, "-n", 1):
        with there.crawling(site.url, "--job", "left", "--ignore-robots", "-o", "out.jsonl") as following:
            there.until("left", lambda one: one["fetched"] > 5)
            following.send_signal(signal.SIGINT)
            _, err = following.communicate(timeout=60)
        assert (following.returncode, "The crawl goes on without this command." in err) == (130, True), err
        assert "airless crawls --engine" in err
        assert "Traceback" not in err
        site.delay_s = 0.0
        there.until("left", lambda one: one["status"] == "finished")
        assert there.items("left") == sorted(site.urls())


def test_who_follows_a_crawl_that_nobody_works_on_is_told(there: There) -> None:
    with Site(3) as site, there.crawling(site.url, "--job", "alone") as following:
        assert following.stderr is not None
        said = next(line for line in following.stderr if "worker" in line)
        following.send_signal(signal.SIGINT)
        following.communicate(timeout=60)
    assert said.startswith("Nobody has worked on this crawl for 10 s. Is there a worker on this broker?")


@pytest.mark.parametrize("words", [["-o", "items.jsonl"], ["--detach"]], ids=["followed", "detached"])
def test_a_broker_that_doesnt_answer_is_named_without_its_password(words: list[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"nats://me:secret@127.0.0.1:{port}?timeout=4"
    command = [sys.executable, "-m", "airless", "crawl", "https://a.test", "--engine", url, *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    told = f"nats://127.0.0.1:{port} doesn't answer, and is waited for. Is it running? airless worker --embedded brings"
    assert (done.returncode, told in done.stderr) == (1, True), done.stderr
    assert "secret" not in done.stderr


def test_a_crawl_that_nobody_follows_keeps_its_limit_on_time_and_its_settings(there: There) -> None:
    with Site(PAGES, delay_s=0.3) as site, worker_command(there.folder, there.url, "-n", 1) as worker:
        worker.wait_for("serve")
        words = [site.url, "--job", "short", "--ignore-robots"]
        there.crawl(*words, "--per-host", 2, "--max-time", 4, "--detach")
        one = there.until("short", lambda one: one["still"])
        assert (one["status"], one["reason"]) == ("limited", "max_time")
        assert 0 < one["fetched"] < 60
        assert "give it more with --max-time" in there.ask("resume", "short", expect=2).stderr
        site.delay_s = 0.0
        done = there.crawl(*words, "-o", "all.jsonl", "--stats", "stats.json")
        assert "short was begun with other settings (pace), which it keeps" in done.stderr
    stats = json.loads((there.folder / "stats.json").read_text())
    assert (stats["status"], stats["fetched"], stats["balanced"]) == ("finished", PAGES, True)


SLOW_START = """
import asyncio
from pathlib import Path
from airless import Request, Spider

class Slow(Spider):
    allowed_domains = ("127.0.0.1",)

    async def start(self):
        for number in range(700):
            if number == 600 and not Path("go").exists():
                Path("waits").touch()
                await asyncio.sleep(3_600)
            yield Request(f"{ORIGIN}/{number % 7}?{number}")

    async def parse(self, response):
        yield {"url": response.url}
"""


def test_who_is_killed_while_he_publishes_seeds_leaves_the_others_to_resume(there: There) -> None:
    with Web({f"/{n}": linking() for n in range(7)}) as web:
        (there.folder / "slow.py").write_text(f'ORIGIN = "{web.url("")}"' + SLOW_START)
        words = ["-s", "slow.py:Slow", "--job", "seedy", "--ignore-robots", "--allow-private", "--detach"]
        with there.crawling(*words) as beginning:
            end = time.monotonic() + 60
            while not (there.folder / "waits").exists():
                assert time.monotonic() < end
                assert beginning.poll() is None, beginning.communicate()
                time.sleep(0.05)
        one = there.job("seedy")
        assert (one["status"], one["seeded"]) == ("waiting", False)
        told = there.ask("resume", "seedy", expect=2).stderr
        assert "only its spider knows its other seeds" in told
        with worker_command(there.folder, there.url, "-n", 1):
            there.until("seedy", lambda one: one["fetched"] == 500)
            (there.folder / "go").touch()
            environ = {**os.environ, "PYTHONPATH": str(ROOT)}
            subprocess.run(
                [sys.executable, "-m", "airless", "resume", "--engine", there.url, "seedy"],
                cwd=there.folder,
                env=environ,
                check=True,
                timeout=60,
            )
            ended = there.until("seedy", lambda one: one["status"] == "finished")
        assert (ended["fetched"], ended["seeded"]) == (700, True)
        assert len(web.requests()) == len(there.items("seedy")) == 700


def test_what_a_crawl_gave_up_comes_back(there: There) -> None:
    with Site(20) as site:
        there.crawl(site.url, "--job", "sick", "--ignore-robots", "--detach")

        async def give_up() -> None:
            async with await open_engine(there.url) as engine:
                got = await engine.queue.receive("frontier/sick", limit=10, lease_s=30, wait_s=5)
                await engine.queue.settle([Settlement.given_up(one, "it died of it") for one in got])

        asyncio.run(give_up())
        told = json.loads(there.ask("explain", site.url, "--job", "sick", "--json").stdout)
        assert told["verdict"] == "waiting"
        back = there.ask("retry", "sick").stdout.splitlines()
        assert back == ["1 message came back on frontier/sick", "sick goes on: 0 pages, 0 URLs wait"]
        assert there.ask("retry", "sick").stdout == "nothing of sick has failed or was given up\n"
        assert "there is no job 'sicker'" in there.ask("retry", "sicker", expect=2).stderr
        assert "there is no job 'sicker'" in there.ask("retry", "sicker", "--list", expect=2).stderr
        with worker_command(there.folder, there.url, "-n", 1):
            there.until("sick", lambda one: one["status"] == "finished")
        assert there.items("sick") == sorted(site.urls())


def test_pages_that_failed_are_listed_explained_and_tried_again(there: There) -> None:
    pages: dict[str, Page] = {**star(20), "/3": 500, "/4": 500, "/5": 404}
    with Web(pages) as web, worker_command(there.folder, there.url, "-n", 1):
        there.crawl(web.url(), "--job", "ill", "--ignore-robots", "--detach")
        ended = there.until("ill", lambda one: one["status"] == "finished")
        assert (ended["fetched"], ended["failed"]) == (18, 3)
        assert sorted(there.ask("retry", "ill", "--list").stdout.splitlines()) == [
            f"http_404  {web.url('/5')}",
            f"http_500  {web.url('/3')}",
            f"http_500  {web.url('/4')}",
        ]
        (gone,) = map(
            json.loads,
            there.ask("retry", "ill", "--list", "--json", "--reason", "http_404").stdout.splitlines(),
        )
        assert (gone["url"], gone["tries"], gone["referrer"]) == (web.url("/5"), 1, web.url("/"))
        told = json.loads(there.ask("explain", web.url("/3"), "--job", "ill", "--json").stdout)
        assert (told["verdict"], told["failed"]["tries"]) == ("failed", 3)
        web.pages.update(star(20))
        web.asked.clear()
        back = there.ask("retry", "ill", "--reason", "http_500").stdout.splitlines()
        assert back[0] == "2 pages are tried again: 2 http_500"
        there.until("ill", lambda one: one["status"] == "finished")
        assert there.ask("retry", "ill").stdout.startswith("1 page is tried again: 1 http_404\nill goes on: ")
        ended = there.until("ill", lambda one: one["status"] == "finished")
        assert (ended["fetched"], ended["failed"], ended["waiting"]) == (21, 0, 0)
        assert web.paths() == ["/3", "/4", "/5"]
        assert there.items("ill") == sorted(web.url(path) for path in star(20))
        assert there.ask("retry", "ill", "--json", expect=2)


def test_on_aws_crawls_are_begun_listed_and_stopped_too(ministack_endpoint: str, tmp_path: Path) -> None:
    name = f"fleet-{uuid.uuid4().hex[:8]}"
    query = {"bucket": name, "prefix": name, "endpoint": ministack_endpoint, "create": "yes"}
    there = There(f"aws://us-east-1?{urlencode(query)}", tmp_path)
    assert there.ask("crawls").stdout == "there are no crawls on this engine\n"
    with Site(20) as site:
        there.crawl(site.url, "--job", "weekly", "--ignore-robots", "--detach")
        assert there.job("weekly")["status"] == "waiting"
        assert "pauses as soon as" in there.ask("pause", "weekly").stdout
        assert "weekly" in there.ask("crawls", "--status", "paused").stdout
        assert there.ask("resume", "weekly").stdout.startswith("weekly goes on: ")
        told = there.ask("explain", site.url, "--job", "weekly").stdout
        assert told.startswith("waiting: it is a seed")
        assert "nothing of weekly has failed" in there.ask("retry", "weekly").stdout
        assert there.ask("cancel", "weekly", "--yes").stdout.startswith("weekly is cancelled: 0 pages")
        assert there.job("weekly")["status"] == "cancelled"


@pytest.mark.parametrize("command", ["crawls", "pause", "resume", "cancel", "retry"])
def test_crawls_of_this_machine_are_nobody_elses(command: str, tmp_path: Path) -> None:
    words = [] if command == "crawls" else ["weekly", *(["--yes"] if command == "cancel" else [])]
    for url in ("memory://", f"sqlite:///{tmp_path}/airless.db"):
        refused = There(url, tmp_path).ask(command, *words, expect=2)
        assert "are this machine's own" in " ".join(refused.stderr.split())


def test_a_crawl_of_this_machine_is_explained_too(tmp_path: Path) -> None:
    with Site(20) as site:
        crawled = subprocess.run(
            [sys.executable, "-m", "airless", "crawl", site.url, "--job", "here", "-q", "--ignore-robots"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=True,
        )
        assert crawled.returncode == 0
        words = ["explain", "--job", "here", "--state", str(tmp_path / ".airless"), "--no-robots"]
        told = CliRunner().invoke(cli, [*words, site.url])
        assert told.stdout.startswith("fetched: an item of it is committed"), told.output
        told = CliRunner().invoke(cli, [*words, f"{site.url}/nothing"])
        assert told.stdout.startswith("not met: no page of this crawl led to it"), told.output
    missing = CliRunner().invoke(cli, ["explain", "--job", "other", "--state", str(tmp_path), "one.test"])
    assert (missing.exit_code, "there is no crawl 'other'" in missing.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--detach"], "--detach is for crawls with --engine"),
        (["--engine", "memory://", "--detach", "-o", "x.jsonl"], "--output can't be used with --detach"),
        (["--engine", "memory://", "--detach", "--stats", "x.json"], "--stats can't be used with --detach"),
        (["--engine", "memory://", "--detach", "--max-cost", "1"], "limit it with --max-pages or --max-time"),
        (["--engine", "memory://", "--state", "here"], "--state can't be used with --engine"),
        (["--engine", "memory://", "--processes", "2"], "--processes can't be used with --engine"),
        (["--engine", "memory://", "--restart"], "--restart can't be used with --engine"),
        (["--engine", "memory://"], "are this machine's own"),
    ],
)
def test_options_that_mean_nothing_there_say_what_to_do(
    words: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = CliRunner().invoke(cli, ["crawl", "https://one.test", *words])
    assert refused.exit_code == 2
    assert text in " ".join(refused.stderr.split())


def test_a_table_says_what_is_still_under_way() -> None:
    counts = Counts()
    counts.discovered, counts.fetched, counts.failed = 5_000, 1_234, 6
    standings = [
        Standing("a", "m:S", "paused", still=False, counts=counts, started_s=10_000.0, last_s=13_500.0),
        Standing("bb", "m:S", "limited", reason="max_pages", started_s=10_000.0, ended_s=10_030.0),
        Standing("c", "", "unreadable", reason="no"),
    ]
    lines = [line.split() for line in table(standings, 13_600.0)]
    assert lines[1][:7] == ["a", "m:S", "pausing", "1,234", "0", "6", "3,760"]
    assert lines[1][-5:] == ["1", "h", "0", "min", *["1", "min", "ago"]][-5:]
    assert lines[2][2:4] == ["limited", "(max_pages)"]
    assert lines[3] == ["c", "-", "unreadable", "0", "0", "0", "0", "-", "-", "-"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (59.9, "59 s"), (61, "1 min"), (7_260, "2 h 1 min"), (90_000, "1 d 1 h")],
)
def test_a_span_has_the_units_that_matter(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_the_ways_back_can_be_pasted() -> None:
    told = ways(
        "weekly", "aws://eu-west-1?bucket=b&prefix=p", follow="airless crawl https://one.test --engine 'x'"
    )
    assert "airless crawls --engine 'aws://eu-west-1?bucket=b&prefix=p'" in told
    assert "airless crawl https://one.test --engine 'x' --job weekly" in told
    assert "airless resume" in ways("weekly", "redis://one.test", resume=True)


@pytest.mark.parametrize("command", ["crawls", "pause", "resume", "cancel", "retry", "explain"])
def test_the_help_teaches(command: str) -> None:
    assert command in COMMANDS
    told = CliRunner().invoke(cli, [command, "--help"])
    assert told.exit_code == 0
    assert "Examples:" in told.output
