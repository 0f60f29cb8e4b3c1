"""The ports: what an engine gives. Each is small, and each has one contract suite that every engine passes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from airless.core.message import Message


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as the engine hands it out: raw, and leased to this consumer.

    `receipt` names the lease. `id` is the id the engine knows it by, which the wire's own overrides.
    """

    topic: str
    body: bytes
    id: str
    receipt: str
    attempt: int = 0
    ordering_key: str | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a delivery ends: done, or again after `delay_s`; `charge` counts the attempt.

    `dead` is the error for which it is given up, where the queue keeps dead letters (`DeadLetters`); to others it
    is done.
    """

    delivery: Delivery
    again: bool = False
    delay_s: float = 0.0
    charge: bool = True
    dead: str | None = None

    @classmethod
    def done(cls, delivery: Delivery) -> Settlement:
        return cls(delivery)

    @classmethod
    def retry(cls, delivery: Delivery, delay_s: float = 0.0, *, charge: bool = True) -> Settlement:
        return cls(delivery, again=True, delay_s=delay_s, charge=charge)

    @classmethod
    def given_up(cls, delivery: Delivery, error: str) -> Settlement:
        return cls(delivery, dead=error)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up. `error` says why; it is empty where nobody could: its consumers died of it."""

    id: str
    error: str
    ordering_key: str | None = None


@dataclass(frozen=True, slots=True)
class Depth:
    """What waits on a topic: messages that can be had now, are delayed, are leased; `weight` sums all three."""

    ready: int
    delayed: int
    leased: int
    weight: int

    @property
    def messages(self) -> int:
        return self.ready + self.delayed + self.leased


@dataclass(frozen=True, slots=True)
class Versioned:
    """State as it was loaded: opaque version, opaque bytes."""

    version: str
    data: bytes


@dataclass(frozen=True, slots=True)
class StateWrite:
    """A compare-and-set: `expected` is the version it must be at, None where it must not exist yet."""

    key: str
    data: bytes
    expected: str | None


@dataclass(frozen=True, slots=True)
class Commit:
    """The end of an invocation, as one thing: all of it happens, once, or nothing does."""

    put: Mapping[str, bytes] = field(default_factory=dict)
    state: Sequence[StateWrite] = ()
    publish: Sequence[Message] = ()
    settle: Sequence[Settlement] = ()
    delete: Sequence[str] = ()


class Queue(Protocol):
    """Topics. At least once; nothing is gone before it is settled as done.

    While a message with an ordering key is leased, others of that key go to nobody else, and they come in the order
    in which they were published; what is retried or had to wait goes behind. A consumer is one
    opened engine.

    Engines with transactions promise more: a message published with the id of one that is still waiting on the
    topic is that message, and the second is ignored; higher priority comes first, then what could be had first,
    then as published; the consumer that leases a message of a key may have more of that key. Elsewhere a double may
    come (or be ignored for some minutes, even when the first is done: ids are not used again), order holds within a
    key alone, and a key's next message may come only when the one before is settled.
    """

    async def publish_many(self, messages: Sequence[Message]) -> None:
        """Durable when it returns: all of them or, on an error, none.

        Engines without transactions: on an error some may be out; to publish all once more is right.
        """
        ...

    async def receive(
        self,
        topic: str,
        *,
        limit: int,
        lease_s: float,
        wait_s: float = 0.0,
        keys: Sequence[str] | None = None,
    ) -> list[Delivery]:
        """Up to `limit` messages, leased for `lease_s`; an empty list if none came in `wait_s`.

        `keys` asks for these ordering keys alone. It is a hint: engines that can't select deliver what comes.
        Brokers lease for whole seconds, at least as long as asked, and see what was published a moment later.
        """
        ...

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """End leases. Raises LeaseLost, with nothing applied, where one of them is no longer ours.

        A lease that ran out and was given to nobody else may still be ours. Engines without transactions: it is
        lost; and where it turns out late that one is lost, the others are settled, which to do again is no error.
        """
        ...

    async def extend(self, deliveries: Sequence[Delivery], lease_s: float) -> None:
        """Hold the leases until `lease_s` from now. Raises LeaseLost."""
        ...

    async def depth(self, topic: str) -> Depth:
        """What waits on a topic (exact on the embedded engines, an estimate elsewhere)."""
        ...


