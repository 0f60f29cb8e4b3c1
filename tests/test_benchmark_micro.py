"""The benchmark of the hot path's stages: every stage is there, and each candidate does the work that it says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from airless.crawl.scan import spellings
from airless.engines import open_engine
from benchmarks import micro
from benchmarks.micro.keeping import COMMIT_PAGES, LAYOUT, Committed
from benchmarks.micro.reading import scanned, selected
from benchmarks.micro.sample import Sample
from benchmarks.micro.timing import Case, measured
from benchmarks.record import Table

COMPILED = spellings() is not None


def test_every_stage_has_a_row_for_each_candidate() -> None:
    table = micro.measure(quick=True, only=list(micro.STAGES))
    found: dict[str, set[str]] = defaultdict(set)
    for each in table.rows:
        found[each["stage"]].add(each["candidate"])
        assert each["median_us"] >= each["fastest_us"] > 0
        assert each["spread_percent"] >= 0
    assert list(found) == list(micro.STAGES)
    assert {"airless Body", "zlib"} <= found["gunzip"]
    assert found["decode"] == {"charset.to_utf8", "bytes.decode"}
    assert found["links"] >= {"lexbor", "lexbor, a[href]"}
    assert found["resolve"] >= {"url-py join", "url-py parse"}
    assert found["fingerprint"] >= {"hashlib"}
    assert found["dedup"] >= {"SeenSet, known", "SeenSet, new", "set, known", "set, new"}
    assert found["pack"] == {"airless pack", "airless unpack", "orjson.dumps", "orjson.loads"}
    assert found["item"] == {"airless items", "orjson.dumps", "json.dumps"}
    assert found["commit"] == {"memory", "SQLite"}
    compiled = {
        "links": {"airless scan", "airless scan, hrefs"},
        "resolve": {"airless, met lately", "airless, new pages"},
        "fingerprint": {"airless._speed"},
        "dedup": {"Seen, known", "Seen, new"},
    }
    for stage, names in compiled.items():
        assert (names <= found[stage]) is COMPILED
    assert ("compiled" in table.notes["left_out"]) is not COMPILED
    assert len(table.rows) == sum(map(len, found.values()))


def test_a_stage_can_be_asked_for_alone() -> None:
    assert {each["stage"] for each in micro.measure(quick=True, only=["item"]).rows} == {"item"}


def test_without_a_server_the_get_is_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    table = micro.measure(quick=True, only=[micro.GET])
    assert table.rows == []
    assert "nginx-light" in table.notes["left_out"][micro.GET]


def test_what_fetch_measures_is_the_first_stage() -> None:
    fetched = Table(
        [{"answer": "plain", "contender": "FastFetcher", "median_us": 30.0, "fastest_us": 25.0, "of": 0.2}]
    )
    assert micro.gets(fetched) == [
        {
            "stage": "get",
            "candidate": "FastFetcher, plain",
            "unit": "page",
            "median_us": 30.0,
            "fastest_us": 25.0,
            "spread_percent": 20.0,
        }
    ]


@pytest.mark.skipif(not COMPILED, reason="needs the compiled scanner")
def test_the_scan_and_the_tree_find_the_same_references() -> None:
    sample = Sample.of(20, known=1)
    assert len(sample) == len(set(sample.urls)) == 20
    for _, body in sample:
        assert scanned(body) == selected(body)
        assert 50 < len(scanned(body)) < 100


def test_cases_are_taken_in_turn_and_the_first_round_is_not_counted() -> None:
    done: list[str] = []

    def case(name: str) -> Case:
        def prepare() -> Callable[[], object]:
            done.append(f"prepare {name}")
            return lambda: done.append(name)

        return Case("stage", name, "page", 1, prepare)

    rows = measured([case("a"), case("b")], rounds=2)
    assert done == ["prepare a", "a", "prepare b", "b"] * 3
    assert [each["candidate"] for each in rows] == ["a", "b"]


async def test_a_commit_writes_the_items_and_acknowledges_what_led_to_them() -> None:
    async with await open_engine("memory://") as engine:
        crawl = Committed(engine, b"{}\n")
        for turn in range(1, 4):
            await crawl.visit()
            await crawl.commit()
            depth = await engine.queue.depth(LAYOUT.topic)
            assert (depth.weight, depth.leased) == (COMMIT_PAGES, 0)
            written = [name async for name in engine.objects.list(LAYOUT.items_prefix)]
            assert len(written) == turn
            assert await engine.objects.get(written[-1]) == b"{}\n" * COMMIT_PAGES
