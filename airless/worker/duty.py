"""What each process of a worker is there for: a value that travels to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Duty:
    """The engine, and what is served on it: crawls, and operators as pairs of topic and target.

    `concurrency` bounds the requests that a process has under way, `messages` those that an operator works on at once.
    Who dies is waited for as long as `lease_s`; who is told to stop lets go after `grace_s`.
    """

    engine_url: str
    operators: tuple[tuple[str, str], ...] = ()
    crawls: bool = True
    concurrency: int = 256
    messages: int = 16
    lease_s: float = 30.0
    grace_s: float = 25.0
    log_level: int = 20
    log_format: str = "text"
