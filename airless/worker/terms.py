"""On what terms a worker crawls: time costs nothing, others may wait for the place, and who dies should lose little."""

from __future__ import annotations

from collections.abc import Callable

from airless.core.clock import Clock
from airless.crawl.places import Places
from airless.functions.crawl import Terms
from airless.functions.deadline import Deadline

STINT_S = 60.0
"""A batch gives its shard up after this, so that what was published for it meanwhile comes in too."""

# What is under way then may end: a fetch is given up by its own time-out.
_FETCH_S = 300.0
_COMMIT_S = 5.0
# Who dies loses no more than this of what he did.
_FIRST_COMMIT_S, _RAREST_COMMIT_S = 0.1, 1.5
# A host that can't be asked for longer is waited for by the queue, where others wait for the place.
_WAIT_AT_MOST_S = 5.0
# Who pauses a crawl waits for it; to look costs a broker next to nothing.
_LOOK_S = 1.0
_JOBS = 16


def terms_of(places: Places, crowded: Callable[[], bool]) -> Terms:
    """The terms of a process: `places` for its requests, and whether others wait for the place of what waits."""
    return Terms(
        wait_at_most_s=_WAIT_AT_MOST_S,
        commit_s=_FIRST_COMMIT_S,
        rarest_commit_s=_RAREST_COMMIT_S,
        look_s=_LOOK_S,
        jobs=_JOBS,
        crowded=crowded,
        places=places,
    )


def deadline_of(clock: Clock) -> Deadline:
    """That of a batch which begins now."""
    whole_s = STINT_S + _FETCH_S + _COMMIT_S
    return Deadline(
        at_s=clock.now() + whole_s,
        monotonic_s=clock.monotonic() + whole_s,
        began_s=clock.monotonic(),
        commit_s=_COMMIT_S,
        finish_s=_FETCH_S,
    )
