"""The links that were offered lately, by how pages spell them: bounded memories of most repeats that never mislead.

What they hold was offered, so whoever has them must be sure that the offers hold: a commit that fails takes with it
what it would have made durable, and then they have to go, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airless.crawl.offered import Offered
from airless.crawl.scan import PageFollow, spellings

if TYPE_CHECKING:
    from airless._speed import Spellings

_LINKS = 1 << 18
_URLS_OF = 16


class Met:
    """So many `links` at least; of URLs that a spider lists itself fewer, which are kept as they are."""

    __slots__ = ("_of_trees", "_older", "_recent", "_scanned", "links")

    def __init__(self, links: int = _LINKS) -> None:
        self.links = links
        self._scanned = spellings(links)
        self._of_trees: Offered | None = None
        self._recent: set[str] = set()
        self._older: set[str] = set()

    def of(self, follow: PageFollow) -> Spellings | Offered:
        """The memory for the links of pages like this one, scanned or parsed."""
        if not follow.of_tree and self._scanned is not None:
            return self._scanned
        if self._of_trees is None:
            self._of_trees = Offered(2 * self.links)
        return self._of_trees

    def knows(self, url: str) -> bool:
        """Whether the very same spelling was offered a short while ago; it is met now."""
        if url in self._recent or url in self._older:
            return True
        if len(self._recent) >= self.links // _URLS_OF:
            self._older, self._recent = self._recent, set()
        self._recent.add(url)
        return False
