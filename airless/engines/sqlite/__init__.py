"""The sqlite engine: queue, state and objects in one file, for any number of processes of one machine.

One thread owns the connection, a commit is one transaction, and who dies loses its leases at once.
"""

from airless.engines.sqlite.engine import SqliteEngine

__all__ = ["SqliteEngine"]
