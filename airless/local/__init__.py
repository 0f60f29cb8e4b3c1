"""The local host: operators and crawls in this process, on an embedded engine."""
