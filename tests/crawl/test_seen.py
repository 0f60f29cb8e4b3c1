"""The seen set: exact, and small."""

import random
import sys
import tracemalloc

import pytest

from airless.crawl.seen import SeenSet, pack_fingerprints, unpack_fingerprints

MANY = 200_000


def _random(number: int, seed: int = 1) -> list[int]:
    rng = random.Random(seed)
    return [rng.getrandbits(64) for _ in range(number)]


def _bytes_of(seen: SeenSet) -> int:
    return sum(map(sys.getsizeof, seen._parts)) + sys.getsizeof(seen._parts)


def test_membership_is_exact_for_200k_fingerprints() -> None:
    fingerprints = _random(MANY)
    seen = SeenSet()
    for fingerprint in fingerprints[: MANY // 2]:
        assert seen.add(fingerprint)
    assert len(seen) == MANY // 2
    assert all(fingerprint in seen for fingerprint in fingerprints[: MANY // 2])
    assert not any(fingerprint in seen for fingerprint in fingerprints[MANY // 2 :])
    assert not any(map(seen.add, fingerprints[: MANY // 2]))
    assert len(seen) == MANY // 2


def test_it_iterates_in_order_each_once() -> None:
    fingerprints = _random(20_000)
    seen = SeenSet([*fingerprints, *fingerprints[:5_000]])
    assert list(seen) == sorted(fingerprints)


def test_neighbours_of_a_member_are_not_members() -> None:
    fingerprints = _random(30_000)
    known = set(fingerprints)
    seen = SeenSet(fingerprints)
    for fingerprint in fingerprints[:1_000]:
        for near in (fingerprint - 1, fingerprint + 1):
            assert (near in seen) is (near in known)


def test_the_ends_of_the_range_can_be_members() -> None:
    seen = SeenSet(_random(10_000))
    assert 0 not in seen
    assert 2**64 - 1 not in seen
    assert seen.add(0)
    assert seen.add(2**64 - 1)
    assert 0 in seen
    assert 2**64 - 1 in seen


@pytest.mark.parametrize("in_bulk", [True, False])
def test_a_url_costs_at_most_ten_bytes(in_bulk: bool) -> None:
    fingerprints = _random(MANY)
    seen = SeenSet(fingerprints if in_bulk else ())
    for fingerprint in fingerprints:
        seen.add(fingerprint)
    assert len(seen) == MANY
    assert _bytes_of(seen) <= 10 * MANY


def test_what_the_process_allocates_for_a_url_is_bounded() -> None:
    fingerprints = _random(MANY)
    tracemalloc.start()
    try:
        seen = SeenSet()
        for fingerprint in fingerprints:
            seen.add(fingerprint)
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(seen) == MANY
    assert kept <= 12 * MANY
    assert most <= 24 * MANY


def test_fingerprints_crowded_into_one_corner_stay_exact_and_small() -> None:
    crowded = range(20_000)
    seen = SeenSet(crowded)
    assert len(seen) == 20_000
    assert list(seen) == list(crowded)
    assert 20_000 not in seen
    assert _bytes_of(seen) <= 10 * 20_000


def test_packed_fingerprints_come_back_as_they_were() -> None:
    fingerprints = [0, 1, 2**64 - 1, *_random(1_000)]
    packed = pack_fingerprints(fingerprints)
    assert len(packed) == 8 * len(fingerprints)
    assert list(unpack_fingerprints(packed)) == fingerprints


def test_fingerprints_are_packed_little_endian() -> None:
    assert pack_fingerprints([0x0102030405060708]) == bytes.fromhex("0807060504030201")


def test_a_cut_off_packing_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple"):
        unpack_fingerprints(b"1234567")
