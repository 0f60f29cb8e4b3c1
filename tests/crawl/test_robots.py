"""Robots rules, by the examples of RFC 9309."""

import random

import pytest

from airless.crawl.robots import LIMIT_BYTES, Rules, _comparable, product_token


def rules(text: str, agent: str = "ExampleBot") -> Rules:
    return Rules.parse(text.encode(), agent)


SIMPLE = """\
User-Agent: *
Disallow: *.gif$
Disallow: /example/
Allow: /publications/

User-Agent: foobot
Disallow:/
Allow:/example/page.html
Allow:/example/allowed.gif

User-Agent: barbot
User-Agent: bazbot
Disallow: /example/page.html

User-Agent: quxbot

EOF
"""


@pytest.mark.parametrize(
    ("agent", "target", "allowed"),
    [
        ("otherbot", "/publications/", True),
        ("otherbot", "/publications/a.gif", True),
        ("otherbot", "/a.gif", False),
        ("otherbot", "/a.gif?x", True),
        ("otherbot", "/example/", False),
        ("otherbot", "/", True),
        ("foobot", "/", False),
        ("foobot", "/publications/", False),
        ("foobot", "/example/page.html", True),
        ("foobot", "/example/allowed.gif", True),
        ("barbot", "/example/page.html", False),
        ("bazbot", "/example/page.html", False),
        ("barbot", "/example/other.html", True),
        ("bazbot", "/a.gif", True),
        ("quxbot", "/example/page.html", True),
        ("quxbot", "/a.gif", True),
    ],
)
def test_the_simple_example_of_section_5_1(agent: str, target: str, allowed: bool) -> None:
    assert rules(SIMPLE, agent).allows(target) is allowed


def test_the_longest_match_of_section_5_2() -> None:
    file = """\
User-Agent: foobot
Allow: /example/page/
Disallow: /example/page/disallowed.gif
"""
    foobot = rules(file, "foobot")
    assert not foobot.allows("/example/page/disallowed.gif")
    assert foobot.allows("/example/page/")


def test_groups_of_the_same_agent_merge() -> None:
    file = """\
user-agent: ExampleBot
disallow: /foo
disallow: /bar

user-agent: ExampleBot
disallow: /baz
"""
    merged = """\
user-agent: ExampleBot
disallow: /foo
disallow: /bar
disallow: /baz
"""
    assert rules(file) == rules(merged)
    assert [rules(file).allows(t) for t in ("/foo", "/bar", "/baz", "/qux")] == [False, False, False, True]


def test_the_star_group_is_for_agents_that_no_group_names() -> None:
    file = """\
user-agent: *
disallow: /foo
disallow: /bar

user-agent: BazBot
disallow: /baz
"""
    assert rules(file) == rules("user-agent: *\ndisallow: /foo\ndisallow: /bar\n")
    assert not rules(file, "BazBot").allows("/baz")
    assert rules(file, "BazBot").allows("/foo")


def test_without_a_group_that_applies_no_rules_do() -> None:
    assert rules("user-agent: BazBot\ndisallow: /\n") == Rules.allow_all()
    assert rules("disallow: /\n").allows("/x")
    assert rules("").allows("/x")


@pytest.mark.parametrize(
    ("agent", "token"),
    [
        ("Mozilla/5.0 (compatible; ExampleBot/0.1; https://www.example.com/bot.html)", "ExampleBot"),
        ("ExampleBot", "ExampleBot"),
        ("ExampleBot/1.0 (+https://example.com)", "ExampleBot"),
        ("example_bot-news/2", "example_bot-news"),
        ("1337", ""),
        ("", ""),
    ],
)
def test_the_product_token_is_found_in_a_user_agent(agent: str, token: str) -> None:
    assert product_token(agent) == token


