"""The variants of the benchmark `crawl`: who runs in which, on which pages, and what counts as right."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.files import FileSite

from airless import Response, Spider
from airless.core.targets import load_target
from airless.crawl.settings import Dedup
from airless.crawl.urls import dedup_key
from benchmarks import crawl as benchmark
from benchmarks.crawl import docs, peers, run
from benchmarks.crawl.__main__ import VARIANTS, commands, run_all
from benchmarks.crawl.compiled import environment
from benchmarks.crawl.course import Course, Variant
from benchmarks.crawl.docs import Documentation
from benchmarks.crawl.field import AIRLESS, AIRLESS_FIELDS, CONTENDERS, PROGRAMS, Programs, line_up, reference
from benchmarks.crawl.fields import expected_fields, fields_of
from benchmarks.crawl.nginx import Server
from benchmarks.crawl.pages import Site
from benchmarks.crawl.run import Bench, judged, ratios, row, warm
from benchmarks.crawl.store import lay_out
from benchmarks.crawl.verdict import verify
from benchmarks.crawl.walk import walk

ROOT = Path(__file__).resolve().parents[1]
SITE = Site(50, 8080)
BOOK = Documentation("book-doc", "book-*/html", "book.docs.test")
PAGES = {
    "index.html": '<title>\n The  book </title><a href="one.html#top">1</a> <a href="sub">folder</a> <a href="http://[">no</a>',
    "one.html": (
        '<title>One &amp; only</title><body><svg><title>An icon</title></svg><a href="index.html">up</a>'
        '<a href=" caf%C3%A9.html?b=2 ">2</a><map><area href="notes.txt"></map><a href="gone.html">gone</a>'
        '<a href="//elsewhere.test/">off</a><!-- <a href="comment.html">no</a> -->'
        "<script>'<a href=\"script.html\">'</script><link href='style.css'><a name=x>no link</a>"
    ),
    "café.html": '<base href="/sub/"><title>Café</title><a href="deep.html">deep</a>',
    "sub/index.html": "<title>Sub</title>",
    "sub/deep.html": '<h1>Untitled</h1><a href="../index.html">home</a>',
    "notes.txt": '<a href="text.html">no page</a>',
    "comment.html": "<title>never</title>",
    "script.html": "<title>never</title>",
    "text.html": "<title>never</title>",
}
TITLES = {
    "/index.html": "The book",
    "/one.html": "One & only",
    "/caf%C3%A9.html?b=2": "Café",
    "/sub/": "Sub",
    "/sub/deep.html": "",
}


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder in which a documentation is installed."""
    for name, text in PAGES.items():
        file = tmp_path / "doc/book-2/html" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path / "doc"


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    lay_out(SITE, folder)
    return folder


def output(folder: Path, items: list[dict[str, Any]]) -> Path:
    file = folder / "out.jsonl"
    file.write_text("".join(f"{json.dumps(item)}\n" for item in items), encoding="utf-8")
    return file


def names(*only: str, fields: bool = False, processes: int = 1) -> list[str]:
    return [each.name for each in line_up(only, fields=fields, processes=processes)]


def test_a_walk_finds_what_links_reach_and_what_it_is(installed: Path) -> None:
    walked = walk(installed / "book-2/html", "/index.html")
    assert walked.pages == TITLES
    assert sorted(walked.others) == ["/notes.txt", "/sub"]
    assert walked.missing == ["/gone.html"]


