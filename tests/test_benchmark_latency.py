"""The slow web is slow as it says, its ideal can't be beaten, and who doesn't crawl all of it is found out."""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from airless import Response

sys.path.append(str(Path(__file__).resolve().parents[1]))  # benchmarks are not installed with the package

from benchmarks import latency
from benchmarks.latency import bare, run
from benchmarks.latency.log import Log, Seen, middle_rate
from benchmarks.latency.serving import Serving, serving
from benchmarks.latency.web import Latency, Web, title

FAST = Latency(0.01, 0.01)
WEB = Web(130, 12, FAST, 2_000, 5_000, links=15, port=8080)
CORES = (min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0)))
SEEN = Seen(100, 12, 10, 10, 1.0, 50.0, 0.2, 0.1)
TOOK = {"code": 0, "wall_s": 4.0, "cpu_s": 1.0, "peak_rss_mb": 60.0}
VERDICT = {"pages": 100, "right": True, "fault": ""}


def get(server: Serving, host: str, path: str) -> tuple[int, str, float]:
    connection = http.client.HTTPConnection("127.0.0.1", server.web.port, timeout=10)
    started = time.monotonic()
    connection.request("GET", path, headers={"Host": f"{host}:{server.web.port}"})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body, time.monotonic() - started


@pytest.mark.parametrize("pages", [130, 12, 7])
def test_every_page_is_reached_by_links_from_the_seeds(pages: int) -> None:
    web = replace(WEB, pages=pages)
    bodies = {url: b"".join(page.body) for url, page in web.answers()}
    found: dict[str, str | None] = {}
    todo = list(web.seeds)
    while todo:
        url = todo.pop()
        if url not in found:
            response = Response.from_bytes(url, bodies[url])
            found[url] = response.title
            todo += [link.url for link in response.links()]
    assert found == web.expected()


def test_pages_have_the_links_and_the_size_that_were_asked_for() -> None:
    large = replace(WEB, least_bytes=28_000, most_bytes=32_000, links=70)
    for web, longest in ((WEB, 5_000), (large, 32_000)):
        for url, page in web.answers():
            body = b"".join(page.body)
            assert web.least_bytes <= len(body) <= longest + 1_600  # a block of prose is not cut
            assert body.count(b"<a href") == web.links, url


def test_a_fixed_latency_is_the_same_for_all_and_a_long_tailed_one_is_not() -> None:
    urls = list(WEB.expected())
    assert {FAST.of(url) for url in urls} == {0.01}
    assert FAST.mean_s == 0.01
    tailed = Latency(0.05, 2.0)
    many = replace(WEB, pages=20_000, latency=tailed)
    times = [tailed.of(url) for url in many.expected()]
    assert 0.05 <= min(times) < 0.06
    assert 1.8 < max(times) <= 2.0
    assert many.mean_latency_s() == pytest.approx(tailed.mean_s, rel=0.02)
    assert sum(each < 0.316 for each in times) == pytest.approx(10_000, rel=0.05)


def test_an_answer_comes_no_sooner_than_its_latency() -> None:
    with serving(replace(WEB, latency=Latency(0.1, 0.1)), CORES[0]) as server:
        status, body, took_s = get(server, "h3.slow.test", "/")
        assert (status, f"<title>{title(3)}</title>" in body) == (200, True)
        assert took_s >= 0.1
        assert get(server, "h3.slow.test", "/robots.txt")[1].startswith("User-agent: *")
        assert get(server, "h3.slow.test", "/none.html")[0] == 404
        seen = server.stop()
    assert (seen.pages, seen.others, seen.connections, seen.most_waiting) == (1, 2, 3, 1)


def test_who_hangs_up_before_the_answer_has_had_no_page() -> None:
    with serving(replace(WEB, latency=Latency(0.2, 0.2)), CORES[0]) as server:
        with socket.create_connection(("127.0.0.1", server.web.port)) as gone:
            gone.sendall(f"GET / HTTP/1.1\r\nHost: h0.slow.test:{server.web.port}\r\n\r\n".encode())
        get(server, "h1.slow.test", "/")
        seen = server.stop()
    assert (seen.pages, seen.connections) == (1, 2)


