"""Does the scanner agree with the pure path on pages that nobody would write?

PYTHONPATH=tests python -m support.fuzz_scan SECONDS [SEED] [KIND...]
"""

from __future__ import annotations

import functools
import glob
import importlib
import os.path
import random
import sys
import time
from collections import Counter
from collections.abc import Callable

from support.pure_scan import OPTIONS, disagreement

from airless.crawl.settings import Links

speed = importlib.import_module("airless._speed")

TAGS = [
    "a",
    "a",
    "a",
    "a",
    "area",
    "base",
    "link",
    "meta",
    "title",
    "script",
    "style",
    "textarea",
    "xmp",
    "iframe",
    "noembed",
    "noframes",
    "noscript",
    "template",
    "plaintext",
    "svg",
    "math",
    "table",
    "tr",
    "td",
    "th",
    "tbody",
    "thead",
    "tfoot",
    "caption",
    "col",
    "colgroup",
    "select",
    "option",
    "optgroup",
    "p",
    "div",
    "b",
    "i",
    "br",
    "body",
    "head",
    "html",
    "form",
    "button",
    "li",
    "ul",
    "h1",
    "img",
    "image",
    "font",
    "g",
    "path",
    "desc",
    "foreignObject",
    "mi",
    "mtext",
    "input",
    "frameset",
    "frame",
    "object",
    "center",
    "span",
    "pre",
    "dd",
    "annotation-xml",
    "nobr",
    "selectedcontent",
    "use",
    "symbol",
    "A",
    "SCRIPT",
    "Title",
]
COMMON = [
    "a",
    "p",
    "div",
    "b",
    "i",
    "span",
    "td",
    "tr",
    "table",
    "li",
    "ul",
    "title",
    "script",
    "style",
    "noscript",
]
VALUES = [
    "x",
    "/a",
    "../b",
    "./c",
    "?q",
    "#f",
    "//h.example/p",
    "http://h.example/a",
    "https://h.example:8080/",
    "javascript:x",
    "mailto:a@b",
    "a&amp;b\n",
    "a&b=c",
    "a&copy=1",
    "a&copy;",
    "a&#65;",
    "a&#x41",
    "a&notit;",
    "&lt;x",
    "..",
    ".",
    "../..",
    "%2e/x",
    "/%2E%2e/y",
    "/é",
    "HTTP://X",
    "http:z",
    "http:///x",
    "//U.example\n",
    "next",
    "canonical",
    "NEXT",
    "refresh",
    "robots",
    "0;url=/r",
    "5",
    ";x",
    ",x",
    "stylesheet",
    "x?b=2&amp;a=1",
    "x?a=1&b=2",
    "/a//..//b",
    "a\\b",
    "a|b",
    "a'b",
    "&amp\n",
    "\x00",
    "\r\n",
    "a\tb",
    "http://1.2.3.4/",
    "http://1.2/",
    "http://h.example:80/",
    "http://u@h/",
    "http://xn--a/",
    "http://h./",
    "/x?y#z",
    "0;url='/q'",
    "\n",
    "hidden",
    "data:text/html,x",
    "http://h",
    "http://h?x",
    "http://h#y",
    "/.a/..b/...",
    "a:b",
    "1:b",
    ";p",
    "x.html",
    "/x/?'",
    "&nGt;",
    "&ampx",
    "&notin",
    "&notin;",
]
VALUES = [v.strip("\n") for v in VALUES] + ["", " /s ", "canonical next", "0; url=/r", '1;URL = "/q"']
ATTRS = [
    "href",
    "href",
    "href",
    "HREF",
    "src",
    "rel",
    "content",
    "name",
    "http-equiv",
    "class",
    "=x",
    "href\x00",
    "type",
]
TEXTS = [
    "x",
    " ",
    "\n",
    "<",
    "</",
    "<!",
    "<?x>",
    "</3>",
    "<!x>",
    "<!-->",
    "<!--->",
    "<!--",
    "-->",
    "--!>",
    "<!-- x -->",
    "<![CDATA[",
    "]]>",
    "&amp;",
    "&nbsp;",
    "&#32;",
    "\x00",
    "é",
    "<!doctype html>",
    "</>",
    ">",
    '"',
    "'",
    "&eacute",
    "&ngt;",
    "<!--<script>",
    "</script>",
    "<script",
    "\r\n",
    "&lt",
    "&notit;",
    "&#x80;",
    "&#0;",
    "&#xD800;",
    "&;",
    "&am",
]


