"""The 1,024-byte prescan: what the first bytes of a page say about its own encoding.

Source: HTML standard §13.2.3.2, "prescan a byte stream to determine its encoding", "get an attribute" and
"get an XML encoding"; §2.5.3, "extracting a character encoding from a meta element".
"""

from __future__ import annotations

import re

from airless.crawl.encoding import encoding_of

PRESCAN_BYTES = 1_024

_META = re.compile(rb"<meta(?=[\t\n\f\r /])", re.IGNORECASE)
_TAG = re.compile(rb"</?[a-z]", re.IGNORECASE)
_TAG_NAME_END = re.compile(rb"[\t\n\f\r >]")
# Possessive, and every end asserted: no match means that the bytes ran out in the middle of an attribute.
_ATTRIBUTE = re.compile(
    rb"""
    [\t\n\f\r\ /]*+
    (?: (?=>)
      | (?P<name> [^\t\n\f\r\ />] [^\t\n\f\r\ />=]*+ )
        (?: [\t\n\f\r\ ]*+ = [\t\n\f\r\ ]*+
            (?: "(?P<double>[^"]*+)"
              | '(?P<single>[^']*+)'
              | (?=>)
              | (?P<bare>[^"'>\t\n\f\r\ ][^\t\n\f\r\ >]*+)(?=[\t\n\f\r\ >])
            )
          | [\t\n\f\r\ ]*+ (?=[^=\t\n\f\r\ ])
        )
    )
    """,
    re.VERBOSE,
)
_META_CONTENT = re.compile(r"charset[\t\n\f\r ]*=[\t\n\f\r ]*")
_BARE_LABEL = re.compile(r"[^\t\n\f\r ;]*")
_XML_ENCODING = re.compile(rb"[\x00-\x20]*=[\x00-\x20]*([\"'])([^\x00-\x20]*?)\1")


def prescan(body: bytes) -> str | None:
    """The encoding that a page without a BOM declares, by its standard name in lower case, or None.

    UTF-16 in a ``meta`` or an XML declaration means UTF-8 (else it couldn't have been read), x-user-defined
    in a ``meta`` means windows-1252.
    """
    head = body[:PRESCAN_BYTES]
    if head.startswith(b"<\0?\0x\0"):
        return "utf-16le"
    if head.startswith(b"\0<\0?\0x"):
        return "utf-16be"
    return _meta_encoding(head) or _xml_encoding(head)


def _meta_encoding(head: bytes) -> str | None:
    if b"charset" not in head.lower():
        return None  # no tag can declare anything then, and reading them all costs as much as a parse
    at = head.find(b"<")
    while at >= 0:
        if head.startswith(b"<!--", at):
            # The two dashes before the '>' may be those that opened the comment.
            at = head.find(b"-->", at + 2)
        elif _META.match(head, at):
            attributes, at = _attributes(head, at + len(b"<meta"))
            # A tag that the 1,024 bytes cut off declares nothing.
            encoding = _declared(attributes) if at >= 0 else None
            if encoding is not None:
                return encoding
        elif _TAG.match(head, at):
            name_end = _TAG_NAME_END.search(head, at)
            at = -1 if name_end is None else _attributes(head, name_end.start())[1]
        elif head[at + 1 : at + 2] in (b"!", b"/", b"?"):
            at = head.find(b">", at + 1)
        if at >= 0:
            at = head.find(b"<", at + 1)
    return None


def _attributes(head: bytes, at: int) -> tuple[list[tuple[str, str]], int]:
    """A tag's names and values in lower case, and where its '>' is; -1 if the bytes end before."""
    found: list[tuple[str, str]] = []
    while match := _ATTRIBUTE.match(head, at):
        at = match.end()
        name = match["name"]
        if name is None:
            return found, at
        value = match["double"] or match["single"] or match["bare"] or b""
        found.append((name.lower().decode("latin-1"), value.lower().decode("latin-1")))
    return found, -1


def _declared(attributes: list[tuple[str, str]]) -> str | None:
    seen: set[str] = set()
    got_pragma = False
    need_pragma: bool | None = None
    encoding: str | None = None
    for name, value in attributes:
        if name in seen:
            continue
        seen.add(name)
        if name == "http-equiv":
            got_pragma = value == "content-type"
        elif name == "content":
            in_content = _encoding_in_content(value)
            if in_content is not None and encoding is None:
                encoding, need_pragma = in_content, True
        elif name == "charset":
            encoding, need_pragma = encoding_of(value), False
    if need_pragma is None or (need_pragma and not got_pragma):
        return None
    return "windows-1252" if encoding == "x-user-defined" else _readable(encoding)


def _encoding_in_content(content: str) -> str | None:
    found = _META_CONTENT.search(content)
    if found is None or found.end() == len(content):
        return None
    rest = content[found.end() :]
    if rest[0] in "\"'":
        label, closed, _ = rest[1:].partition(rest[0])
        return encoding_of(label) if closed else None
    bare = _BARE_LABEL.match(rest)
    return None if bare is None else encoding_of(bare[0])


def _xml_encoding(head: bytes) -> str | None:
    end = head.find(b">") if head.startswith(b"<?xml") else -1
    if end < 0:
        return None
    found = _XML_ENCODING.match(head[:end].partition(b"encoding")[2])
    return None if found is None else _readable(encoding_of(found[2].decode("latin-1")))


def _readable(encoding: str | None) -> str | None:
    return "utf-8" if encoding in ("utf-16le", "utf-16be") else encoding