def test_a_server_is_gone_even_if_nobody_stopped_it() -> None:
    with serving(WEB, CORES[0]) as server:
        get(server, "h0.slow.test", "/")
    with pytest.raises(ConnectionRefusedError):
        get(server, "h0.slow.test", "/")


def test_a_server_that_cannot_start_is_told_of() -> None:
    with pytest.raises(RuntimeError, match="didn't start"), serving(WEB, 100_000):
        pass


def test_the_middle_leaves_out_a_slow_beginning_and_a_slow_end() -> None:
    times = [0.0, 10.0, 20.0, *(20.0 + each / 10 for each in range(1, 9)), 40.0]
    assert middle_rate(times) == pytest.approx(10)
    assert middle_rate([]) == middle_rate([1.0]) == middle_rate([1.0, 1.0]) == 0


def test_a_log_without_a_page_says_so() -> None:
    log = Log()
    assert log.seen() == Seen(0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0)
    log.asked(5.0)
    log.answered(5.5, 5.25, page=False)
    assert (log.seen().pages, log.seen().others, log.seen().late_ms) == (0, 1, 250)


def test_the_ideal_is_every_connection_waiting_all_the_time() -> None:
    figures = run.row(run.Limits(10, 5), 0.1, TOOK, VERDICT, SEEN)
    assert figures["ideal_pages_per_s"] == 100
    assert (figures["of_ideal"], figures["middle_of_ideal"]) == (0.25, 0.5)
    assert (figures["cpu_us_a_page"], figures["core_share"], figures["right"]) == (10_000, 0.25, True)


def test_a_page_that_was_asked_for_twice_makes_a_run_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    figures = run.row(run.Limits(10, 5), 0.1, TOOK, VERDICT, replace(SEEN, pages=101))
    assert not figures["right"]
    run.tell("somebody", figures, TOOK, VERDICT, "what it said")
    assert "WRONG, exit code 0: a page was asked for twice\nwhat it said" in capsys.readouterr().err


def test_a_run_that_found_nothing_is_wrong() -> None:
    nothing = {"pages": 0, "right": False, "fault": "no output"}
    assert not run.row(run.Limits(10, 5), 0.1, TOOK | {"code": 1}, nothing, replace(SEEN, pages=0))["right"]


def test_every_contender_gets_all_of_a_slow_web(tmp_path: Path) -> None:
    table = latency.compared({"fixed": WEB}, run.Limits(8, 4), CORES, tmp_path)
    assert [(row["case"], row["contender"]) for row in table.rows] == [
        ("fixed", "bare loop"),
        ("fixed", "airless"),
    ]
    for row in table.rows:
        assert row["right"]
        assert 0 < row["of_ideal"] < 1
        assert row["no_pages"] == (WEB.hosts if row["contender"] == "airless" else 0)
        assert row["most_waiting"] <= 8
    assert table.notes == {"connections": 8, "per_host": 4}


async def test_the_bare_loop_asks_for_each_address_once() -> None:
    with serving(WEB, CORES[0]) as server:
        expected = server.web.expected()
        lines = await bare.main(4, server.web.port, iter(expected))
        seen = server.stop()
    assert {each["url"]: each["title"] for each in map(json.loads, lines)} == expected
    assert (len(lines), seen.pages, seen.connections) == (130, 130, 4)


async def test_the_bare_loop_says_that_a_server_hung_up() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionError):
            await bare.main(1, port, iter(["http://h0.slow.test/"]))


def test_one_core_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    with pytest.raises(SystemExit, match="two cores"):
        latency.measure(quick=True)


def test_cases_can_be_chosen_by_name() -> None:
    parser = argparse.ArgumentParser()
    latency.arguments(parser)
    assert parser.parse_args(["--only", "fixed_small"]).only == ["fixed_small"]
