"""Charset: sniffing by the HTML standard, labels and decoding by the Encoding standard."""

from __future__ import annotations

import random

import pytest

from airless.crawl.charset import decode, detect, to_utf8
from airless.crawl.encoding import encoding_of
from airless.crawl.prescan import PRESCAN_BYTES, prescan

# Encoding standard §4.2, rows of the table of labels.
LABELS = [
    ("unicode-1-1-utf-8", "utf-8"),
    ("utf8", "utf-8"),
    ("x-unicode20utf8", "utf-8"),
    ("866", "ibm866"),
    ("latin2", "iso-8859-2"),
    ("csisolatin3", "iso-8859-3"),
    ("cyrillic", "iso-8859-5"),
    ("greek8", "iso-8859-7"),
    ("visual", "iso-8859-8"),
    ("logical", "iso-8859-8-i"),
    ("l6", "iso-8859-10"),
    ("l9", "iso-8859-15"),
    ("koi", "koi8-r"),
    ("koi8-ru", "koi8-u"),
    ("x-mac-roman", "macintosh"),
    ("tis-620", "windows-874"),
    ("x-cp1250", "windows-1250"),
    ("ascii", "windows-1252"),
    ("us-ascii", "windows-1252"),
    ("iso-8859-1", "windows-1252"),
    ("latin1", "windows-1252"),
    ("latin5", "windows-1254"),
    ("x-mac-ukrainian", "x-mac-cyrillic"),
    ("gb2312", "gbk"),
    ("gb18030", "gb18030"),
    ("big5-hkscs", "big5"),
    ("x-euc-jp", "euc-jp"),
    ("csiso2022jp", "iso-2022-jp"),
    ("windows-31j", "shift_jis"),
    ("ks_c_5601-1987", "euc-kr"),
    ("hz-gb-2312", "replacement"),
    ("iso-2022-kr", "replacement"),
    ("unicodefffe", "utf-16be"),
    ("utf-16", "utf-16le"),
    ("ucs-2", "utf-16le"),
    ("x-user-defined", "x-user-defined"),
    ("\t\n\f\r UTF-8 ", "utf-8"),
    ("utf-7", None),
    ("utf-32", None),
    ("\u00a0utf-8", None),
    ("", None),
]

