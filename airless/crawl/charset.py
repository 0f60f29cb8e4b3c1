"""Charset: from the bytes of a page to its text.

Source: HTML standard §13.2.3.2 (encoding sniffing) and the Encoding standard (labels, decoding, byte order
marks).
"""

from __future__ import annotations

import re
from functools import lru_cache

from airless.crawl.encoding import encoding_of, text_of
from airless.crawl.prescan import prescan

_UTF8_BOM = b"\xef\xbb\xbf"
_BOMS = ((_UTF8_BOM, "utf-8"), (b"\xfe\xff", "utf-16be"), (b"\xff\xfe", "utf-16le"))
BOM_STARTS = frozenset(mark[:1] for mark, _ in _BOMS)
"""What a byte order mark begins with."""

_NOT_ASCII_BASED = frozenset({"utf-16be", "utf-16le", "iso-2022-jp", "replacement"})
_PARAMETER = re.compile(r';([^;=]*+)(?:=(?:"((?:[^"\\]|\\.)*+)"?[^;]*+|([^;]*+)))?', re.DOTALL)
_HTTP_SPACE = "\t\n\r "


def detect(body: bytes, content_type: str | None = None, default: str = "windows-1252") -> str:
    """The encoding of a page by its name in the Encoding standard, in lower case.

    The first that answers: the byte order mark; the charset of the Content-Type header, if it is a known
    label; the prescan of the first 1,024 bytes; UTF-8 if the whole body decodes as UTF-8 (the standard lets
    an agent look at the bytes here: text in a legacy encoding almost never does, and ASCII reads the same);
    `default`.
    """
    for mark, name in _BOMS:
        if body.startswith(mark):
            return name
    declared = declared_encoding(content_type) or prescan(body)
    if declared is not None:
        return declared
    return "utf-8" if _is_utf8(body) else default


def decode(body: bytes, content_type: str | None = None) -> tuple[str, str]:
    """The text of a page, less its byte order mark, U+FFFD for what is invalid, and the encoding's name."""
    name = detect(body, content_type)
    return text_of(body, name), name


def to_utf8(body: bytes, content_type: str | None = None) -> tuple[bytes, str]:
    """The page in valid UTF-8 without a byte order mark, for the HTML parser, and the encoding it came in.

    The body itself is given back, not a copy, where its bytes are that already.
    """
    name = detect(body, content_type)
    if name == "utf-8":
        return valid_utf8(body.removeprefix(_UTF8_BOM)), name
    return _legacy_to_utf8(body, name), name


def valid_utf8(body: bytes) -> bytes:
    """A page in UTF-8, U+FFFD for what is none in it; the body itself where all of it is."""
    return body if _is_utf8(body) else text_of(body, "utf-8").encode()


def for_scan(body: bytes, content_type: str | None = None) -> tuple[bytes, str]:
    """The page as the scanner takes it: `to_utf8`, but what is found to be in UTF-8 may hold what isn't."""
    name = detect(body, content_type)
    if name == "utf-8":
        return body.removeprefix(_UTF8_BOM), name
    return _legacy_to_utf8(body, name), name


def _legacy_to_utf8(body: bytes, name: str) -> bytes:
    if body.isascii() and name not in _NOT_ASCII_BASED:
        return body
    return text_of(body, name).encode()


def _is_utf8(body: bytes) -> bool:
    if body.isascii():
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


@lru_cache(maxsize=256)
def declared_encoding(content_type: str | None) -> str | None:
    """The encoding that a Content-Type names, if its label is a known one."""
    # MIME Sniffing §4.4: the first parameter of a name counts, a quoted value may hold anything.
    for match in _PARAMETER.finditer(content_type or ""):
        if match[1].strip(_HTTP_SPACE).lower() == "charset":
            quoted, bare = match[2], match[3]
            label = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else (bare or "")
            return encoding_of(label)
    return None
