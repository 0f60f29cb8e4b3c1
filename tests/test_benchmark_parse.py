"""The benchmark of a callback: its contenders find the same fields, and one that doesn't is found out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from airless import Response
from benchmarks import parse
from benchmarks.parse.contenders.fields import take
from benchmarks.parse.pages import PYTHON_DOC, library
from benchmarks.parse.run import AIRLESS, READERS, Took, differences, once, row

needs_pages = pytest.mark.skipif(not PYTHON_DOC.is_dir(), reason="needs Debian's package python3-doc")

PAGE = """<!DOCTYPE html><html lang="en"><head><meta name="generator" content="made up"><title>heaps</title>
<link rel="next" href="b.html"><link rel="prev" href="../a.html"><link rel="canonical" href="/heaps.html"></head>
<body><nav class="menu"><a class="reference internal" href="#push">push()</a></nav>
<ul class="this-page-menu"><li><a href="bugs.html">bug</a></li><li><a href="heaps.rst" rel="nofollow">src</a></li></ul>
<div class="related"><ul><li class="right"><a>index</a></li><li class="nav-item x"><a>Types</a></li></ul></div>
<div class="body"><section id="heaps"><h1><code><span>heaps</span></code> — queues</h1>
<p>Trees in <a class="reference external" href="https://lists.example/"><em>lists</em></a>.</p><p>More.</p>
<dl class="py function"><dt class="sig py" id="heaps.push"><span>push</span>(<em class="sig-param"><span class="n">
<span>heap</span></span></em>, <em class="sig-param"><span class="n"><span>item</span></span></em>)</dt>
<dd><p><span class="versionmodified added">New in 3.0: </span>It grows.</p></dd></dl>
<dl class="py data"><dt id="heaps.EMPTY">EMPTY</dt></dl>
<div class="admonition note"><p>Note</p><p>Not <b>sorted</b>.</p></div>
<section><h2>Use<a class="headerlink">¶</a></h2><div class="highlight"><pre><span>push</span>(h, <i>1</i>)</pre></div>
<img src="tree.png"><table class="docutils"><tbody><tr><th>a</th><td>1 <b>2</b></td></tr></tbody></table></section>
</section></div></body></html>"""


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_the_callback_takes_twenty_fields() -> None:
    found = take(Response.from_bytes("https://docs.example/heaps.html", PAGE.encode()))
    assert len(found) == 20
    functions = [
        {"name": "heaps.push", "signature": "push(\nheap, item)", "parameters": ["heap", "item"]},
    ]
    assert found == {
        "title": "heaps",
        "language": "en",
        "generator": "made up",
        "canonical": "/heaps.html",
        "previous": "../a.html",
        "next": "b.html",
        "source": "heaps.rst",
        "heading": "heaps — queues",
        "lead": "Trees in lists.",
        "breadcrumbs": ["Types"],
        "contents": ["#push"],
        "sections": ["Use"],
        "data": ["heaps.EMPTY"],
        "changes": ["New in 3.0: "],
        "references": ["https://lists.example/"],
        "images": ["tree.png"],
        "functions": functions,
        "notes": ["NoteNot sorted."],
        "examples": ["push(h, 1)"],
        "tables": [[["a", "1 2"]]],
    }


@needs_pages
def test_lxml_by_hand_finds_the_same_fields_on_real_pages(tmp_path: Path) -> None:
    pages = library(quick=True)
    ours, theirs = (
        once(READERS[name], Path(sys.executable), pages, tmp_path) for name in (AIRLESS, "lxml by hand")
    )
    assert differences(ours.digests, theirs.digests, pages) == []
    assert len(ours.digests) == len(pages) > 30
    assert len({page["functions"] for page in ours.digests}) > 10


@needs_pages
def test_without_the_peers_airless_is_measured_alone_and_they_are_named(tmp_path: Path) -> None:
    table = parse.measure(quick=True, runs=1, peers_python=tmp_path / "python")
    assert [each["contender"] for each in table.rows] == [AIRLESS]
    assert table.notes["left_out"] == {"parsel": "parsel", "lxml by hand": "lxml"}
    assert table.notes["differences"] == {}
    only = table.rows[0]
    assert (only["same"], only["times_airless"]) == (True, 1.0)
    assert min(only["tree_us"], only["us_a_page"], only["pages_per_s"]) > 0


def test_where_the_pages_are_missing_it_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="apt-get install python3-doc"):
        library(tmp_path)


def test_a_field_that_differs_is_named_with_its_page() -> None:
    pages = [Path("a.html"), Path("b.html")]
    ours = [{"title": "1", "tables": "2"}, {"title": "3", "tables": "4"}]
    theirs = [{"title": "1", "tables": "2"}, {"title": "3", "tables": "5"}]
    assert differences(ours, ours, pages) == []
    assert differences(ours, theirs, pages) == ["b.html: tables"]


def test_a_row_is_of_medians_and_says_whether_the_fields_are_the_same() -> None:
    ours = [Took(1.0, each, [], {}) for each in (4.0, 5.0, 90.0)]
    theirs = [Took(2.0, each, [], {}) for each in (10.0, 9.0, 11.0)]
    found = row("other", theirs, ours, ["b.html: tables"])
    assert found == {
        "contender": "other",
        "pages_per_s": 100_000.0,
        "us_a_page": 10.0,
        "tree_us": 2.0,
        "fields_us": 8.0,
        "times_airless": 2.0,
        "same": False,
        "all_us_a_page": [10.0, 9.0, 11.0],
    }