# Byte streams, and what the prescan makes of them.
PRESCANS: list[tuple[bytes, str | None]] = [
    (b'<meta charset="koi8-r">', "koi8-r"),
    (b"<META CHARSET = 'KOI8-R' >", "koi8-r"),
    (b"<meta/charset=koi8-r/>", None),  # the label is "koi8-r/"
    (b"<meta/charset=koi8-r />", "koi8-r"),
    (b"<meta charset=koi8-r>", "koi8-r"),
    (b"<metacharset=koi8-r>", None),
    (b"<meta name=x>\n<meta charset=koi8-r>", "koi8-r"),
    (b"<meta charset=nonsense><meta charset=koi8-r>", "koi8-r"),
    (b"<meta charset=nonsense charset=koi8-r>", None),
    (b"<meta =charset=koi8-r>", None),
    (b"<meta charset=koi8-r", None),  # cut off: the tag never ends
    (b'<meta charset="koi8-r>', None),
    (b"<meta charset=>", None),
    (b"<meta charset>", None),
    (b"<meta charset x=y>", None),
    (b"<meta charset = koi8-r x>", "koi8-r"),
    # the pragma
    (b'<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">', "koi8-r"),
    (b'<meta content="text/html; charset=koi8-r" http-equiv=CONTENT-TYPE>', "koi8-r"),
    (b'<meta content="text/html; charset=koi8-r">', None),
    (b'<meta http-equiv=refresh content="text/html; charset=koi8-r">', None),
    (b'<meta http-equiv=content-type content="charset koi8-r; charsetcharset = koi8-r;x">', "koi8-r"),
    (b"<meta http-equiv=content-type content=\"text/html; charset='koi8-r'\">", "koi8-r"),
    (b'<meta http-equiv=content-type content="text/html; charset=\'koi8-r">', None),
    (b'<meta http-equiv=content-type content="text/html; charset=">', None),
    (b'<meta http-equiv=content-type content="text/html">', None),
    (b'<meta http-equiv=content-type content="charset=koi8-r" charset=big5>', "big5"),
    (b'<meta charset=big5 content="charset=koi8-r">', "big5"),
    (b'<meta charset=big5 http-equiv=content-type content="charset=koi8-r">', "big5"),
    # encodings that a meta can't mean
    (b"<meta charset=utf-16>", "utf-8"),
    (b"<meta charset=utf-16be>", "utf-8"),
    (b"<meta charset=x-user-defined>", "windows-1252"),
    # comments, other tags, declarations and instructions
    (b"<!-- <meta charset=big5> --><meta charset=koi8-r>", "koi8-r"),
    (b"<!--><meta charset=koi8-r>", "koi8-r"),
    (b"<!---><meta charset=koi8-r>", "koi8-r"),
    (b"<!-- <meta charset=koi8-r>", None),
    (b"<!-- > <meta charset=big5> --!> <meta charset=big5> -->", None),
    (b'<a title="<meta charset=big5>"><meta charset=koi8-r>', "koi8-r"),
    (b"</p x='<meta charset=big5>'><meta charset=koi8-r>", "koi8-r"),
    (b"<p<meta charset=big5><meta charset=koi8-r>", "koi8-r"),
    (b"<!DOCTYPE html><meta charset=koi8-r>", "koi8-r"),
    (b"<!x <meta charset=big5>", None),
    (b"</ <meta charset=big5><meta charset=koi8-r>", "koi8-r"),
    (b"<?php <meta charset=big5> ?><meta charset=koi8-r>", "koi8-r"),
    (b"<3 < <meta charset=koi8-r>", "koi8-r"),
    (b"<title>x</title><script>'<meta charset=koi8-r>'</script>", "koi8-r"),
    (b"<p", None),
    (b"<", None),
    (b"", None),
    # XML declarations
    (b"<\0?\0x\0", "utf-16le"),
    (b"\0<\0?\0x", "utf-16be"),
    (b"<?xml version='1.0' encoding='koi8-r'?>", "koi8-r"),
    (b'<?xml encoding = "koi8-r" ?><meta charset=big5>', "big5"),
    (b'<?xml encoding="utf-16"?>', "utf-8"),
    (b'<?xml encoding="koi8 -r"?>', None),
    (b"<?xml encoding=koi8-r?>", None),
    (b"<?xml encoding x encoding='koi8-r'?>", None),
    (b"<?xml version='1.0'?> encoding='koi8-r'", None),
    (b"<?xml encoding='koi8-r'", None),
    (b" <?xml encoding='koi8-r'?>", None),
]


@pytest.mark.parametrize(("label", "name"), LABELS)
def test_labels_are_those_of_the_encoding_standard(label: str, name: str | None) -> None:
    assert encoding_of(label) == name


@pytest.mark.parametrize(("page", "name"), PRESCANS)
def test_the_prescan_reads_what_the_html_standard_reads(page: bytes, name: str | None) -> None:
    assert prescan(page) == name


def test_the_prescan_ends_after_1024_bytes() -> None:
    tag = b"<meta charset=koi8-r>"
    assert prescan(b" " * (PRESCAN_BYTES - len(tag)) + tag) == "koi8-r"
    assert prescan(b" " * (PRESCAN_BYTES - len(tag) + 1) + tag) is None


def test_the_prescan_survives_any_bytes() -> None:
    source = random.Random(1_024)
    pieces = [
        b"<",
        b">",
        b"meta",
        b"charset",
        b"=",
        b'"',
        b"'",
        b" ",
        b"/",
        b"!--",
        b"--",
        b"\xff",
        b"koi8-r",
        b"\0",
    ]
    for _ in range(5_000):
        page = b"".join(source.choices(pieces, k=40))
        assert prescan(page) in (None, "koi8-r")


