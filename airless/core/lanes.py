"""Which messages may run side by side: those of one ordering key never, in the order they came."""

from __future__ import annotations

from collections.abc import Sequence

from airless.core.ports import Delivery


def lanes(deliveries: Sequence[Delivery], batch_size: int) -> list[list[Delivery]]:
    """The deliveries as lanes, which are independent of each other.

    Those of an ordering key share a lane, however many they are; the others are packed, `batch_size` to a
    lane.
    """
    keyed: dict[str, list[Delivery]] = {}
    packed: list[list[Delivery]] = []
    in_order: list[list[Delivery]] = []
    for delivery in deliveries:
        if delivery.ordering_key is not None:
            lane = keyed.get(delivery.ordering_key)
            if lane is None:
                lane = keyed[delivery.ordering_key] = []
                in_order.append(lane)
        elif packed and len(packed[-1]) < batch_size:
            lane = packed[-1]
        else:
            lane = []
            packed.append(lane)
            in_order.append(lane)
        lane.append(delivery)
    return in_order
