"""How leases end: done, again later, or given up; here or handed back when the engine closes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from airless.core.at_once import each
from airless.core.clock import Clock
from airless.core.errors import EngineError, LeaseLost
from airless.core.ports import Delivery, Settlement
from airless.engines.nats.arrived import Arrived
from airless.engines.nats.bells import Place
from airless.engines.nats.claims import Claims
from airless.engines.nats.cleaning import Cleaning
from airless.engines.nats.keyed import Keyed
from airless.engines.nats.lanes import Move
from airless.engines.nats.leases import Holding, Lease, Leases, lost
from airless.engines.nats.unkeyed import DONE, Unkeyed, again

T = TypeVar("T")
R = TypeVar("R")

# Lanes are written side by side, so many at a time.
_AT_ONCE = 64


class Ending:
    """Ends the leases of one consumer."""

    def __init__(
        self,
        leases: Leases,
        keyed: Keyed,
        unkeyed: Unkeyed,
        cleaning: Cleaning,
        claims: Claims,
        clock: Clock,
    ) -> None:
        self._leases = leases
        self._keyed = keyed
        self._unkeyed = unkeyed
        self._cleaning = cleaning
        self._claims = claims
        self._clock = clock

    async def settle(self, settlements: Sequence[Settlement]) -> dict[Place, int]:
        """As `Queue.settle`. The messages of a key end as one; else each ends for itself. As `freed`."""
        leases = {
            lease.delivery.receipt: lease
            for lease in self._leases.check(settlement.delivery for settlement in settlements)
        }
        ours = [(one, leases[one.delivery.receipt]) for one in settlements if one.delivery.receipt in leases]
        gone = [lease for lost in await _all(self._end, _by_lane(ours)) for lease in lost]
        self._leases.forget(gone)
        failed = bool(gone)
        for _, lease in ours:
            if lease not in gone:
                self._leases.end(lease, again=failed)
        await self._claims.drop(
            [
                lease.arrived.tag.claim
                for one, lease in ours
                if lease not in gone and not one.again and one.dead is None and lease.arrived.tag.claim
            ]
        )
        if gone:
            raise lost(gone[0].delivery)
        return freed((lease, one.again) for one, lease in ours)

    async def extend(self, deliveries: Sequence[Delivery], lease_s: float) -> None:
        """As `Queue.extend`; all that is held of a lane is held until then."""
        leases = self._leases.check(deliveries)
        if len(leases) < len(deliveries):
            raise LeaseLost("a message whose lease is to be extended has been settled")
        since = self._clock.monotonic()
        unkeyed = [lease for lease in leases if lease.holding is None]
        deaf = await self._unkeyed.tell({lease.arrived.ack: again(lease_s) for lease in unkeyed})
        for lease in unkeyed:
            lease.held_until = 0.0 if lease.arrived.ack in deaf else since + lease_s
        held = {lease.holding for lease in leases if lease.holding is not None}
        await _all(lambda holding: self._keyed.extend(holding, lease_s), held)
        for lease in leases:
            if lease.until <= since:
                self._leases.forget([lease])
                raise lost(lease.delivery)

    async def give_up(self, arrived: Arrived, holding: Holding | None) -> None:
        """Put a message that its consumers always died of among the dead letters, before anybody gets it again."""
        await self._move(arrived, holding, Move(arrived.attempt, dead=""))

    async def drop(self, arrived: Arrived, holding: Holding | None) -> None:
        """End a message whose body is gone, so that it was done once already."""
        if holding is None:
            await self._done([arrived])
        elif await self._keyed.settle(holding, [arrived.seq], {}, []):
            await self._keyed.clean(holding, [arrived.seq], {})

    async def hand_back(self, taken: Sequence[tuple[Arrived, Holding | None]]) -> None:
        """Uncharged: messages of a key to their places, others behind."""
        lanes: dict[Holding, list[int]] = {}
        for arrived, holding in taken:
            if holding is None:
                await self._move(arrived, None, Move(arrived.attempt))
            else:
                lanes.setdefault(holding, []).append(arrived.seq)
        await _all(lambda lane: self._keyed.settle(lane[0], [], {}, lane[1]), lanes.items())

    async def _move(self, arrived: Arrived, holding: Holding | None, move: Move) -> None:
        if holding is None:
            await self._cleaning.send({arrived.seq: (arrived, move)})
            await self._done([arrived])
        elif await self._keyed.settle(holding, [], {arrived.seq: (arrived, move)}, []):
            await self._keyed.clean(holding, [], {arrived.seq: (arrived, move)})

    async def _end(self, lane: tuple[Holding | None, Sequence[tuple[Settlement, Lease]]]) -> list[Lease]:
        """Those that turned out lost."""
        holding, part = lane
        if holding is None:
            return await self._end_unkeyed(part)
        return [] if await self._end_lane(holding, part) else [lease for _, lease in part]

    async def _end_lane(self, holding: Holding, part: Sequence[tuple[Settlement, Lease]]) -> bool:
        done = [lease.arrived.seq for one, lease in part if not one.again and one.dead is None]
        moved = {
            lease.arrived.seq: (lease.arrived, self._where(one))
            for one, lease in part
            if one.again or one.dead is not None
        }
        if not await self._keyed.settle(holding, done, moved, []):
            return False
        for _, lease in part:  # it is decided, even where the rest fails
            self._leases.end(lease, again=True)
        await self._keyed.clean(holding, done, moved)
        return True

    async def _end_unkeyed(self, part: Sequence[tuple[Settlement, Lease]]) -> list[Lease]:
        """Those that turned out lost."""
        moved, ended, waiting = dict[int, tuple[Arrived, Move]](), list[Arrived](), dict[str, bytes]()
        for one, lease in part:
            if one.again and one.charge:
                waiting[lease.arrived.ack] = again(one.delay_s)
                continue
            ended.append(lease.arrived)
            if one.again or one.dead is not None:
                moved[lease.arrived.seq] = (lease.arrived, self._where(one))
        await self._cleaning.send(moved)
        deaf = await self._unkeyed.tell(waiting)
        await self._done(ended)
        return [lease for _, lease in part if lease.arrived.ack in deaf]

    async def _done(self, ended: Sequence[Arrived]) -> None:
        """End messages; also those of which the server has forgotten that it handed them out."""
        deaf = await self._unkeyed.tell({arrived.ack: DONE for arrived in ended})
        await self._cleaning.delete([arrived.seq for arrived in ended if arrived.ack in deaf])

    def _where(self, one: Settlement) -> Move:
        attempt = one.delivery.attempt + one.charge
        due = self._clock.now() + one.delay_s if one.delay_s > 0 else 0.0
        return Move(attempt, 0.0 if one.dead is not None else due, one.dead if not one.again else None)


def freed(ended: Iterable[tuple[Lease, bool]]) -> dict[Place, int]:
    """Where something can be had after leases have ended, and how many, 0 where nobody knows; True is for again."""
    places: dict[Place, int] = {}
    for lease, comes_back in ended:
        place = lease.delivery.topic, lease.delivery.ordering_key
        if lease.holding is not None:
            places.setdefault(place, lease.holding.more)
        if comes_back:
            places[place] = places.get(place, 0) + 1
    return places


async def _all(call: Callable[[T], Awaitable[R]], lanes: Iterable[T]) -> list[R]:
    """Call for each; one that fails keeps no other from its end. Raises the first EngineError."""

    async def outcome(lane: T) -> R | EngineError:
        try:
            return await call(lane)
        except EngineError as error:
            return error

    ended: list[R] = []
    failed: list[EngineError] = []
    for one in await each(outcome, lanes, at_once=_AT_ONCE):
        if isinstance(one, EngineError):
            failed.append(one)
        else:
            ended.append(one)
    if failed:
        raise failed[0]
    return ended


def _by_lane(
    ours: Sequence[tuple[Settlement, Lease]],
) -> list[tuple[Holding | None, list[tuple[Settlement, Lease]]]]:
    lanes: dict[Holding | None, list[tuple[Settlement, Lease]]] = {}
    for one, lease in ours:
        lanes.setdefault(lease.holding, []).append((one, lease))
    return list(lanes.items())
