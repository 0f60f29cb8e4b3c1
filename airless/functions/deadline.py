"""When an invocation has to be over, and what of its time is kept for ending it well."""

from __future__ import annotations

from dataclasses import dataclass

from airless.core.clock import Clock

_COMMIT, _LEAST_COMMIT_S, _MOST_COMMIT_S = 0.05, 0.3, 5.0
_FINISH, _LEAST_FINISH_S, _MOST_FINISH_S = 0.15, 0.3, 10.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """An end by the clock's two scales (`at_s` epoch, `monotonic_s`), and two margins before it.

    `began_s` is monotonic, too.
    `commit_s` are for the last commit and the answer. `finish_s` before those nothing more is started, and what is
    under way gets the time to end.
    """

    at_s: float
    monotonic_s: float
    began_s: float
    commit_s: float
    finish_s: float

    @classmethod
    def within(cls, left_s: float, clock: Clock) -> Deadline:
        """The end of an invocation that has `left_s` left; the margins are shares of that, within bounds."""
        return cls(
            at_s=clock.now() + left_s,
            monotonic_s=clock.monotonic() + left_s,
            began_s=clock.monotonic(),
            commit_s=min(_MOST_COMMIT_S, max(_LEAST_COMMIT_S, _COMMIT * left_s)),
            finish_s=min(_MOST_FINISH_S, max(_LEAST_FINISH_S, _FINISH * left_s)),
        )

    @property
    def cut_off_s(self) -> float:
        """When what is under way is let go of (epoch)."""
        return self.at_s - self.commit_s

    @property
    def stop_s(self) -> float:
        """When nothing more is started (epoch)."""
        return self.cut_off_s - self.finish_s
