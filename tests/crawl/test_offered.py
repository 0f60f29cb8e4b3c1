"""The memory of the links that a crawl was offered lately: bounded, and nothing is hidden that may be new."""

import pytest

from airless.crawl.offered import Offered
from airless.crawl.urls import join

PAGE = "http://a.test/dir/page.html?q=1"
BESIDE = "http://a.test/dir/other.html"
BELOW = "http://a.test/dir/sub/page.html"
ELSEWHERE = "http://b.test/dir/page.html?q=1"
BASES = (
    PAGE,
    BESIDE,
    BELOW,
    ELSEWHERE,
    "https://a.test/dir/page.html?q=1",
    "http://a.test",
    "http://a.test/dir",
)


@pytest.mark.parametrize(
    ("reference", "met_on"),
    [
        ("http://c.test/x", [PAGE, BESIDE, BELOW, ELSEWHERE]),
        ("/x", [PAGE, BESIDE, BELOW]),
        ("//c.test/x", [PAGE, BESIDE, BELOW]),
        ("x", [PAGE, BESIDE]),
        ("../x", [PAGE, BESIDE]),
        ("h:x", [PAGE]),
        ("http:?x", [PAGE]),
        (" http://c.test/x", [PAGE]),
        ("?x", [PAGE]),
        ("#x", [PAGE]),
        (" x", [PAGE]),
        ("", [PAGE]),
    ],
)
def test_a_spelling_is_met_as_far_as_it_leads_to_one_place(reference: str, met_on: list[str]) -> None:
    for base in (PAGE, BESIDE, BELOW, ELSEWHERE):
        offered = Offered()
        assert offered.unmet([reference, reference], PAGE) == [reference]
        assert offered.unmet([reference], base) == ([] if base in met_on else [reference])


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "x",
        "/x",
        "//x",
        "?x",
        "#x",
        ".",
        "..",
        "./x",
        "\\x",
        "\tx",
        " ?x",
        "http:",
        "http:x",
        "http:?x",
        "HTTP:/x",
        "https:x",
        "http://c.test",
        "ht\ntp:?x",
        "h\ttps:?x",
        "mailto:x",
        ";x",
        ":x",
        "\\\\x",
        "\x00?x",
        "x:y",
        "%3Fx",
    ],
)
def test_a_spelling_that_leads_elsewhere_from_another_page_is_new_there(reference: str) -> None:
    for one in BASES[:5]:
        for other in BASES[:5]:
            offered = Offered()
            offered.unmet([reference], one)
            if join(one, reference) != join(other, reference):
                assert offered.unmet([reference], other) == [reference]


def test_what_is_new_comes_in_the_order_of_the_page() -> None:
    offered = Offered()
    assert offered.unmet(["/b", "a", "/b", "/c"], PAGE) == ["/b", "a", "/c"]
    assert offered.unmet(["/d", "/c", "a", "/a"], PAGE) == ["/d", "/a"]


def test_a_canonical_url_is_met_as_its_key() -> None:
    offered = Offered()
    assert offered.add("http://a.test/x")
    assert not offered.add("http://a.test/x")
    assert offered.unmet(["http://a.test/x", "http://a.test/y"], PAGE) == ["http://a.test/y"]
    assert not offered.add("http://a.test/y")


def test_the_memory_grows_and_what_it_holds_stays_met() -> None:
    offered = Offered()
    least = offered.nbytes
    links = [f"/{n}" for n in range(20_000)]
    assert offered.unmet(links[:400], PAGE) == links[:400]
    assert offered.nbytes == least
    held = set(offered._slots)
    offered._count(1_000)
    assert offered.nbytes > least
    assert set(offered._slots) == held
    pages = [links[at : at + 100] for at in range(0, len(links), 100)]
    for page in pages[:4]:
        offered.unmet(page, PAGE)
    assert all(offered.unmet(page, PAGE) == page for page in pages[4:])
    # Some have lost their place to another: 6,400 to 6,700, by the hashes.
    assert sum(len(offered.unmet(page, PAGE)) for page in pages) < 7_500


def test_the_memory_is_bounded_and_what_it_forgets_is_new_again() -> None:
    offered = Offered(16)
    links = [f"/{n}" for n in range(1_000)]
    assert offered.unmet(links, PAGE) == links
    assert offered.nbytes == 16 * 8
    assert len(offered.unmet(links, PAGE)) > 900
    assert all(offered.add(f"{PAGE}{n}") for n in range(1_000))
