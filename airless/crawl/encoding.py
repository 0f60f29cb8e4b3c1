"""The Encoding standard's labels and decoders, as `webencodings` maps them to Python's codecs."""

from __future__ import annotations

import webencodings  # type: ignore[import-untyped]


def encoding_of(label: str) -> str | None:
    """The name, in lower case, of the encoding with that label, or None (Encoding standard §4.2)."""
    encoding = webencodings.lookup(label)
    return None if encoding is None else str(encoding.name)


def text_of(body: bytes, name: str) -> str:
    """`body` decoded from the encoding of that name: without a byte order mark, invalid bytes as U+FFFD.

    The bytes 0x80 to 0x9F that a windows code page leaves empty are U+FFFD here and not C1 controls.
    """
    if name == "replacement":
        # Encodings that can smuggle markup are not decoded at all (Encoding standard §14.1).
        return "\ufffd" if body else ""
    return str(webencodings.decode(body, name, errors="replace")[0])
