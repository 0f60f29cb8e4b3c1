"""How a form's entries become bytes: in a query, in a urlencoded body, in multipart, in plain text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from urllib.parse import quote_plus

import webencodings  # type: ignore[import-untyped]

_NEWLINE = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Entry:
    """A name and a value; an empty file where no file was chosen."""

    name: str
    value: str
    is_file: bool = False


def query(entries: Sequence[Entry], encoding: str = "utf-8") -> str:
    """application/x-www-form-urlencoded (WHATWG URL §5.2), all ASCII."""
    return "&".join(
        f"{_percent(_lines(e.name), encoding)}={_percent(_lines(e.value), encoding)}" for e in entries
    )


def multipart(entries: Sequence[Entry], encoding: str = "utf-8") -> tuple[bytes, str]:
    """The body and its content type (RFC 7578, HTML §4.10.21.8).

    The boundary comes from the content, so the same entries give the same bytes, and it occurs in none of
    them.
    """
    parts: list[bytes] = []
    for entry in entries:
        name = _escaped(_lines(entry.name), encoding)
        if entry.is_file:
            head = b'name="%b"; filename=""\r\nContent-Type: application/octet-stream' % name
        else:
            head = b'name="%b"' % name
        value = _encode(_lines(entry.value), encoding)
        parts.append(b"Content-Disposition: form-data; %b\r\n\r\n%b\r\n" % (head, value))
    boundary = _boundary(parts)
    body = b"".join(b"--%b\r\n%b" % (boundary, part) for part in parts) + b"--%b--\r\n" % boundary
    return body, f"multipart/form-data; boundary={boundary.decode()}"


def text_plain(entries: Sequence[Entry], encoding: str = "utf-8") -> bytes:
    """text/plain (HTML §4.10.21.9): for people, it can't be taken apart again."""
    return _encode("".join(f"{_lines(e.name)}={_lines(e.value)}\r\n" for e in entries), encoding)


def _lines(text: str) -> str:
    """HTML §4.10.21.6: every newline is CR LF."""
    return _NEWLINE.sub("\r\n", text)


def _encode(text: str, encoding: str) -> bytes:
    """What the encoding lacks becomes a character reference, as browsers do (Encoding §4.1, "html")."""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return bytes(webencodings.encode(text, encoding, errors="xmlcharrefreplace"))


def _percent(text: str, encoding: str) -> str:
    # quote_plus leaves "~" alone; the standard's set doesn't.
    return quote_plus(_encode(text, encoding), safe="*").replace("~", "%7E")


def _escaped(name: str, encoding: str) -> bytes:
    encoded = _encode(name, encoding)
    return encoded.replace(b"\r", b"%0D").replace(b"\n", b"%0A").replace(b'"', b"%22")


def _boundary(parts: Sequence[bytes]) -> bytes:
    # A text that holds the digest of itself can't be made, so no part can end early.
    return b"form-" + blake2b(b"".join(parts), digest_size=16).hexdigest().encode()
