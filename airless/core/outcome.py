"""How the work on a message ends, and what runs it: the words that the core and the operators share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from airless.core.message import Message
from airless.core.ports import Delivery, StateWrite


@dataclass(frozen=True, slots=True)
class Effects:
    """What a message's work brings about, once, when the message is done: the fields of a commit."""

    publish: Sequence[Message] = ()
    put: Mapping[str, bytes] = field(default_factory=dict)
    state: Sequence[StateWrite] = ()
    delete: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """The work succeeded; its effects happen in the commit that acknowledges the message."""

    effects: Effects = field(default_factory=Effects)


@dataclass(frozen=True, slots=True)
class Again:
    """The message goes back to the broker for `delay_s`; `charge` counts this as one of its tries."""

    delay_s: float = 0.0
    charge: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Dead:
    """The message is given up: reported on the error topic or, unless `publish`, put raw into the sink."""

    error: str
    publish: bool = True


@dataclass(frozen=True, slots=True)
class Lost:
    """Another consumer has the message by now; nothing of the work here was applied."""


Outcome = Done | Again | Dead | Lost


@dataclass(frozen=True, slots=True)
class Ended:
    """A message at its end. `message` is None where the bytes could not be decoded."""

    delivery: Delivery
    message: Message | None
    outcome: Outcome
    elapsed_s: float = 0.0


class Runner(Protocol):
    """What does the work on messages: an operator, as the core sees it."""

    @property
    def input_type(self) -> str:
        """``event``, ``file`` or ``http``, for error reports."""
        ...

    @property
    def batch_size(self) -> int:
        """How many messages it takes in one call."""
        ...

    async def run(self, messages: Sequence[Message]) -> Sequence[Outcome | BaseException]:
        """The end of each message, in their order: an exception is judged by the retry policy.

        May be called again while it runs. Raising fails every message of the call.
        """
        ...
