"""Progress is a line that people can read: live on a terminal, plain in a log, absent if so asked."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.command import Folder
from support.site import Site
from support.web import Web, star

from airless.cli import progress as shown
from airless.cli.progress import Plain, Rate, Silent, line, make_display
from airless.crawl.counts import Counts
from airless.crawl.settings import Limits
from airless.local.crawl.run import Progress


def progress(fetched: int = 0, seconds: float = 0.0, **numbers: int) -> Progress:
    counts = Counts()
    counts.fetched = fetched
    counts.failed = numbers.get("failed", 0)
    counts.discovered = fetched + counts.failed + numbers.get("waiting", 0)
    return Progress(counts, numbers.get("in_flight", 0), 1_000, numbers.get("hosts", 1), seconds)


def test_a_line_has_pages_rate_queue_flights_failures_and_hosts() -> None:
    told = line(progress(1_234, 60, failed=5, waiting=5_010, in_flight=10, hosts=3), 20.66, Limits())
    assert told == "1,234 pages, 20.7/s, 5,000 queued, 10 of 1,000 in flight, 5 failed, 3 hosts"


def test_a_line_of_a_crawl_of_others_has_what_is_known_of_it() -> None:
    theirs = replace(progress(1_234, 60, waiting=10, hosts=2), limit=0)
    assert line(theirs, 20.66, Limits()) == "1,234 pages, 20.7/s, 10 queued, 0 failed, 2 hosts to wait for"
    assert "hosts" not in line(replace(theirs, hosts=0), 20.66, Limits())


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        (Limits(pages=200), "00:10 left"),
        (Limits(pages=100_000), "00:50 left"),
        (Limits(time_s=3_760), "1:01:40 left"),
        (Limits(time_s=70, pages=200), "00:10 left"),
        (Limits(time_s=63, pages=200), "00:03 left"),
        (Limits(time_s=30), "00:00 left"),
    ],
)
def test_a_line_says_what_is_left_where_there_is_a_limit(limits: Limits, left: str) -> None:
    assert line(progress(100, 60, waiting=500), 10.0, limits).endswith(f", {left}")


def test_nothing_is_said_of_the_rest_where_nothing_is_known_of_it() -> None:
    assert "left" not in line(progress(100, 60, waiting=500), 10.0, Limits())
    assert "left" not in line(progress(0, 1, waiting=500), 0.0, Limits(pages=10))


def test_the_rate_of_a_crawl_that_is_looked_at_seldom_is_that_of_two_readings() -> None:
    rate = Rate()
    for reading in range(4):
        last = rate.of(progress(300 * reading, 15.0 * reading))
    assert last == pytest.approx(20.0)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rate = Rate()
    assert rate.of(progress(1_000, 0.0)) == 0.0
    for second in range(1, 30):
        assert rate.of(progress(1_000 + 10 * second, float(second))) == pytest.approx(10.0)
    for second in range(30, 41):
        last = rate.of(progress(1_290, float(second)))
    assert last == 0.0


def test_a_log_gets_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown, "_PLAIN_S", 0.05)
    with Plain(Limits()) as display:
        display.update(progress(1, 0.1))
        assert capsys.readouterr().err == ""
        time.sleep(0.06)
        display.update(progress(2, 65.0))
        display.update(progress(3, 65.1))
        display.say("a word")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "[01:05] 2 pages, 0.0/s, 0 queued, 0 of 1,000 in flight, 0 failed, 1 hosts",
        "a word",
    ]


def test_silence_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with make_display(Limits(), quiet=True) as display:
        assert isinstance(display, Silent)
        display.update(progress(1, 100.0))
        display.say("a word")
    assert capsys.readouterr() == ("", "")


def test_what_is_no_terminal_gets_plain_lines() -> None:
    assert not sys.stderr.isatty()
    assert isinstance(make_display(Limits(), quiet=False), Plain)


# On a terminal.


def on_terminal(folder: Folder, *words: object, when: bytes = b"", number: int = 0) -> tuple[int, str]:
    """Crawl with a terminal for standard error: the exit code, and all that was written.

    Once `when` is there, a signal is sent.
    """
    ours, theirs = pty.openpty()
    options = {"stderr": theirs, "stdout": subprocess.DEVNULL, "text": False}
    seen = b""
    with folder.crawling(*words, **options) as process:
        os.close(theirs)
        while True:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # the other side is closed: so Linux says it
                break
            if not part:
                break
            seen += part
            if number and when in seen:
                os.killpg(process.pid, number)
                number = 0
        code = process.wait(timeout=20)
    os.close(ours)
    return code, seen.decode()


@pytest.fixture
def terminal(tmp_path: Path) -> Folder:
    return Folder(tmp_path, {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40", "NO_COLOR": "1"})


def visible(written: str) -> str:
    """The text without what moves the cursor or colours it."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)


def test_a_terminal_shows_a_live_line_and_is_left_clean(terminal: Folder) -> None:
    with Site(60, delay_s=0.1) as site:
        code, written = on_terminal(terminal, site.url, "-o", "pages.jsonl")
    assert code == 0
    assert re.search(
        r"00:0\d  [1-9]\d* pages, [\d.]+/s, \d+ queued, [1-8] of \d+ in flight, 0 failed, 1 hosts",
        visible(written),
    )
    # The cursor was hidden, is shown again, and the live line is wiped before the summary.
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")
    end = written[written.rindex("\x1b[?25h") :]
    assert "\x1b[2K" in end or "\x1b[2K" in written[written.rindex("in flight") :]
    assert "Finished in" in visible(end)
    assert len(terminal.items()) == 60


def test_a_warning_stands_on_a_line_of_its_own_above_the_live_one(terminal: Folder) -> None:
    source = (
        "class Bad(Spider):\n    def parse(self, response):\n        self.logger.warning('look at %s', 1)\n"
    )
    with Web(star(3), delay_s=0.5) as web_:
        words = ["-s", terminal.spider(source), web_.url(), web_.url("/0"), "--delay", 0.5]
        terminal.crawl(*words, "--max-pages", 1)
        code, written = on_terminal(terminal, *words)
    assert code == 0
    rows = visible(written).splitlines()
    assert "WARNING look at 1" in rows
    assert any(row.startswith("Going on with a crawl that was limited") for row in rows)


def test_ctrl_c_on_a_terminal_leaves_it_clean_and_says_how_to_go_on(terminal: Folder) -> None:
    with Site(100, delay_s=0.1) as site:
        code, written = on_terminal(terminal, site.url, when=b"in flight", number=signal.SIGINT)
    assert code == 130
    told = visible(written)
    assert "Finishing what is under way; Ctrl-C again stops at once." in told
    assert "Go on with:" in told
    assert "Traceback" not in told
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")
