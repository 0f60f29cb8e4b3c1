"""CSS queries as spiders write them: selectors, with ``::text`` or ``::attr(name)`` at the end of a part."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

# `:scope` is unknown to lexbor: while a relative query runs, the element it starts from wears this attribute.
SCOPE = "airless-scope"

Kind = Literal["node", "text", "deep", "attr"]

_STRING = r'"(?:\\.|[^"\\])*"|' + r"'(?:\\.|[^'\\])*'"
_PIECE = re.compile(rf"{_STRING}|\\.|:scope(?![\w-])|[\[\](){{}},]|.", re.DOTALL | re.IGNORECASE)
_ENDING = re.compile(r"::(?:(text)|attr\(\s*([^\s()\"']+)\s*\))\s*\Z", re.IGNORECASE)
_COMBINATOR = re.compile(r"[>+~]\s*\Z")
_UNIVERSAL_LAST = re.compile(r"(?:\s|\A)\*\Z")


@dataclass(frozen=True, slots=True)
class Part:
    """One comma-separated part. `deep` is all texts inside a match, `text` those directly inside."""

    selector: str
    kind: Kind
    name: str = ""

    @property
    def scoped(self) -> bool:
        return SCOPE in self.selector


@lru_cache(maxsize=1024)
def parse(query: str) -> tuple[Part, ...]:
    """The parts of a query; commas in brackets and strings don't separate. Bad CSS is lexbor's to refuse."""
    return tuple(_part(text.strip()) for text in _split(query))


def _split(query: str) -> Iterator[str]:
    part: list[str] = []
    depth = 0
    for piece in _PIECE.findall(query):
        if piece in ("[", "(", "{"):
            depth += 1
        elif piece in ("]", ")", "}"):
            depth -= 1
        elif piece == "," and depth == 0:
            yield "".join(part)
            part = []
            continue
        part.append(f"[{SCOPE}]" if piece.lower() == ":scope" else piece)
    yield "".join(part)


def _part(text: str) -> Part:
    ending = _ENDING.search(text)
    if ending is None:
        return Part(_relative(text), "node")
    base = text[: ending.start()]
    name = ending[2] or ""
    kind: Kind = "text" if ending[1] else "attr"
    if not base or base[-1].isspace():
        # `p ::text` is short for `p *::text`.
        base += "*"
    base = _relative(base)
    if not _UNIVERSAL_LAST.search(base) or _COMBINATOR.search(base[:-1]):
        return Part(base, kind, name)
    outer = base[:-1].rstrip()
    if kind == "text":
        return Part(outer or f"[{SCOPE}]", "deep")
    return Part(f"{outer},{outer} *" if outer else "*", kind, name)


def _relative(selector: str) -> str:
    return f"[{SCOPE}] {selector}" if selector[:1] == ">" else selector
