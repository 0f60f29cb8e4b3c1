"""The scripts that the server runs: each a step that happens as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the name that the server knows it by."""

    text: str
    digest: str


@cache
def script(name: str) -> Script:
    """The script of a name, with what all of them know in front."""
    folder = files(__name__)
    text = "\n".join(folder.joinpath(f"{part}.lua").read_text("utf-8") for part in ("topic", name))
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())
