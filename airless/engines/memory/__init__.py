"""The memory engine: a real queue in one process, for tests and for work that may vanish with it.

Consumers of one `MemoryStore` share its topics as processes share a database; `MemoryEngine()` makes its own.
Everything happens between two awaits, so a commit is atomic: it is checked first, applied after.
"""

from airless.engines.memory.engine import MemoryEngine
from airless.engines.memory.store import MemoryStore

__all__ = ["MemoryEngine", "MemoryStore"]