@pytest.mark.parametrize(
    ("mark", "name"), [(b"\xef\xbb\xbf", "utf-8"), (b"\xfe\xff", "utf-16be"), (b"\xff\xfe", "utf-16le")]
)
def test_a_byte_order_mark_beats_everything_and_is_dropped(mark: bytes, name: str) -> None:
    body = mark + "é <meta charset=big5>".encode(name)
    assert detect(body, "text/html; charset=koi8-r") == name
    assert decode(body, "text/html; charset=koi8-r") == ("é <meta charset=big5>", name)
    assert to_utf8(body, "text/html; charset=koi8-r") == ("é <meta charset=big5>".encode(), name)


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        ("text/html; charset=koi8-r", "koi8-r"),
        ("text/html;charset=KOI8-R", "koi8-r"),
        ('text/html; charset="koi8-r"', "koi8-r"),
        (r'text/html; charset="koi\8-r"; x=y', "koi8-r"),
        ('text/html; x="; charset=utf-8"; charset=koi8-r', "koi8-r"),
        ("text/html; boundary=x ; Charset=koi8-r ;", "koi8-r"),
        ("text/html; charset=koi8-r; charset=utf-8", "koi8-r"),
        ('text/html; charset="koi8-r', "koi8-r"),
        ("text/html; charset=nonsense", "big5"),
        ("text/html; charset", "big5"),
        ("text/html; charset=", "big5"),
        ("text/html; charset='koi8-r'", "big5"),
        ("text/html; xcharset=koi8-r", "big5"),
        ("text/html", "big5"),
        (";;;", "big5"),
        ("", "big5"),
        (None, "big5"),
    ],
)
def test_a_known_charset_in_the_header_beats_the_page(content_type: str | None, name: str) -> None:
    assert detect(b"<meta charset=big5>", content_type) == name


def test_undeclared_bytes_are_utf_8_if_they_can_be_and_else_windows_1252() -> None:
    assert detect("naïve".encode()) == "utf-8"
    assert detect(b"plain") == "utf-8"
    assert detect(b"") == "utf-8"
    assert decode(b"na\xefve \x80") == ("naïve €", "windows-1252")
    assert detect(b"na\xefve", None, "iso-8859-2") == "iso-8859-2"


@pytest.mark.parametrize(
    ("body", "label", "text"),
    [
        (b"\x93\xfa\x96{", "shift_jis", "日本"),
        (b"\xc6\xfc\xcb\xdc", "euc-jp", "日本"),
        (b"\x1b$BF|K\\\x1b(B", "iso-2022-jp", "日本"),
        (b"\xd6\xd0\xce\xc4", "gb2312", "中文"),
        (b"\xa4\xa4\xa4\xe5", "big5", "中文"),
        (b"\xc7\xd1\xb1\xdb", "ks_c_5601-1987", "한글"),
        (b"\xf2\xf0\xe8", "windows-1251", "три"),
        (b"\xd4\xd2\xc9", "koi8-r", "три"),
        (b"\x80", "iso-8859-1", "€"),
        (b"a\x80", "x-user-defined", "a\uf780"),
        (b"a\x00b\x00", "utf-16", "ab"),
        (b"anything", "iso-2022-kr", "\ufffd"),
        (b"a\xffb", "utf-8", "a\ufffdb"),
        (b"a\xed\xa0\x80b", "utf-8", "a\ufffd\ufffd\ufffdb"),
    ],
)
def test_bodies_decode_by_their_label(body: bytes, label: str, text: str) -> None:
    content_type = f"text/html; charset={label}"
    name = encoding_of(label)
    assert decode(body, content_type) == (text, name)
    assert to_utf8(body, content_type) == (text.encode(), name)


def test_a_page_that_is_utf_8_already_is_not_copied() -> None:
    for body in ("naïve".encode(), b"plain"):
        assert to_utf8(body, "text/html; charset=utf-8")[0] is body
        assert to_utf8(body)[0] is body
    ascii_body = b"plain"
    assert to_utf8(ascii_body, "text/html; charset=iso-8859-1") == (ascii_body, "windows-1252")


@pytest.mark.parametrize("name", sorted({name for _, name in LABELS if name}))
def test_no_bytes_are_too_broken_for_any_encoding(name: str) -> None:
    source = random.Random(name)
    for length in (0, 1, 2, 3, 50, 501):
        body = b"<" + source.randbytes(length)
        text, found = decode(body, f"text/html; charset={name}")
        assert found == name
        assert to_utf8(body, f"text/html; charset={name}")[0] == text.encode()
