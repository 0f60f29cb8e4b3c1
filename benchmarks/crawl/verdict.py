"""Whether a contender's output is the site: every page once, with its title and fields, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .fields import Fields


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an output compares with what was expected: counts, and one example of each fault."""

    pages: int
    missing: int
    extra: int
    repeated: int
    wrong_titles: int
    wrong_fields: int = 0
    example: str = ""

    @property
    def right(self) -> bool:
        """Every page once, with its title and fields, and nothing else."""
        faults = (self.missing, self.extra, self.repeated, self.wrong_titles, self.wrong_fields)
        return not any(faults)


def verify(
    output: Path,
    expected: Mapping[str, str],
    fields: Mapping[str, Fields] | None = None,
    beside: Collection[str] = (),
) -> Verdict:
    """Judge JSON lines of at least `url` and `title`; white space in titles is collapsed.

    `expected` is the titles by address. With `fields` a page's line must have those as well, to the letter.
    Lines of addresses `beside` the pages don't count.
    """
    found: dict[str, str] = {}
    repeated: list[str] = []
    otherwise: list[str] = []
    with output.open(encoding="utf-8") as lines:
        for line in lines:
            item = json.loads(line)
            url = _canonical(item["url"])
            if url in beside:
                continue
            if url in found:
                repeated.append(url)
            found[url] = " ".join((item["title"] or "").split())
            if fields is not None and not _has(item, fields.get(url, {})):
                otherwise.append(url)
    missing = [url for url in expected if url not in found]
    extra = [url for url in found if url not in expected]
    wrong = [url for url, text in found.items() if url in expected and text != expected[url]]
    faults = {"missing": missing, "extra": extra, "repeated": repeated, "wrong title": wrong}
    faults["wrong field"] = otherwise
    example = "; ".join(f"{name}: {urls[0]}" for name, urls in faults.items() if urls)
    counts = (len(missing), len(extra), len(repeated), len(wrong), len(otherwise))
    return Verdict(len(found), *counts, example)


def _has(item: Mapping[str, Any], fields: Fields) -> bool:
    return all(item.get(name) == value for name, value in fields.items())


def _canonical(url: str) -> str:
    parts = urlsplit(url)
    query = "?" + "&".join(sorted(parts.query.split("&"))) if parts.query else ""
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path}{query}"
