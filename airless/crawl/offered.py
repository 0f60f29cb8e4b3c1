"""Which links of parsed pages a crawl was offered lately, by their spelling: a bounded memory of most repeats."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

# Eight bytes each.
_SLOTS = 1 << 19
_FIRST_SLOTS = 1 << 10


class Offered:
    """Hashes of links in a table of bounded size, where of two that want one slot the later stays.

    What was forgotten reads as new, what is held never does. Two links of one hash, of which the second would
    be hidden, are met once in some 10**13 offers; a page can't contrive them, as Python's hash of strings is keyed.
    It grows up to so many `slots`, a power of two.
    """

    __slots__ = ("_added", "_mask", "_most", "_slots")

    def __init__(self, slots: int = _SLOTS) -> None:
        self._most = slots
        first = min(slots, _FIRST_SLOTS)
        self._mask = first - 1
        self._slots = array("q", [-1]) * first  # no hash of Python's is -1
        self._added = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the table."""
        return len(self._slots) * self._slots.itemsize

    def add(self, key: str) -> bool:
        """Take down the key of a canonical URL; True if it was not met lately."""
        hashed = hash((None, key))
        at = hashed & self._mask
        if self._slots[at] == hashed:
            return False
        self._slots[at] = hashed
        self._count(1)
        return True

    def unmet(self, references: Iterable[str], base: str) -> list[str]:
        """Those of a page's references, as they are written, that lead where none of lately leads; they are met now.

        `base` is a canonical http(s) URL. Of it counts as little as is safe, so that a spelling that stands on
        every page of a site is met once. An absolute URL that is canonical is met as its own key.
        """
        authority = base[: base.index("/", 8)]
        directory = base.partition("?")[0].rpartition("/")[0]
        slots, mask = self._slots, self._mask
        found = []
        for reference in references:
            first = reference[:1]
            scope: str | None
            if first == "/":
                scope = authority
            elif first in "hH" and ":" in reference:
                # "http:?x" is relative, for all its scheme.
                scope = None if reference.startswith(("http://", "https://")) else base
            elif first <= " " or first in "?#":
                scope = base
            else:
                scope = directory
            hashed = hash((scope, reference))
            at = hashed & mask
            if slots[at] != hashed:
                slots[at] = hashed
                found.append(reference)
        self._count(len(found))
        return found

    def _count(self, added: int) -> None:
        """Note what was put in, and grow where the table gets full."""
        self._added += added
        room = len(self._slots)
        if self._added <= room // 2 or room >= self._most:
            return
        room = min(self._most, 4 * room)
        held = [hashed for hashed in self._slots if hashed != -1]
        slots, mask = array("q", [-1]) * room, room - 1
        for hashed in held:
            slots[hashed & mask] = hashed
        self._slots, self._mask, self._added = slots, mask, len(held)
