"""Pictures show what was recorded, all of it and nothing else, and say on what it was measured."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from benchmarks import plot
from benchmarks.crawl.run import row as crawl_row
from benchmarks.plot.results import BadLine, NothingToDraw, read
from benchmarks.plot.scale import linear, logarithmic
from benchmarks.plot.sheet import WIDTH_PX, width_of
from benchmarks.record import Table, append

ROOT = Path(__file__).resolve().parents[1]
SVG = "{http://www.w3.org/2000/svg}"
MACHINE = {"cpu": "A processor", "cores": 2, "system": "Linux 6.1.0-vendor"}
RUN = {
    "wall_s": 2.0,
    "cpu_s": 1.0,
    "pages": 50,
    "peak_rss_mb": 30.0,
    "requests": 50,
    "load": 0.1,
    "right": True,
}


def record(folder: Path, name: str, rows: list[dict[str, Any]], day: int = 1, **more: Any) -> None:
    """A line as record.py writes it, of a day and a commit of its own."""
    entry = {"date": f"2026-01-{day:02}T10:00:00+00:00", "commit": f"{day:02}aabbccddee", "quick": False}
    entry |= {"machine": MACHINE, "python": "CPython 3.11.7", "libraries": {"orjson": "3.13.0"}, "rows": rows}
    with (folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry | more) + "\n")


def raced(speeds: dict[str, float], **more: Any) -> list[dict[str, Any]]:
    """Rows as `crawl` makes them, each of two runs that are a tenth apart."""
    return [
        crawl_row(name, [RUN | {"pages_per_s": speed * share} for share in (0.95, 1.05)]) | more
        for name, speed in speeds.items()
    ]


def engines(us: float) -> list[dict[str, Any]]:
    return [
        {"engine": "memory", "processes": 1, "cpu_us_a_page": us},
        {"engine": "sqlite", "processes": 2, "cpu_us_a_page": us + 20},
    ]


def record_all(folder: Path) -> None:
    """A line or two of every benchmark."""
    speeds = {"airless": 5_000.0, "scrapy_links": 50.0, "go_tokenizer": 10_000.0}
    versions = {"Scrapy": "2.13.0", "orjson": "3.0.0", "go": "go1.19.8"}
    for day in (1, 2):
        record(folder, "crawl", raced(speeds), day, variant="20000", pages=20_000, versions=versions)
        record(folder, "crawl", raced(speeds), day, variant="20000-tls", pages=20_000)
        record(folder, "engine", engines(300 / day), day)
    gets = {"bare loop": 20.0, "FastFetcher": 30.0, "aiohttp": 120.0}
    record(
        folder,
        "fetch",
        [{"answer": "plain", "contender": name, "median_us": us} for name, us in gets.items()],
    )
    sizes = {100_000: 8.5, 1_000_000: 11.0, 10_000_000: 13.75}
    record(
        folder,
        "frontier",
        [
            {"urls": urls, "resident_bytes_a_url": size, "held_bytes_a_url": 8.24, "disk_bytes_a_url": 8.02}
            | {"add_us": size / 4, "hit_us": size / 6}
            for urls, size in sizes.items()
        ],
    )
    slow = {"of_ideal": 0.88, "middle_of_ideal": 0.96, "core_share": 0.4, "right": True}
    ideal = [{"case": "fixed_small", "contender": name, **slow} for name in ("bare loop", "airless")]
    record(folder, "latency", ideal, connections=1_000)
    stages = [
        {"stage": "dedup", "unit": "URL", "candidate": name, "median_us": 0.2} for name in ("airless", "set")
    ]
    record(folder, "micro", stages)
    fields = [{"contender": "airless", "us_a_page": 500.0, "times_airless": 1.0}]
    fields += [{"contender": "parsel", "us_a_page": 2_500.0, "times_airless": 5.0}]
    record(
        folder, "parse", fields, versions={"parsel": {"parsel": "1.10.0"}, "airless": {"orjson": "3.13.0"}}
    )
    calls = {1: 3_000, 100: 120_000}
    record(
        folder,
        "publish",
        [
            {"engine": "sqlite", "messages_a_call": call, "calls_at_once": at_once, "messages_per_s": speed}
            | {"faster": speed / 3_000}
            for call, speed in calls.items()
            for at_once in (1, 64)
        ],
    )
    starts = [{"what": "python -c pass", "median_ms": 20.0, "over_bare_ms": 0.0}]
    starts += [{"what": "import airless", "median_ms": 44.0, "over_bare_ms": 24.0}]
    record(folder, "startup", starts, runs=41)


def draw(folder: Path, *, quick: bool = False) -> dict[str, ET.Element]:
    plot.measure(quick=quick, results=folder, pictures=folder / "pictures")
    files = sorted((folder / "pictures").glob("*.svg"))
    return {file.stem: ET.fromstring(file.read_text(encoding="utf-8")) for file in files}  # noqa: S314


def words(picture: ET.Element) -> list[str]:
    return [
        "".join(text.itertext()).replace("\N{NO-BREAK SPACE}", " ") for text in picture.iter(f"{SVG}text")
    ]


def said(picture: ET.Element) -> str:
    return "\n".join(words(picture))


def edges(text: ET.Element) -> Iterable[float]:
    """Where a text begins and ends, at the most."""
    x, size = float(text.attrib["x"]), float(text.attrib["font-size"])
    width = width_of("".join(text.itertext()), size)
    start = {"start": x, "middle": x - width / 2, "end": x - width}[text.get("text-anchor", "start")]
    return start, start + width


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, ET.Element]:
    record_all(tmp_path)
    return draw(tmp_path)


def test_every_benchmark_has_its_pictures(pictures: dict[str, ET.Element]) -> None:
    single = {"fetch", "frontier", "latency", "micro", "parse", "publish", "startup"}
    assert pictures.keys() == single | {"crawl-20000", "crawl-20000-tls", "history-crawl", "history-engine"}


def test_the_same_lines_give_the_same_bytes(tmp_path: Path) -> None:
    record_all(tmp_path)
    draw(tmp_path)
    before = {file: file.read_bytes() for file in (tmp_path / "pictures").iterdir()}
    for file in before:
        file.unlink()
    draw(tmp_path)
    assert {file: file.read_bytes() for file in (tmp_path / "pictures").iterdir()} == before


def test_a_picture_says_when_and_on_what_it_was_measured(pictures: dict[str, ET.Element]) -> None:
    caption = " ".join(words(pictures["crawl-20000"])[-2:])
    for part in ("2026-01-02", "commit 02aabbc", "A processor, 2 cores", "Linux 6.1.0", "CPython 3.11.7"):
        assert part in caption
    for library in ("orjson 3.13.0", "orjson 3.0.0 (peers)", "Scrapy 2.13.0", " go1.19.8"):
        assert library in caption
    assert "2026-01-01 to 2026-01-02 · commits 01aabbc to 02aabbc" in said(pictures["history-engine"])
    assert "parsel 1.10.0" in said(pictures["parse"])


def test_a_picture_has_its_figures_for_who_cannot_see_it(pictures: dict[str, ET.Element]) -> None:
    alternative = {name: picture.findtext(f"{SVG}desc") for name, picture in pictures.items()}
    assert all(
        picture.get("role") == "img" and picture.findtext(f"{SVG}title") for picture in pictures.values()
    )
    assert "scrapy links: 50.0 100×" in str(alternative["crawl-20000"])
    assert "Bytes a URL, of the process: 8.50 at 100k, 11.0 at 1M, 13.8 at 10M" in str(
        alternative["frontier"]
    )


def test_nothing_leaves_the_card_and_no_two_lines_of_text_touch(pictures: dict[str, ET.Element]) -> None:
    for name, picture in pictures.items():
        height = float(picture.attrib["height"])
        rows: dict[float, list[tuple[float, float, str]]] = {}
        for text in picture.iter(f"{SVG}text"):
            start, end = edges(text)
            y = float(text.attrib["y"])
            assert start > 0, (name, text.text)
            assert end < WIDTH_PX, (name, text.text)
            assert y < height, (name, text.text)
            rows.setdefault(y, []).append((start, end, str(text.text)))
        for row in rows.values():
            row.sort()
            for (_, end, text_before), (start, _, text_after) in pairwise(row):
                assert end <= start, (name, text_before, text_after)


def test_colours_follow_the_readers_scheme(pictures: dict[str, ET.Element]) -> None:
    for picture in pictures.values():
        style = str(picture.findtext(f"{SVG}style"))
        assert style.startswith("@media (prefers-color-scheme:dark)")
        for each in picture.iter():
            for name in each.get("class", "").split():
                assert f".{name}{{" in style


def test_contenders_are_ordered_and_each_says_how_far_it_is_from_airless(
    pictures: dict[str, ET.Element],
) -> None:
    found = [
        text
        for text in words(pictures["crawl-20000"])
        if text.startswith(("go", "air", "scrapy", "5", "10,0"))
    ]
    assert found[:6] == ["go tokenizer", "10,0000.50×", "airless", "5,000", "scrapy links", "50.0100×"]


def test_a_crawl_is_told_from_others_by_what_was_served(pictures: dict[str, ET.Element]) -> None:
    assert "20,000 pages, over TLS" in " ".join(words(pictures["crawl-20000-tls"]))
    assert "over TLS" not in " ".join(words(pictures["crawl-20000"]))


def test_a_wrong_output_is_shown_as_wrong_and_measures_nobody(tmp_path: Path) -> None:
    rows = [*raced({"airless": 5_000.0}, right=False), *raced({"scrapy_links": 0.0}, right=False)]
    record(tmp_path, "crawl", [*rows, *raced({"crawlee_http": 200.0})], variant="20000")
    latency = {"case": "fixed", "contender": "airless", "of_ideal": 0.9, "right": False}
    record(tmp_path, "latency", [latency])
    record(tmp_path, "parse", [{"contender": "parsel", "us_a_page": 2_500.0, "same": False}])
    pictures = draw(tmp_path)
    found = words(pictures["crawl-20000"])
    assert "2,500its fields differ" in words(pictures["parse"])
    assert "5,000its output was wrong" in found
    assert "0its output was wrong" in found
    assert "200" in found
    assert "90.0 %its output was wrong" in words(pictures["latency"])


def test_cores_are_named_where_there_is_more_than_one(tmp_path: Path) -> None:
    rows = [*raced({"airless": 5_000.0}), *raced({"airless_2": 9_000.0}, cores=2)]
    record(tmp_path, "crawl", rows, variant="20000")
    assert "airless 2 (2 cores)" in words(draw(tmp_path)["crawl-20000"])


def test_a_run_of_airless_alone_is_no_race(tmp_path: Path) -> None:
    record(tmp_path, "crawl", raced({"airless": 5_000.0, "scrapy_links": 50.0}), 1, variant="20000")
    record(tmp_path, "crawl", raced({"airless": 6_000.0}), 2, variant="20000")
    assert "5,000" in words(draw(tmp_path)["crawl-20000"])


def test_the_newest_line_counts_wherever_it_stands(tmp_path: Path) -> None:
    for day, size in ((3, 44.0), (1, 99.0)):
        record(tmp_path, "startup", [{"what": "import airless", "median_ms": size, "over_bare_ms": 1.0}], day)
    assert "44.0+1" in words(draw(tmp_path)["startup"])


def test_a_history_goes_from_commit_to_commit(pictures: dict[str, ET.Element]) -> None:
    found = words(pictures["history-engine"])
    assert "01aabbc" in found
    assert "02aabbc" in found
    assert "150memory" in found
    assert "−50 % since 300" in found
    assert "170sqlite, 2 processes" in found
    assert "20,000 pages, over TLS" in said(pictures["history-crawl"])


def test_a_history_leaves_out_what_another_machine_measured(tmp_path: Path) -> None:
    record(tmp_path, "engine", engines(900), 1, machine=MACHINE | {"cpu": "Another"})
    record(tmp_path, "engine", engines(300), 2)
    record(tmp_path, "engine", engines(200), 3)
    record(tmp_path, "engine", engines(200), 3)
    assert "−33 % since 300" in words(draw(tmp_path)["history-engine"])


def test_a_long_history_of_many_figures_keeps_its_labels_apart(tmp_path: Path) -> None:
    for day in range(1, 29):
        rows = [{"engine": f"engine {at}", "processes": 1, "cpu_us_a_page": 5.0 + at} for at in range(16)]
        record(tmp_path, "engine", rows, day)
    picture = draw(tmp_path)["history-engine"]
    labels = [text for text in picture.iter(f"{SVG}text") if text.find(f"{SVG}tspan") is not None]
    heights = sorted(float(text.attrib["y"]) for text in labels)
    assert len(heights) == 16
    assert all(below - above > 14 for above, below in pairwise(heights))
    steps = [word for word in words(picture) if word.endswith("aabbc")]
    assert steps[0] == "28aabbc"
    assert 2 < len(steps) < 15


def test_quick_lines_count_only_if_asked_for_and_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"what": "import airless", "median_ms": 44.0, "over_bare_ms": 24.0}]
    append(Table(rows, libraries=("orjson",), notes={"runs": 1}), tmp_path / "startup.jsonl", quick=True)
    with pytest.raises(SystemExit, match="no picture"):
        draw(tmp_path)
    assert "there are quick ones: --quick" in capsys.readouterr().err
    assert "a quick run" in said(draw(tmp_path, quick=True)["startup"])


def test_what_cannot_be_drawn_is_said_and_the_rest_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path, "engine", engines(300))
    record(tmp_path, "crawl", raced({"airless": 5_000.0}), variant="20000")
    record(tmp_path, "fetch", [{"answer": "plain", "contender": "aiohttp", "median_us": float("nan")}])
    record(tmp_path, "publish", [{"messages_a_call": 1}])
    record(tmp_path, "latency", [])
    record(tmp_path, "startup", [{"what": "import airless", "median_ms": 44.0, "over_bare_ms": 24.0}])
    assert draw(tmp_path).keys() == {"startup"}
    error = capsys.readouterr().err
    assert "frontier, frontier: nothing is recorded: python -m benchmarks frontier\n" in error
    assert "latency, latency: nothing is recorded" in error
    assert "crawl, race: no line has airless and somebody else" in error
    assert "engine, engine_history: a history takes two commits on one machine, there are 1" in error
    assert "fetch, fetch: fetch.jsonl:1: a row has no figure 'median_us'" in error
    assert "publish, publish: publish.jsonl:1: a row has no 'engine'" in error


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"date": "2026', "startup.jsonl:2 is no JSON: "),
        (b'{"date": "2026\xff"}', "startup.jsonl:2 is no JSON: "),
        (b"[]", "startup.jsonl:2 is no JSON object"),
        (
            b'{"date": "2026-01-01"}',
            "startup.jsonl:2 isn't a recorded result: 'commit' is missing, or no str",
        ),
        (
            b'{"date": "", "commit": "", "machine": {}, "python": "", "rows": [1]}',
            "startup.jsonl:2 isn't a recorded result: its rows aren't all objects",
        ),
    ],
)
def test_a_line_that_cannot_be_understood_stops_all_before_anything_is_written(
    tmp_path: Path, line: bytes, why: str
) -> None:
    record_all(tmp_path)
    with (tmp_path / "startup.jsonl").open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(BadLine, match=why):
        read(tmp_path / "startup.jsonl", quick=False)
    with pytest.raises(SystemExit, match=r"startup\.jsonl:2"):
        draw(tmp_path)
    assert not (tmp_path / "pictures").exists()


def test_a_missing_file_is_nothing_recorded(tmp_path: Path) -> None:
    with pytest.raises(NothingToDraw, match=r"python -m benchmarks startup$"):
        read(tmp_path / "startup.jsonl", quick=True)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([98.5], (0, 20, 40, 60, 80, 100)),
        ([13.8], (0, 5, 10, 15)),
        ([0.3], (0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)),
        ([0.0], (0, 0.2, 0.4, 0.6, 0.8, 1)),
        ([], (0, 0.2, 0.4, 0.6, 0.8, 1)),
    ],
)
def test_a_scale_from_nothing_has_round_marks(values: list[float], ticks: tuple[float, ...]) -> None:
    scale = linear(values, 100, 200)
    assert scale.ticks == ticks
    assert (scale.at(0), scale.at(scale.high)) == (100, 200)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([60.0, 400.0], (10, 20, 50, 100, 200, 500)),
        ([15.0, 400.0], (1, 2, 5, 10, 20, 50, 100, 200, 500)),
        ([300.0, 11e6], (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)),
        ([0.2], (0.1, 0.2)),
        ([0.0], (0.1, 0.2, 0.5, 1)),
    ],
)
def test_a_logarithmic_scale_leaves_the_smallest_room(values: list[float], ticks: tuple[float, ...]) -> None:
    scale = logarithmic(values, 100, 200)
    assert scale.ticks == pytest.approx(ticks)
    assert scale.at(scale.low) == 100
    assert scale.at(0) == 100
    assert scale.at(scale.high) == 200
    assert all(100 < scale.at(value) <= 200 for value in values if value)


def test_the_command_draws_what_is_recorded(tmp_path: Path) -> None:
    record_all(tmp_path)
    command = [sys.executable, "-m", "benchmarks", "plot", "--results", str(tmp_path), "--pictures"]
    done = subprocess.run(
        [*command, str(tmp_path / "drawn")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert len(list((tmp_path / "drawn").glob("*.svg"))) == done.stdout.count(".svg") == 11


def test_what_the_project_has_recorded_can_be_drawn(tmp_path: Path) -> None:
    plot.measure(quick=False, pictures=tmp_path)
    assert {file.stem for file in tmp_path.iterdir()} >= {"frontier", "startup"}
