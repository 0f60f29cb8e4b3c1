"""A crawl of real pages reaches what their own links reach: no page less, none more, none twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.files import FileSite, walk

PYTHON_DOC = Path("/usr/share/doc/python3-doc/html")


@pytest.mark.skipif(not PYTHON_DOC.is_dir(), reason="needs Debian's package python3-doc")
@pytest.mark.parametrize("processes", [1, 2])
def test_a_crawl_of_real_pages_finds_exactly_what_their_links_reach(tmp_path: Path, processes: int) -> None:
    with FileSite(PYTHON_DOC) as site:
        expected = walk(site.root, site.origin, "/index.html")
        command = [sys.executable, "-m", "airless", "crawl", f"{site.origin}/index.html", "--quiet"]
        command += ["-o", str(tmp_path / "pages.jsonl"), "--state", str(tmp_path / "state")]
        command += ["--stats", str(tmp_path / "stats.json"), "--processes", str(processes)]
        subprocess.run(command, check=True)
        asked = dict(site.asked)
    items = [json.loads(line) for line in (tmp_path / "pages.jsonl").read_text().splitlines()]
    stats = json.loads((tmp_path / "stats.json").read_text())
    urls = [item["url"] for item in items]
    assert len(expected) > 500
    assert set(urls) == expected
    assert len(urls) == len(set(urls))
    assert max(number for path, number in asked.items() if path != "/robots.txt") == 1
    assert stats["fetched"] == len(expected)
    assert stats["balanced"] is True