def test_product_tokens_match_without_case_and_as_a_whole() -> None:
    file = "User-Agent: EXAMPLEbot/2.1\nDisallow: /a\n\nUser-Agent: Example\nDisallow: /b\n"
    assert [rules(file, "examplebot/1.0").allows(t) for t in ("/a", "/b")] == [False, True]
    assert [rules(file, "Example").allows(t) for t in ("/a", "/b")] == [True, False]
    assert rules(file, "ExampleBot-News").allows("/a")


def test_an_agent_without_a_token_obeys_the_star_group() -> None:
    assert not rules("User-agent: 360\nAllow: /\nUser-agent: *\nDisallow: /", "360").allows("/x")


@pytest.mark.parametrize(
    ("path", "encoded"),
    [
        ("/foo/bar?baz=quz", "/foo/bar?baz=quz"),
        ("/foo/bar?baz=https://foo.bar", "/foo/bar?baz=https%3A%2F%2Ffoo.bar"),
        ("/foo/bar/\u30c4", "/foo/bar/%E3%83%84"),
        ("/foo/bar/%E3%83%84", "/foo/bar/%E3%83%84"),
        ("/foo/bar/%62%61%7A", "/foo/bar/baz"),
    ],
)
def test_the_encodings_of_section_2_2_2_are_the_same_path(path: str, encoded: str) -> None:
    for in_file in (path, encoded):
        for in_url in (path, encoded):
            assert not rules(f"User-agent: *\nDisallow: {in_file}$").allows(in_url)


def test_an_encoded_delimiter_is_another_path() -> None:
    assert rules("User-agent: *\nDisallow: /a/b").allows("/a%2Fb")
    assert rules("User-agent: *\nDisallow: /a%2fb").allows("/a/b")
    assert not rules("User-agent: *\nDisallow: /a%2fb").allows("/a%2Fb")
    assert rules("User-agent: *\nDisallow: /a?b=c%26d").allows("/a?b=c&d")


def test_a_stray_percent_sign_is_itself() -> None:
    assert not rules("User-agent: *\nDisallow: /100%").allows("/100%")
    assert not rules("User-agent: *\nDisallow: /100%25").allows("/100%zz")


@pytest.mark.parametrize(
    ("path", "target", "matches"),
    [
        ("/this/path/exactly$", "/this/path/exactly", True),
        ("/this/path/exactly$", "/this/path/exactly/not", False),
        ("/this/*/exactly", "/this/path/exactly", True),
        ("/this/*/exactly", "/this/very/long/path/exactly/so", True),
        ("/this/*/exactly", "/this/exactly", False),
        ("/path/file-with-a-%2A.html", "/path/file-with-a-*.html", True),
        ("/path/file-with-a-%2A.html", "/path/file-with-a-x.html", False),
        ("/path/foo-%24", "/path/foo-$", True),
        ("/path/foo-%24", "/path/foo-", False),
        ("/a$b", "/a$b", True),
        ("/a$b", "/a", False),
        ("/x$$", "/x$", True),
        ("/fish", "/fish.html", True),
        ("/fish", "/catfish", False),
        ("/fish", "/Fish", False),
        ("/fish/", "/fish", False),
        ("/fish*", "/fishheads/yummy.html", True),
        ("/*.php", "/index.php?a=b", True),
        ("/*.php", "/windows.PHP", False),
        ("/*.php$", "/filename.php", True),
        ("/*.php$", "/filename.php5", False),
        ("/*.php$", "/filename.php?a.php", True),
        ("/fish*.php", "/fishheads/catfish.php?id=1", True),
        ("/a*b*b$", "/ab", False),
        ("/a*b*b$", "/abb", True),
        ("/a**b", "/ab", True),
        ("/*/admin", "/x?next=/admin", True),
        ("*$", "/anything", True),
        ("/$", "/", True),
        ("/$", "/x", False),
        ("fish", "/fish", False),
        ("$", "/", False),
        ("?x", "/?x", False),
    ],
)
def test_special_characters_and_where_a_match_begins_and_ends(path: str, target: str, matches: bool) -> None:
    assert rules(f"User-agent: *\nDisallow: {path}").allows(target) is not matches