def attribute(r: random.Random) -> str:
    name, value = r.choice(ATTRS), r.choice(VALUES)
    return r.choice(
        [' {}="{}"', " {}='{}'", " {}={}", '/{}="{}"', " {} = {}", '\n{}="{}"', ' {}="{}"', " {}"]
    ).format(name, value)


def tag(r: random.Random) -> str:
    name = r.choice(TAGS if r.random() < 0.5 else COMMON)
    if r.random() < 0.35:
        return f"</{name}{r.choice(['>', '>', '>', ' >', ' x>', '/>', ''])}"
    head = {
        "a": ' href="' + r.choice(VALUES) + '"',
        "link": " rel=" + r.choice(["next", "canonical"]) + ' href="' + r.choice(VALUES) + '"',
        "meta": r.choice([" name=robots", " http-equiv=refresh"]) + ' content="' + r.choice(VALUES) + '"',
    }
    attrs = head.get(name, "") if r.random() < 0.8 else ""
    attrs += "".join(attribute(r) for _ in range(r.choice([0, 0, 0, 1, 1, 2])))
    return f"<{name}{attrs}{r.choice(['>', '>', '>', '>', '/>', ' />', ''])}"


def soup(r: random.Random) -> bytes:
    parts = [
        tag(r) if r.random() < 0.75 else r.choice(TEXTS) for _ in range(r.choice([3, 8, 14, 14, 30, 60]))
    ]
    return "".join(parts).encode()


FOCUS = {
    "tables": [
        "table",
        "table",
        "td",
        "td",
        "th",
        "tr",
        "tr",
        "tbody",
        "thead",
        "caption",
        "colgroup",
        "col",
        "a",
        "a",
        "p",
        "div",
        "b",
        "template",
        "select",
        "title",
        "base",
        "svg",
        "link",
        "form",
        "meta",
    ],
    "heads": [
        "html",
        "head",
        "head",
        "body",
        "link",
        "link",
        "meta",
        "noscript",
        "noscript",
        "title",
        "style",
        "script",
        "template",
        "base",
        "br",
        "p",
        "bgsound",
        "basefont",
        "noframes",
        "a",
        "svg",
    ],
    "foreign": [
        "svg",
        "svg",
        "math",
        "g",
        "title",
        "title",
        "desc",
        "path",
        "a",
        "style",
        "mi",
        "mtext",
        "foreignObject",
        "annotation-xml",
        "p",
        "div",
        "font",
        "image",
        "template",
        "table",
        "script",
        "use",
    ],
}


def focused(kind: str, r: random.Random) -> bytes:
    """Few tags, much nested: what the tree builder treats in a way of its own."""
    parts = []
    for _ in range(r.choice([4, 8, 12, 20, 30])):
        name = r.choice(FOCUS[kind])
        what = r.random()
        if what < 0.35:
            parts.append(f"</{name}>")
        elif what < 0.85:
            kind_of = {
                "a": f" href={len(parts)}",
                "base": f" href=/{len(parts)}/",
                "link": f" rel={r.choice(['canonical', 'next'])} href={len(parts)}",
                "meta": f" name=robots http-equiv=refresh content='{r.choice(VALUES)}'",
                "image": " src=i",
            }
            parts.append(f"<{name}{kind_of.get(name, '')}{'/' if r.random() < 0.1 else ''}>")
        else:
            parts.append(
                r.choice(
                    [
                        "x",
                        " ",
                        "<!--c-->",
                        "&amp;",
                        "<![CDATA[<a href=c>]]>",
                        "<!doctype html>",
                        "\x00",
                        "&#32;",
                    ]
                )
            )
    return "".join(parts).encode()


