"""A commit as one script: what it puts, writes, settles, publishes and deletes happens as a whole, once."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from airless.core.codec import encode
from airless.core.errors import Conflict, LeaseLost, MessageError, MessageTooLarge
from airless.core.message import Message
from airless.core.ports import Commit, Delivery, Settlement, StateWrite
from airless.engines.redis.leases import Lease
from airless.engines.redis.server import Server, Value

_DONE, _CONFLICT = 0, 1
_NUMBERS = struct.Struct(">qqqq")
_PLAIN = (0, 1, 0, 0)
# The server takes 1 GiB of a call that it has not read to its end, and no more than a million arguments.
_MOST_BYTES = 512 * 1024 * 1024
_MOST_ARGUMENTS = 1_000_000


class Committing:
    """One consumer's commits."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def apply(self, commit: Commit) -> tuple[str, ...]:
        """All of it; the new versions. Raises Conflict, LeaseLost or StorageFull with nothing applied."""
        return await self.send(arguments(commit), commit.state)

    async def publish(self, items: Sequence[tuple[Message, bytes]]) -> None:
        """Messages with their bodies as they are, all of them or none."""
        await self.send(_arguments(publish=items))

    async def hand_back(self, deliveries: Sequence[Delivery | Lease]) -> None:
        """Uncharged and in their old place; those that are no longer ours are no error."""
        if deliveries:
            await self.send(_arguments(back=deliveries))

    async def send(self, args: Sequence[Value], state: Sequence[StateWrite] = ()) -> tuple[str, ...]:
        answer = await self._server.once("commit", args)
        if answer[0] == _CONFLICT:
            raise Conflict(answer[1].decode())
        if answer[0] != _DONE:
            raise LeaseLost(
                f"message {answer[2].decode()} on {answer[1].decode()!r} is no longer leased to this consumer"
            )
        return (answer[1].decode(),) * len(state)


def arguments(commit: Commit) -> list[Value]:
    """A commit as the script reads it. Raises MessageError, MessageTooLarge."""
    return _arguments(
        put=commit.put,
        state=commit.state,
        settle=commit.settle,
        publish=[(message, encode(message)) for message in commit.publish],
        delete=[name for name in commit.delete if name],
    )


def _arguments(
    *,
    put: Mapping[str, bytes] | None = None,
    state: Sequence[StateWrite] = (),
    settle: Sequence[Settlement] = (),
    back: Sequence[Delivery | Lease] = (),
    publish: Sequence[tuple[Message, bytes]] = (),
    delete: Sequence[str] = (),
) -> list[Value]:
    args: list[Value] = [len(put or ())]
    for name, data in (put or {}).items():
        args += (name, data)
    args.append(len(state))
    for write in state:
        # What can be no version must not be taken for none.
        expected = "" if write.expected is None else write.expected or "none"
        args += (write.key, expected, write.data)
    args.append(len(settle))
    for settlement in settle:
        args += _settling(settlement)
    args.append(len(back))
    for delivery in back:
        args += (delivery.topic, delivery.id, delivery.receipt)
    args.append(len(publish))
    for message, body in publish:
        args += _publishing(message, body)
    args.append(len(delete))
    args += delete
    size = sum(len(arg) for arg in args if not isinstance(arg, int))
    if size > _MOST_BYTES or len(args) > _MOST_ARGUMENTS:
        raise MessageTooLarge(f"a commit of {size} bytes in {len(args)} values is more than the server takes")
    return args


def _settling(settlement: Settlement) -> tuple[Value, ...]:
    delivery = settlement.delivery
    delay_us = round(max(0.0, settlement.delay_s) * 1e6)
    if settlement.again:
        how = "again" if settlement.charge else "uncharged"
    else:
        how = "done" if settlement.dead is None else "dead"
    return (delivery.topic, delivery.id, delivery.receipt, how, delay_us, settlement.dead or "")


def _publishing(message: Message, body: bytes) -> tuple[Value, ...]:
    due_us = round(max(0.0, message.not_before_s) * 1e6)
    numbers = (message.priority, message.weight, message.attempt, due_us)
    try:
        packed = b"" if numbers == _PLAIN else _NUMBERS.pack(*numbers)
    except struct.error as error:
        raise MessageError(f"a number of the message {message.id} is too large: {numbers}") from error
    key = "" if message.ordering_key is None else f"={message.ordering_key}"
    return (message.topic, message.id, key, packed, body)