@pytest.mark.parametrize(
    ("lines", "target", "allowed"),
    [
        ("Allow: /p\nDisallow: /", "/page", True),
        ("Allow: /folder\nDisallow: /folder", "/folder/page", True),
        ("Disallow: /folder\nAllow: /folder", "/folder/page", True),
        ("Allow: /page\nDisallow: /*.ph", "/page.php5", True),
        ("Allow: /$\nDisallow: /", "/", True),
        ("Allow: /$\nDisallow: /", "/page.html", False),
        ("Allow: /a\nDisallow: /ab\nAllow: /abc", "/abd", False),
        ("Disallow: /\nAllow: /x/*/y$", "/x/1/y", True),
        ("Disallow:", "/x", True),
    ],
)
def test_the_most_octets_decide_and_an_allow_on_a_tie(lines: str, target: str, allowed: bool) -> None:
    assert rules(f"User-agent: *\n{lines}").allows(target) is allowed


def test_robots_txt_itself_is_always_allowed() -> None:
    assert rules("User-agent: *\nDisallow: /").allows("/robots.txt")
    assert Rules.disallow_all().allows("/robots.txt")
    assert not Rules.disallow_all().allows("/robots.txt.bak")


def test_a_target_without_a_path_is_the_root() -> None:
    assert not Rules.disallow_all().allows("")
    assert not rules("User-agent: *\nDisallow: /?q").allows("?q")


def test_comments_are_passed_over() -> None:
    file = "allow: / # comment in line\n# comment on its own line\nUser-agent: * # all\nDisallow: /x # no\n"
    assert not rules(file).allows("/x")


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_any_line_end_and_a_byte_order_mark_are_read(end: str, mark: str) -> None:
    file = mark + end.join(["User-agent: *", "", "Disallow: /x", ""])
    assert not rules(file).allows("/x")


@pytest.mark.parametrize(
    "line",
    [
        "Disallow /x",
        "  disallow\t:\t/x  ",
        "DISALLOW:/x",
        "Dissallow: /x",
        "Disalow: /x",
        "diasllow: /x",
    ],
)
def test_lines_that_are_nearly_right_count(line: str) -> None:
    assert not rules(f"useragent: *\n{line}\n").allows("/x")


def test_lines_that_mean_nothing_are_passed_over() -> None:
    file = "User-agent: *\nDisallow /x y\nNoindex: /x\nfoo\n:\n: /x\nDisallow\nHost: /x\nDisallow: /z"
    assert [rules(file).allows(t) for t in ("/x", "/z")] == [True, False]


def test_garbage_and_nul_bytes_do_not_hide_the_rules_around_them() -> None:
    noise = bytes(random.Random(1).randrange(256) for _ in range(5_000))
    body = (
        b"User-agent: *\nDisallow: /a\n\0\0\0\n"
        + noise.replace(b"g", b"")
        + b"\nDisallow: /b\0c\nDisallow: /d\n"
    )
    found = Rules.parse(body, "ExampleBot")
    assert [found.allows(t) for t in ("/a", "/b%00c", "/b", "/d", "/e")] == [False, False, True, False, True]


def test_other_records_do_not_end_a_list_of_agents() -> None:
    file = """\
User-agent: ExampleBot
Sitemap: https://example.com/sitemap.xml
Crawl-delay: 2
Whatever: 1
User-agent: *
Disallow: /x
"""
    assert not rules(file).allows("/x")
    assert rules(file).crawl_delay_s == 2.0
    assert rules(file, "other").crawl_delay_s is None