def refreshes(r: random.Random) -> bytes:
    alphabet = [
        "0",
        "5",
        ".",
        ";",
        ",",
        " ",
        "url",
        "URL",
        "=",
        "'",
        "&quot;",
        "&#39;",
        "/a",
        "b",
        "&amp;",
        "&apos;",
        "&Tab;",
        "\n",
        "x",
        "&copy",
        "&nbsp;",
    ]
    contents = ["".join(r.choice(alphabet) for _ in range(r.randint(0, 7))) for _ in range(3)]
    contents += [
        r.choice(["0;url=", "0; ", "1,", "0;url='"])
        + "".join(r.choice(alphabet) for _ in range(r.randint(0, 5)))
    ]
    return "".join(f'<meta http-equiv=refresh content="{c}">' for c in r.sample(contents, 2)).encode()


def scripts(r: random.Random) -> bytes:
    alphabet = [
        "<script>",
        "</script>",
        "<!--",
        "-->",
        "<script ",
        "</script ",
        "-",
        ">",
        "<",
        "!",
        "x",
        "/",
        "<a href=1>",
        "</",
        "<!--<script>",
        "</scriptx",
        "</SCRIPT/",
        "<style>",
        "</style>",
        "<title>",
        "</title",
    ]
    return "".join(r.choice(alphabet) for _ in range(r.randint(2, 16))).encode()


def urls(r: random.Random) -> bytes:
    """Links made of what URLs are made of."""
    alphabet = [
        "/",
        "/",
        "..",
        ".",
        "?",
        "#",
        "a",
        "b",
        "http",
        "https",
        ":",
        "//",
        "%2e",
        "%",
        "é",
        "@",
        "&amp;",
        "&",
        "=",
        "8080",
        "80",
        "443",
        "h.example",
        "H",
        "1.2.3.4",
        "0x7f",
        "x",
        " ",
        "\t",
        "\\",
        "+",
        "~",
        "'",
        "|",
        "[",
        "^",
        "{",
        "-",
        "_",
        "xn--",
        "C:",
        ";",
        ",",
        "01",
        "256",
        "!",
        "*",
    ]
    links = ["".join(r.choice(alphabet) for _ in range(r.randint(0, 8))) for _ in range(8)]
    links += [r.choice(["http://", "https://", "//", "/"]) + link for link in links]
    return "".join(f'<a href="{link}">' for link in links).encode()


def addresses(r: random.Random) -> bytes:
    """Whole URLs and paths, each part nearly right."""
    hosts = [
        "h.example",
        "h",
        "a.b.c",
        "1.2.3.4",
        "1.2.3",
        "01.2.3.4",
        "1.2.3.256",
        "a.1",
        "a.0x1",
        "a..b",
        "a.",
        "-a.b",
        "a-.b",
        "a_b.c",
        "xn--a.b",
        "ab--c.d",
        "A.b",
        "a%41.b",
        "[::1]",
        "",
        "u@h",
        "é.b",
        "a+b",
        "1.2.3.4.5",
        "1e1.2",
        "a.b1",
        "x.1a",
        "a" * 64 + ".b",
        "0",
        "a~b",
    ]
    ports = ["", "", "", ":80", ":443", ":8080", ":", ":0", ":080", ":65535", ":65536", ":8a", ":99999", ":1"]
    segments = [
        "a",
        "b",
        "..",
        ".",
        "",
        "...",
        ".a",
        "a.",
        "..a",
        "a..",
        "%2e",
        ".%2E",
        "%2e%2e",
        "%",
        "%41",
        "C:",
        "C|",
        "a:b",
        "~",
        "a;b",
        "a b",
        "é",
        "'",
        "x^y",
    ]
    tails = [
        "",
        "",
        "",
        "?",
        "?q",
        "?a=2&amp;a=1&amp;A",
        "?b&amp;a=&amp;=",
        "#f",
        "?q#f",
        "#",
        "?x'y",
        "?[|]^`{}",
        "?%zz",
        "?é",
        "?a?b",
        "#é#",
    ]

    def path() -> str:
        return "/".join(r.choice(segments) for _ in range(r.randint(0, 5)))

    starts = ["", "/", "./", "../", "//"]
    links = [
        r.choice(["http://", "https://", "//", "http:/", "https:"])
        + r.choice(hosts)
        + r.choice(ports)
        + r.choice(["", "/"])
        + path()
        + r.choice(tails)
        for _ in range(6)
    ]
    links += [r.choice(starts) + path() + r.choice(tails) for _ in range(8)]
    return "".join(f'<a href="{link}">' for link in links).encode()


