"""The accounts: every discovered URL ends in one of them, or waits."""

from airless.crawl.counts import Counts


def _some() -> Counts:
    counts = Counts()
    counts.discovered = 20
    counts.fetched = 9
    counts.skip("robots", 3)
    counts.skip("offsite")
    counts.fail("http_404")
    counts.fail("http_404")
    counts.fail("timeout")
    counts.items = 12
    counts.bytes = 4_000
    counts.wire_bytes = 1_000
    return counts


def test_what_is_discovered_and_has_not_ended_waits() -> None:
    counts = _some()
    assert counts.failed == 3
    assert counts.waiting == 20 - 9 - 3 - 4


def test_reasons_are_counted_apart() -> None:
    counts = _some()
    assert counts.skipped == {"robots": 3, "offsite": 1}
    assert counts.failures == {"http_404": 2, "timeout": 1}
    assert sum(counts.failures.values()) == counts.failed


def test_the_sum_of_shards_keeps_every_reason() -> None:
    total = Counts()
    total.add(_some())
    total.add(_some())
    assert (total.discovered, total.fetched, total.failed, total.items) == (40, 18, 6, 24)
    assert (total.bytes, total.wire_bytes) == (8_000, 2_000)
    assert total.skipped == {"robots": 6, "offsite": 2}
    assert total.failures == {"http_404": 4, "timeout": 2}
    assert total.waiting == 2 * _some().waiting


def test_adding_leaves_the_addend_alone() -> None:
    one, total = _some(), Counts()
    total.add(one)
    total.skip("robots")
    total.fail("timeout")
    assert one.to_dict() == _some().to_dict()


def test_counts_survive_their_document() -> None:
    counts = _some()
    assert Counts.from_dict(counts.to_dict()).to_dict() == counts.to_dict()


def test_a_reason_that_came_back_to_nothing_is_left_out() -> None:
    counts = Counts()
    counts.skip("depth")
    counts.skip("depth", -1)
    assert counts.to_dict()["skipped"] == {}


def test_a_document_of_an_older_version_counts_from_zero() -> None:
    counts = Counts.from_dict({"discovered": 3})
    assert counts.waiting == 3
    assert counts.items == 0


def test_counts_read_from_a_document_are_not_shared_with_it() -> None:
    doc = _some().to_dict()
    counts = Counts.from_dict(doc)
    counts.skip("robots")
    counts.fail("timeout")
    assert doc == _some().to_dict()