@pytest.mark.parametrize(
    ("value", "delay_s"),
    [
        ("10", 10.0),
        ("0.5", 0.5),
        (".5", 0.5),
        ("0", 0.0),
        ("-1", None),
        ("nan", None),
        ("1e9", None),
        ("", None),
    ],
)
def test_a_crawl_delay_is_a_number_of_seconds(value: str, delay_s: float | None) -> None:
    assert rules(f"User-agent: *\nCrawl-delay: {value}\n").crawl_delay_s == delay_s


def test_of_several_crawl_delays_the_largest_counts() -> None:
    file = "User-agent: a\nCrawl-delay: 3\nDisallow: /x\nUser-agent: a\nCrawl-delay: 1\nDisallow: /y"
    assert rules(file, "a").crawl_delay_s == 3.0


def test_sitemaps_are_for_everybody_in_their_order() -> None:
    file = """\
Sitemap: https://www.example.org/sitemap-host1.xml
User-agent: x
Site-map: /relative.xml
Disallow: /
Sitemap: https://www.example.org/sitemap-host1.xml
Sitemap:
"""
    assert rules(file).sitemaps == ("https://www.example.org/sitemap-host1.xml", "/relative.xml")


def test_500_kib_are_parsed_and_the_rest_is_cut_at_a_line_end() -> None:
    head = b"User-agent: *\n"
    filler = b"#" + b"x" * 98 + b"\n"
    early = head + filler * (500 * 1024 // len(filler) - 1) + b"Disallow: /in\n"
    late = early + filler * 1_000 + b"Disallow: /out\n"
    assert [Rules.parse(late, "a").allows(t) for t in ("/in", "/out")] == [False, True]
    cut = b"User-agent: *\nAllow: /" + b"a" * LIMIT_BYTES
    assert Rules.parse(cut, "a").rules == ()
    assert Rules.parse(b"x" * (LIMIT_BYTES + 1), "a") == Rules.allow_all()


def test_wildcards_cannot_make_the_matcher_hang() -> None:
    # With backtracking this test would not end.
    target = "/" + "a" * 2_000
    hostile = rules(f"User-agent: *\nDisallow: /{'*a' * 2_000}b\nDisallow: /{'*a' * 1_999}*$")
    assert not hostile.allows(target)
    assert not hostile.allows(target + "c")
    assert hostile.allows("/" + "a" * 1_000)


def test_rules_survive_being_written_down() -> None:
    file = """\
Sitemap: https://example.com/\u00fc.xml
User-agent: ExampleBot
Crawl-delay: 1.5
Allow: /a*b$
Disallow: /\u30c4*
Disallow: /100%
Disallow: /%2A$x$
"""
    found = rules(file)
    assert Rules.parse(found.text(), "Another") == found
    assert Rules.parse(Rules.disallow_all().text(), "Another") == Rules.disallow_all()
    assert Rules.parse(Rules.allow_all().text(), "Another") == Rules.allow_all()


def test_an_odd_url_is_matched_and_never_raises() -> None:
    assert rules("User-agent: *\nDisallow: /x").allows("/\ud800")


def test_the_first_rule_that_matches_decides_whatever_is_looked_at_first() -> None:
    rng = random.Random(9)
    parts = ["/", "a", "b", "ab", "%61", "%2F", "%7E", "~", ":", "%3a", "?", "é", "*", "$", "."]

    def path() -> str:
        return "/" + "".join(rng.choice(parts) for _ in range(rng.randrange(6)))

    ruled_out = 0
    for _ in range(3_000):
        lines = [f"{rng.choice(('Allow', 'Disallow'))}: {path()}" for _ in range(rng.randrange(5))]
        found = rules("User-agent: *\n" + "\n".join(lines))
        for _ in range(5):
            target = path()
            octets = _comparable(target.encode(), wildcards=False)
            expected = next((rule.allow for rule in found.rules if rule.matches(octets)), True)
            assert found.allows(target) == expected, (lines, target)
            ruled_out += not any(rule.matches(octets) for rule in found.rules)
    assert ruled_out > 1_000