@runtime_checkable
class TopicsBelow(Protocol):
    """A queue of a broker that workers poll: one receive may take from all topics below a name.

    Everything else holds as for `Queue`.
    """

    async def receive(
        self,
        topic: str,
        *,
        limit: int,
        lease_s: float,
        wait_s: float = 0.0,
        keys: Sequence[str] | None = None,
    ) -> list[Delivery]:
        """As `Queue.receive`. A `topic` that ends in ``/*`` means every topic below it, at whatever depth.

        Each delivery bears its own topic, in full. The topics get their turns: one with a long queue doesn't keep the
        others waiting. A topic that begins while somebody waits is his as well. Publishing to a topic of such a name,
        and its depth, mean that very name.
        """
        ...

    async def topics(self, name: str) -> list[str]:
        """The topics that a receive from `name` would take from, those alone on which something waits; in order."""
        ...


@runtime_checkable
class DeadLetters(Protocol):
    """A queue that keeps what was given up, with its error, until somebody brings it back or its time is over."""

    async def redrive(self, topic: str) -> int:
        """Publish a topic's dead letters again, their attempts counted from 0; how many there were."""
        ...

    async def letters(self, topic: str, *, limit: int) -> list[DeadLetter]:
        """Up to `limit` of a topic's dead letters, which stay where they are."""
        ...


@runtime_checkable
class Searchable(Protocol):
    """A queue that can be looked through by somebody who leases nothing of it."""

    def bodies(self, topic: str, key: str) -> AsyncGenerator[bytes, None]:
        """At least all of a topic's messages with that key that are not done: ready, delayed or leased; in no order."""
        ...


class State(Protocol):
    """Small documents changed by compare-and-set only."""

    async def load(self, key: str) -> Versioned | None: ...

    async def commit(self, write: StateWrite) -> str:
        """The new version. Raises Conflict where `expected` is not the version it is at."""
        ...

    def list(self, prefix: str) -> AsyncIterator[str]:
        """The keys that start with a prefix, in order."""
        ...


class Objects(Protocol):
    """Blobs by name."""

    async def put(self, name: str, data: bytes) -> None: ...

    async def put_if_absent(self, name: str, data: bytes) -> bool:
        """False, and nothing written, where the name is taken."""
        ...

    async def get(self, name: str) -> bytes | None: ...

    async def delete(self, names: Sequence[str]) -> None:
        """Names that are not there are no error. An empty name deletes nothing."""
        ...

    def list(self, prefix: str) -> AsyncIterator[str]:
        """The names that start with a prefix, in order."""
        ...


class Secrets(Protocol):
    """What must not stand in code or in messages. A value that was changed may be given out for a short while yet."""

    async def get(self, name: str) -> str | None:
        """The value; None where there is none of this name."""
        ...


class Schedules(Protocol):
    """Messages that come at their times, at least once each, with an id that follows from schedule and time."""

    async def put(self, name: str, when: str, message: Message, *, timezone: str = "UTC") -> None:
        """Make a schedule, or replace the one of this name.

        `when` is cron's five fields (``0 6 * * MON-FRI``) or a rate (``rate(5 minutes)``). Raises ConfigError where
        it can't be read, and where the engine can't send such a message at a time.
        """
        ...

    async def delete(self, name: str) -> None:
        """A name that is not there is no error."""
        ...

    def list(self) -> AsyncIterator[str]:
        """The names, in order."""
        ...


class Engine(Protocol):
    """What the user already pays for, behind one URL. Opening it makes a consumer; whoever opens it closes it."""

    @property
    def queue(self) -> Queue: ...

    @property
    def state(self) -> State: ...

    @property
    def objects(self) -> Objects: ...

    @property
    def atomic(self) -> bool:
        """A commit is one transaction. Otherwise it goes in steps, and who loses it has put his objects."""
        ...

    async def commit(self, commit: Commit) -> tuple[str, ...]:
        """Apply a commit; the new versions of `commit.state`, in its order.

        Raises Conflict, LeaseLost or StorageFull with nothing applied (engines without transactions: with nothing
        applied that a replay would not apply again to the same effect).
        """
        ...

    async def aclose(self) -> None: ...
