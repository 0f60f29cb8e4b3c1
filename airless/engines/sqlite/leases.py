"""Leases: given, held, ended, taken from the dead. The caller has begun a transaction."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable, Sequence

from airless.core.errors import LeaseLost
from airless.core.ports import Delivery, Settlement
from airless.engines.sqlite.schema import DELAYED, READY


def promote(connection: sqlite3.Connection, topic: str, now: float) -> None:
    """Make ready what was delayed until now, and what is leased no longer.

    The receipt of a lease that ran out stays good until the message goes out again: who was merely late may
    still settle it.
    """
    connection.execute(
        "UPDATE messages SET stage = 0 WHERE topic = ? AND stage = 1 AND visible_at <= ?", (topic, now)
    )
    connection.execute(
        "UPDATE messages SET stage = 0 WHERE topic = ? AND stage = 2 AND lease_until <= ?", (topic, now)
    )


def lease(
    connection: sqlite3.Connection, topic: str, consumer: str, rows: Sequence[int], until: float
) -> list[Delivery]:
    """Lease rows that were chosen. Where a receipt is still there, a lease ran out: that attempt counts."""
    token = uuid.uuid4().hex
    numbers = json.dumps(rows)
    leased = connection.execute(
        "UPDATE messages SET stage = 2, attempt = attempt + (receipt IS NOT NULL), lease_until = ?,"
        " lease_owner = ?, receipt = seq || ':' || ? WHERE seq IN (SELECT value FROM json_each(?))"
        " RETURNING seq, id, key, attempt, receipt",
        (until, consumer, token, numbers),
    ).fetchall()
    bodies = dict(
        connection.execute(
            "SELECT seq, body FROM bodies WHERE seq IN (SELECT value FROM json_each(?))", (numbers,)
        )
    )
    by_seq = {
        seq: Delivery(
            topic=topic, body=bodies[seq], id=id, receipt=receipt, attempt=attempt, ordering_key=key
        )
        for seq, id, key, attempt, receipt in leased
    }
    return [by_seq[seq] for seq in rows]


def extend(
    connection: sqlite3.Connection, deliveries: Sequence[Delivery], consumer: str, now: float, lease_s: float
) -> None:
    """Hold leases until `lease_s` from now. Raises LeaseLost, also where a key has gone to somebody else."""
    rows, receipts = _receipts(deliveries)
    held = connection.execute(
        "UPDATE messages SET stage = 2, lease_until = ?1 WHERE seq IN (SELECT value FROM json_each(?2))"
        " AND receipt IN (SELECT value FROM json_each(?3)) AND (key IS NULL OR NOT EXISTS ("
        "SELECT 1 FROM messages AS other WHERE other.topic = messages.topic AND other.stage = 2"
        " AND other.key = messages.key AND other.lease_owner <> ?4 AND other.lease_until > ?5))",
        (now + lease_s, rows, receipts, consumer, now),
    ).rowcount
    _all_ours(held, deliveries)


def settle(connection: sqlite3.Connection, settlements: Sequence[Settlement], now: float) -> None:
    """End leases. Raises LeaseLost where one isn't the last that was given for its message."""
    done = [settlement.delivery for settlement in settlements if not settlement.again]
    again = [settlement for settlement in settlements if settlement.again]
    if done:
        rows, receipts = _receipts(done)
        connection.execute(
            "UPDATE topics SET messages = topics.messages - gone.number, weight = topics.weight - gone.weight"
            " FROM (SELECT topic, count(*) AS number, sum(weight) AS weight FROM messages"
            " WHERE seq IN (SELECT value FROM json_each(?)) GROUP BY topic) AS gone"
            " WHERE gone.topic = topics.topic",
            (rows,),
        )
        deleted = connection.execute(
            "DELETE FROM messages WHERE seq IN (SELECT value FROM json_each(?))"
            " AND receipt IN (SELECT value FROM json_each(?))",
            (rows, receipts),
        ).rowcount
        _all_ours(deleted, done)
        connection.execute("DELETE FROM bodies WHERE seq IN (SELECT value FROM json_each(?))", (rows,))
    if again:
        _give_back(connection, again, now)


def _give_back(connection: sqlite3.Connection, settlements: Sequence[Settlement], now: float) -> None:
    place = connection.execute("SELECT coalesce(max(seq), 0) FROM messages").fetchone()[0]
    for number, settlement in enumerate(settlements, 1):
        delay_s = max(0.0, settlement.delay_s)
        updated = connection.execute(
            "UPDATE messages SET stage = ?, visible_at = ?, place = ?, attempt = attempt + ?,"
            " lease_until = NULL, lease_owner = NULL, receipt = NULL WHERE seq = ? AND receipt = ?",
            (
                DELAYED if delay_s else READY,
                now + delay_s,
                place + number,
                int(settlement.charge),
                _row(settlement.delivery),
                settlement.delivery.receipt,
            ),
        ).rowcount
        _all_ours(updated, [settlement.delivery])


def release(connection: sqlite3.Connection, consumer: str) -> None:
    """Hand back what a consumer holds, uncharged and in its old place."""
    connection.execute(
        "UPDATE messages SET stage = 0, lease_until = NULL, lease_owner = NULL, receipt = NULL"
        " WHERE stage = 2 AND lease_owner = ?",
        (consumer,),
    )


def undo(connection: sqlite3.Connection, deliveries: Sequence[Delivery]) -> None:
    """Undo a lease that nobody received."""
    rows, receipts = _receipts(deliveries)
    connection.execute(
        "UPDATE messages SET stage = 0, lease_until = NULL, lease_owner = NULL, receipt = NULL"
        " WHERE seq IN (SELECT value FROM json_each(?)) AND receipt IN (SELECT value FROM json_each(?))",
        (rows, receipts),
    )


def owners(connection: sqlite3.Connection) -> list[str]:
    """The consumers that hold leases. Only reads."""
    row = connection.execute("SELECT json_group_array(DISTINCT lease_owner) FROM messages WHERE stage = 2")
    found: list[str] = json.loads(row.fetchone()[0])
    return found


def free(connection: sqlite3.Connection, consumers: Sequence[str]) -> None:
    """Take the leases of dead consumers from them; the attempt counts."""
    connection.execute(
        "UPDATE messages SET stage = 0, attempt = attempt + 1, lease_until = NULL, lease_owner = NULL,"
        " receipt = NULL WHERE stage = 2 AND lease_owner IN (SELECT value FROM json_each(?))",
        (json.dumps(consumers),),
    )


def _all_ours(changed: int, deliveries: Sequence[Delivery]) -> None:
    if changed != len(deliveries):
        names = ", ".join(f"{delivery.id} on {delivery.topic!r}" for delivery in deliveries[:3])
        lost = len(deliveries) - changed
        raise LeaseLost(
            f"{lost} of {len(deliveries)} messages are no longer leased to this consumer ({names}…)"
        )


def _receipts(deliveries: Iterable[Delivery]) -> tuple[str, str]:
    rows = [(_row(delivery), delivery.receipt) for delivery in deliveries]
    return json.dumps([row for row, _ in rows]), json.dumps([receipt for _, receipt in rows])


def _row(delivery: Delivery) -> int:
    number = delivery.receipt.partition(":")[0]
    return int(number) if number.isdecimal() and len(number) < 19 else 0
