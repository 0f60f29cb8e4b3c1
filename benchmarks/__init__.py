"""Benchmarks: each module asks one question in its first line. ``python -m benchmarks NAME [--quick]``."""
