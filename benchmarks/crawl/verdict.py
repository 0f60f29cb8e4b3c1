"""Whether a contender's output is the site: every page once, with its title, and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an output compares with what was expected: counts, and one example of each fault."""

    pages: int
    missing: int
    extra: int
    repeated: int
    wrong_titles: int
    example: str = ""

    @property
    def right(self) -> bool:
        """Every page once, with its title, and nothing else."""
        return not (self.missing or self.extra or self.repeated or self.wrong_titles)


def verify(output: Path, expected: dict[str, str]) -> Verdict:
    """Judge JSON lines of at least `url` and `title`; white space in titles is collapsed."""
    found: dict[str, str] = {}
    repeated: list[str] = []
    with output.open(encoding="utf-8") as lines:
        for line in lines:
            item = json.loads(line)
            url = _canonical(item["url"])
            if url in found:
                repeated.append(url)
            found[url] = " ".join((item["title"] or "").split())
    missing = [url for url in expected if url not in found]
    extra = [url for url in found if url not in expected]
    wrong = [url for url, text in found.items() if url in expected and text != expected[url]]
    faults = {"missing": missing, "extra": extra, "repeated": repeated, "wrong title": wrong}
    example = "; ".join(f"{name}: {urls[0]}" for name, urls in faults.items() if urls)
    return Verdict(len(found), len(missing), len(extra), len(repeated), len(wrong), example)


def _canonical(url: str) -> str:
    parts = urlsplit(url)
    query = "?" + "&".join(sorted(parts.query.split("&"))) if parts.query else ""
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path}{query}"
