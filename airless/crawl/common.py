"""What the shards of a crawl that one process works on know together: which pages need not be offered any more."""

from __future__ import annotations

from airless.crawl.scan import seen_set

# At most 15 bytes each, twice so many.
_MARKS = 1 << 16


class Common:
    """Marks that commits of this process have made durable, the latest `marks` of them at least.

    A page that its shard has, or that one has offered to it, need not be offered by others. What is held here is never
    wrong: when a crawl takes the name of another, its shards were born anew, and with the first all is forgotten.
    """

    __slots__ = ("_births", "_most", "generation", "marks")

    def __init__(self, marks: int = _MARKS) -> None:
        self._most = marks
        self.marks = seen_set(), seen_set()
        """What it knows: the latest, and what came before."""
        self._births: dict[int, str] = {}
        self.generation = 0
        """How often all was forgotten."""

    def meet(self, index: int, born: str) -> None:
        """Take note of a shard that comes here. One that was never here before may be another crawl's."""
        if self._births.get(index) != born:
            self._births[index] = born
            self.marks = seen_set(), seen_set()
            self.generation += 1

    def knows(self, mark: int) -> bool:
        """Whether a commit has held this mark, and no new shard has come since."""
        recent, older = self.marks
        return mark in recent or mark in older

    def add(self, packed: bytes, generation: int) -> None:
        """Marks, packed, of a commit that was begun in that generation and has succeeded."""
        if generation == self.generation:
            recent, _ = self.marks
            recent.update(packed)
            if len(recent) >= self._most:
                self.marks = seen_set(), recent