REAL = sorted(glob.glob("/usr/share/doc/**/*.htm*", recursive=True))


REAL = [path for path in REAL if os.path.isfile(path)]


def mutate(r: random.Random) -> bytes:
    with open(r.choice(REAL), "rb") as file:
        body = bytearray(file.read())
    start = r.randrange(max(1, len(body) - 3000)) if r.random() < 0.8 else 0
    body = body[start : start + r.randint(10, 3000)]
    for _ in range(r.choice([0, 1, 1, 2, 4])):
        at = r.randrange(len(body) + 1)
        what = r.random()
        if what < 0.3:
            body[at : at + 1] = r.choice(b"<>/!-\"'= &a\x00?[]s").to_bytes(1, "big")
        elif what < 0.5:
            del body[at : at + r.randint(1, 40)]
        elif what < 0.8:
            body[at:at] = tag(r).encode()
        else:
            body[at:at] = r.choice(TEXTS).encode()
    return bytes(body).decode("utf-8", "replace").encode()


def broken(r: random.Random) -> bytes:
    """A page that says it is UTF-8, and isn't."""
    body = bytearray(r.choice([soup, urls])(r))
    for _ in range(r.randint(1, 6)):
        at = r.randrange(len(body) + 1)
        body[at : at + r.randint(0, 2)] = r.choice(
            [
                b"\x80",
                b"\xff",
                b"\xc3",
                b"\xe2\x82",
                b"\xf0\x9f\x92",
                b"\xed\xa0\x80",
                b"\xc0\xaf",
                b"\xc3\xa9",
            ]
        )
    return bytes(body)


def minimal(body: bytes, verdict: Callable[[bytes], bool]) -> bytes:
    """A smaller page that still disagrees."""
    step = max(1, len(body) // 2)
    while step:
        at, shrunk = 0, False
        while at < len(body):
            trial = body[:at] + body[at + step :]
            if verdict(trial):
                body, shrunk = trial, True
            else:
                at += step
        if not shrunk:
            step //= 2
    return body


PAGES = (
    "https://h.example/a/b/c?x=1",
    "http://h.example:8080/",
    "https://u:p@xn--e1a.example/%2f/é?".replace("é", "%C3%A9"),
    "http://[::1]/a/",
    "http://h.example//",
    "http://h/a//b/",
    "http://127.0.0.1:81/C:/x?y",
)


def main() -> int:
    seconds = float(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    kinds = sys.argv[3:] or ["soup", "mutate", "broken", "urls", "refreshes", "scripts", "addresses", *FOCUS]
    r = random.Random(seed)
    makers = {
        "soup": soup,
        "mutate": mutate,
        "broken": broken,
        "urls": urls,
        "refreshes": refreshes,
        "scripts": scripts,
        "addresses": addresses,
    }
    makers |= {kind: functools.partial(focused, kind) for kind in FOCUS}
    counts: Counter[str] = Counter()
    found: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end and sum(found.values()) < 12:
        kind = r.choice(kinds)
        body = makers[kind](r)
        page_url, options = r.choice(PAGES), r.choice(OPTIONS)
        verdict = disagreement(speed, body, page_url, options)
        counts[kind] += 1
        if verdict == "declined":
            counts[kind + " declined"] += 1
        elif verdict is not None:

            def bad(trial: bytes, page_url: str = page_url, options: Links = options) -> bool:
                return disagreement(speed, trial, page_url, options) not in (None, "declined")

            small = minimal(body, bad)
            text = f"{small!r}: {disagreement(speed, small, page_url, options)}"
            found[text] += 1
            print(text, flush=True)
    print(dict(counts), "disagreements", sum(found.values()))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
