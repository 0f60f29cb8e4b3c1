"""A disk that runs full stops a crawl with a clear message, and costs nothing: with room again it goes on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.site import Site

PAGES = 3_000

_NAMESPACE = ["unshare", "--mount", "--map-root-user", "sh", "-ec"]

_SCRIPT = """
mount -t tmpfs -o size={small} tmpfs {disk}
set +e
{crawl} 2> {folder}/errors
echo $? > {folder}/code
set -e
mount -o remount,size=100m {disk}
{crawl}
cp {disk}/pages.jsonl {folder}/delivered.jsonl
"""


def _can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*_NAMESPACE, "mount -t tmpfs tmpfs /mnt"], capture_output=True).returncode == 0


@pytest.mark.skipif(not _can_mount(), reason="needs a tmpfs in a mount namespace of its own")
@pytest.mark.parametrize("small", ["300k", "1200k"])
def test_a_full_disk_loses_nothing(tmp_path: Path, small: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with Site(PAGES) as site:
        crawl = f"{sys.executable} -m airless crawl {site.url} --job full --quiet --state {disk}/state"
        crawl += f" -o {disk}/pages.jsonl --stats {tmp_path}/stats.json"
        script = _SCRIPT.format(disk=disk, folder=tmp_path, crawl=crawl, small=small)
        subprocess.run([*_NAMESPACE, script], check=True)
        expected = site.urls()
    errors = (tmp_path / "errors").read_text()
    assert (tmp_path / "code").read_text().strip() == "130"
    assert "Error: " in errors
    assert "full" in errors or "No space left" in errors
    assert "nothing is lost" in errors
    assert "Traceback" not in errors
    urls = [json.loads(line)["url"] for line in (tmp_path / "delivered.jsonl").read_text().splitlines()]
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert len(urls) == len(set(urls))
    assert set(urls) == expected
    assert stats["balanced"]
    assert stats["fetched"] == PAGES
