"""The pages that the stages work on: some of the generated site that `crawl` is measured on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.crawl import markup
from benchmarks.crawl.pages import Site

SITE = Site(20_000, 8080)


@dataclass(frozen=True, slots=True)
class Sample:
    """Addresses and bytes of pages, and how many URLs are known while others are looked up."""

    urls: tuple[str, ...]
    bodies: tuple[bytes, ...]
    known: int

    @classmethod
    def of(cls, pages: int, known: int) -> Sample:
        """`pages` pages from all over the site."""
        filler = markup.filler()
        numbers = random.Random(1).sample(range(SITE.pages), pages)
        return cls(
            tuple(SITE.url(number) for number in numbers),
            tuple(SITE.body(number, filler).encode() for number in numbers),
            known,
        )

    def __len__(self) -> int:
        return len(self.urls)

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        return zip(self.urls, self.bodies, strict=True)