def test_a_walk_stays_below_its_root(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.html").write_text("<title>out</title>")
    (tmp_path / "in/index.html").write_text('<title>in</title><a href="/%2e%2e%2fsecret.html">out</a>')
    walked = walk(tmp_path / "in", "/index.html")
    assert (walked.pages, len(walked.missing)) == ({"/index.html": "in"}, 1)


def test_what_links_reach_is_copied_with_its_compressed_pages_and_nothing_else(
    installed: Path, tmp_path: Path
) -> None:
    walked = docs.lay_out(BOOK, installed, tmp_path)
    host = tmp_path / BOOK.host
    files = {str(file.relative_to(host)) for file in host.rglob("*") if file.is_file()}
    pages = {"index.html", "one.html", "café.html", "sub/index.html", "sub/deep.html"}
    assert files == {"notes.txt", *pages, *(f"{page}.gz" for page in pages)}
    assert (host / "café.html").read_text(encoding="utf-8") == PAGES["café.html"]
    assert gzip.decompress((host / "café.html.gz").read_bytes()).decode() == PAGES["café.html"]
    assert walked.pages == TITLES


def test_a_copy_is_kept_until_the_documentation_changes(installed: Path, tmp_path: Path) -> None:
    first = docs.lay_out(BOOK, installed, tmp_path)
    copied = tmp_path / BOOK.host / "one.html"
    copied.write_text("mine")
    assert docs.lay_out(BOOK, installed, tmp_path) == first
    assert copied.read_text() == "mine"
    (installed / "book-2/html/sub/deep.html").write_text("<title>Titled by now</title>")
    assert docs.lay_out(BOOK, installed, tmp_path).pages["/sub/deep.html"] == "Titled by now"
    assert copied.read_text() == PAGES["one.html"]


def test_documentation_that_is_not_installed_is_named(installed: Path, tmp_path: Path) -> None:
    nothing = Documentation("nothing-doc", "nothing/html", "nothing.docs.test")
    assert docs.missing(installed, (BOOK, nothing)) == ["nothing-doc"]
    assert "nothing-doc" in docs.how_to_get(["nothing-doc"])
    with pytest.raises(FileNotFoundError, match="nothing-doc"):
        docs.lay_out(nothing, installed, tmp_path)


def test_of_several_versions_the_last_is_taken(installed: Path) -> None:
    (installed / "book-3/html").mkdir(parents=True)
    assert BOOK.source(installed) == (installed / "book-2/html").resolve()
    (installed / "book-3/html/index.html").write_text("<title>3</title>")
    assert BOOK.source(installed) == (installed / "book-3/html").resolve()


def test_a_course_of_real_pages_is_right_when_crawled_whole(installed: Path, tmp_path: Path) -> None:
    course = Variant(tls=True, real=(BOOK,)).course(tmp_path, installed)
    origin = f"https://{BOOK.host}:18080"
    assert course.seeds == (f"{origin}/index.html",)
    assert course.hosts == (BOOK.host,)
    assert course.charset == ""
    assert course.titles == {origin + path: title for path, title in TITLES.items()}
    items = [{"url": url, "title": title} for url, title in course.titles.items()]
    more = {"url": f"{origin}/notes.txt", "title": None}
    verdict = verify(output(tmp_path, [*items, more]), course.titles, None, course.beside)
    assert (verdict.right, verdict.pages) == (True, len(TITLES))
    extra = {"url": f"{origin}/comment.html", "title": "never"}
    assert verify(output(tmp_path, [*items, extra]), course.titles, None, course.beside).extra == 1


def test_airless_finds_the_pages_of_a_course(installed: Path, tmp_path: Path) -> None:
    walked = docs.lay_out(BOOK, installed, tmp_path)
    with FileSite(tmp_path / BOOK.host) as site:
        (site.root / "sub.html").write_text("<title>Unlinked</title>")
        command = [sys.executable, "-m", "airless", "crawl", f"{site.origin}/index.html", "-q"]
        command += ["-o", str(tmp_path / "out.jsonl"), "--state", str(tmp_path / "state")]
        subprocess.run(command, check=True, env=environment(tmp_path))
        # That server has no pages for folders.
        there = {path: title for path, title in walked.pages.items() if not path.startswith("/sub/")}
        expected = {site.origin + path: title for path, title in there.items()}
        expected |= {f"{site.origin}/sub/deep.html": ""}
        verdict = verify(tmp_path / "out.jsonl", expected, None, {f"{site.origin}/notes.txt"})
    assert verdict.right, verdict.example


def test_a_generated_course_expects_fields_only_where_they_are_asked_for(tmp_path: Path) -> None:
    plain, with_fields = Variant(20).course(tmp_path), Variant(20, fields=True).course(tmp_path)
    assert plain.titles == with_fields.titles
    assert plain.root == with_fields.root
    assert (len(plain.fields), len(with_fields.fields)) == (0, 20)
    assert Variant(20, tls=True, gzip=True).course(tmp_path).seeds[0].startswith("https:")


@pytest.mark.parametrize("strangers", [False, True])
def test_links_reach_every_page_and_those_of_strangers_stay_on_their_host(strangers: bool) -> None:
    site = Site(120, 8080, strangers=strangers)
    bodies = {dedup_key(site.url(page), Dedup()): body for page, body in site.bodies()}
    for host in site.hosts:
        todo = [dedup_key(url, Dedup()) for url in site.seeds if host in url]
        reached = set(todo)
        while todo:
            url = todo.pop()
            response = Response.from_bytes(url, bodies[url])
            found = {dedup_key(link.url, Dedup()) for link in response.links()} & bodies.keys()
            todo += found - reached
            reached |= found
        assert reached == {url for url in bodies if host in url or not strangers}


def test_strangers_have_each_as_many_pages() -> None:
    with pytest.raises(ValueError, match="multiple of 20"):
        Site(50, 8080, strangers=True)


@pytest.mark.parametrize(
    ("variant", "name"),
    [
        (Variant(2_000), "2000"),
        (Variant(2_000, tls=True, gzip=True), "2000-tls-gzip"),
        (Variant(20_000, fields=True), "20000-fields"),
        (Variant(20_000, strangers=True), "20000-strangers"),
        (Variant(real=docs.DOCUMENTATION), "real"),
        (Variant(real=docs.DOCUMENTATION, gzip=True), "real-gzip"),
        (Variant(real=docs.DOCUMENTATION[:1]), "real-quick"),
    ],
)
def test_every_variant_has_a_name_of_its_own(variant: Variant, name: str) -> None:
    assert variant.name == name


async def test_our_spider_takes_the_fields_that_plain_search_finds(laid_out: Path) -> None:
    spider = load_target(str(PROGRAMS / CONTENDERS[AIRLESS_FIELDS].spider), Spider)()
    expected = expected_fields(SITE, laid_out)
    assert len(expected) == SITE.pages
    for page, body in SITE.bodies():
        items = [item async for item in spider.parse(Response.from_bytes(SITE.url(page), body))]
        assert items[0] == {"url": SITE.url(page), **expected[SITE.url(page)]}
        assert len(items) == 2


def test_a_page_of_another_site_has_no_fields() -> None:
    with pytest.raises(ValueError, match="page 3 has no heading"):
        fields_of(3, b"<h1>Something else</h1>")


@pytest.mark.parametrize(("name", "value"), [("note", None), ("images", []), ("heading", "delta ")])
def test_a_wrong_field_is_found_out(laid_out: Path, tmp_path: Path, name: str, value: Any) -> None:
    fields = expected_fields(SITE, laid_out)
    items = [{"url": url, **found} for url, found in fields.items()]
    assert verify(output(tmp_path, items), SITE.expected(), fields).right
    items[7][name] = value
    verdict = verify(output(tmp_path, items), SITE.expected(), fields)
    assert (verdict.right, verdict.wrong_fields) == (False, 1)
    assert judged(output(tmp_path, items), SITE.expected(), fields)["fault"] == f"wrong field: {SITE.url(7)}"
    assert verify(output(tmp_path, items), SITE.expected()).right


def test_each_race_has_its_own_field() -> None:
    titles, fields = names(), names(fields=True)
    assert {*titles, *fields} == set(CONTENDERS)
    assert not {*titles} & {*fields}
    assert titles[:2] == [AIRLESS, "airless_pure"]
    assert fields[0] == reference(fields=True).name == AIRLESS_FIELDS
    assert names("go_tokenizer", AIRLESS) == ["go_tokenizer", AIRLESS]


def test_airless_in_several_processes_is_a_contender_of_its_own() -> None:
    assert names(processes=2)[:3] == [AIRLESS, "airless_2", "airless_pure"]
    assert names("airless_pure", processes=2) == ["airless_2", "airless_pure"]
    assert names(fields=True, processes=3)[:2] == [AIRLESS_FIELDS, "airless_fields_3"]


@pytest.mark.parametrize(("name", "fields"), [(AIRLESS, True), ("scrapy_fields", False)])
def test_who_is_in_the_other_race_is_refused(name: str, fields: bool) -> None:
    with pytest.raises(ValueError, match=name):
        line_up([name], fields=fields)
    with pytest.raises(SystemExit, match=name):
        benchmark.measure(quick=True, only=[name], fields=fields)


def test_real_pages_have_no_fields() -> None:
    with pytest.raises(SystemExit, match="--fields"):
        benchmark.measure(quick=True, real=True, fields=True)


def test_only_what_a_contender_is_makes_its_command(tmp_path: Path) -> None:
    programs = Programs(Path("peers"), Path("built"))

    def command(name: str, processes: int = 1) -> str:
        fields = CONTENDERS[name].fields
        contender = line_up([name], fields=fields, processes=processes)[-1]
        return " ".join(
            programs.command(contender, Path("out"), SITE.seeds, SITE.hosts, Path("state"))
        ).replace(str(PROGRAMS), "programs")

    seeds = " ".join(SITE.seeds)
    assert f"airless crawl {seeds}" in command(AIRLESS)
    assert "--processes" not in command(AIRLESS)
    assert command(AIRLESS) == command("airless_pure")
    assert command(AIRLESS, processes=2) == f"{command(AIRLESS)} --processes=2"
    assert "--spider=programs/airless_fields.py:FieldsSpider" in command(AIRLESS_FIELDS)
    assert command("go_tokenizer") == f"built/go_tokenizer out {seeds}"
    assert command("scrapy_fields") == f"peers programs/scrapy_fields.py out {seeds}"


def test_only_the_pure_contender_runs_without_the_compiled_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRLESS_PURE", "1")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    left = environment(tmp_path)
    assert "AIRLESS_PURE" not in left
    assert "https_proxy" not in left
    assert [each.name for each in CONTENDERS.values() if each.environment] == ["airless_pure"]
    assert CONTENDERS["airless_pure"].environment == {"AIRLESS_PURE": "1"}


def test_the_server_shares_its_core_only_where_no_other_is_left(tmp_path: Path) -> None:
    course = Course(tmp_path, (), (), {})
    server = Server(tmp_path, tmp_path, (), 18080)
    one, two = CONTENDERS[AIRLESS], line_up([AIRLESS], fields=False, processes=2)[-1]
    for cores, alone, together in [([0, 1], [1], [1, 0]), ([4, 5, 6, 7], [5], [5, 6])]:
        bench = Bench(Programs(tmp_path, tmp_path), course, server, cores, tmp_path)
        assert bench.cores_of(one) == alone
        assert bench.cores_of(two) == together


def test_a_contender_runs_on_the_cores_that_it_is_given() -> None:
    allowed = sorted(os.sched_getaffinity(0))
    launcher = ROOT / "benchmarks/crawl/launch.py"
    asked = "import os, sys; print(sorted(os.sched_getaffinity(0)), file=sys.stderr); sys.exit(3)"
    for cores in (allowed[:1], allowed[:2]):
        command = [sys.executable, "-S", str(launcher), ",".join(map(str, cores)), "30"]
        done = subprocess.run(
            [*command, sys.executable, "-c", asked], capture_output=True, text=True, check=True
        )
        assert json.loads(done.stderr) == cores
        took = json.loads(done.stdout)
        assert (took["code"], sorted(took)) == (3, ["code", "cpu_s", "peak_rss_mb", "wall_s"])


def test_ratios_say_how_many_times_as_fast_we_are() -> None:
    result = {"wall_s": 2.0, "cpu_s": 1.0, "pages": 50, "peak_rss_mb": 30.0, "requests": 50, "load": 0.1}
    speeds = {AIRLESS: 300.0, "slow": 100.0, "fast": 400.0, "cheat": 900.0}
    rows = [
        row(name, [result | {"pages_per_s": at, "right": name != "cheat"}]) for name, at in speeds.items()
    ]
    assert [each["cores"] for each in rows] == [1, 1, 1, 1]
    assert row("two", [result | {"pages_per_s": 1.0, "right": True}], 2)["cores"] == 2
    assert ratios(rows, AIRLESS) == {"slow": 3.0, "fast": 0.75}
    assert ratios(rows, "cheat") == {}
    assert ratios(rows[1:], AIRLESS) == {}


def test_every_file_of_a_course_is_read_before_the_first_run(installed: Path, tmp_path: Path) -> None:
    course = Variant(real=(BOOK,)).course(tmp_path, installed)
    files = [file for file in (course.root / BOOK.host).rglob("*") if file.is_file()]
    assert warm(course) == sum(file.stat().st_size for file in files) > 0


def test_the_server_says_a_charset_only_where_it_knows_one(tmp_path: Path) -> None:
    assert "charset utf-8;" in Server(tmp_path, tmp_path, ("a.test",), 18080).configuration()
    assert "charset off;" in Server(tmp_path, tmp_path, ("a.test",), 18080, charset="").configuration()


def test_all_variants_run_one_after_the_other_with_the_options_given() -> None:
    lined = commands(["--quick", "--no-record"])
    assert [tuple(command[3:-2]) for command in lined] == list(VARIANTS)
    assert all(command[:3] == ["-m", "benchmarks", "crawl"] for command in lined)
    assert all(command[-2:] == ["--quick", "--no-record"] for command in lined)


def test_a_variant_that_fails_is_named_and_stops_no_other(tmp_path: Path) -> None:
    done = tmp_path / "done"
    failing, fine = ["-c", "raise SystemExit(1)"], ["-c", f"open({str(done)!r}, 'x')"]
    assert run_all([failing, fine]) == [" ".join(failing)]
    assert done.exists()


def test_what_stands_in_the_way_of_measuring_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(variant: Variant, processes: int = 1) -> None:
        contenders = line_up([AIRLESS], fields=False, processes=processes)
        run.measure(variant, contenders, 1, tmp_path / "python", tmp_path, tmp_path)

    with pytest.raises(SystemExit, match="takes 4096 cores"):
        measure(Variant(20), processes=4096)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    with pytest.raises(SystemExit, match=r"apt-get install .* python3-doc"):
        measure(Variant(real=docs.DOCUMENTATION))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="nginx-light util-linux coreutils"):
        measure(Variant(20))


def test_less_than_one_process_is_refused() -> None:
    command = [sys.executable, "-m", "benchmarks", "crawl", "--processes", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "at least 1" in done.stderr


def test_every_peer_of_both_races_is_looked_for(tmp_path: Path) -> None:
    lacking = peers.missing(line_up(None, fields=True), tmp_path / "python")
    assert lacking == {
        "scrapy_fields": "Scrapy, uvloop",
        "scrapy_fields_expert": "Scrapy, selectolax, orjson, uvloop",
    }
