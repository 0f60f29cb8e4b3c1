"""Byte code for a package: a function can't write any, and to compile what it imports takes most of its start."""

from __future__ import annotations

import marshal
import sys
import warnings
from collections.abc import Mapping
from importlib.util import MAGIC_NUMBER, source_hash

# PEP 552: by the source's hash, which isn't looked at again. Times of files say nothing in a zip.
_UNCHECKED = (1).to_bytes(4, "little")
# Later versions of the format note which objects were referred to from elsewhere: other bytes each time.
_MARSHAL = 2


def byte_code(entries: Mapping[str, bytes], python: str) -> dict[str, bytes]:
    """The byte code of each module, by the name under which Python `python` (``3.12``) looks for it.

    Nothing where this is another Python: each reads its own byte code alone. Nothing either of what doesn't compile.
    """
    tag = f"cpython-{python.replace('.', '')}"
    if sys.implementation.cache_tag != tag:
        return {}
    compiled: dict[str, bytes] = {}
    for name, source in entries.items():
        if name.endswith(".py") and (code := _compiled(name, source)) is not None:
            folder, _, module = name.rpartition("/")
            place = f"{folder}/__pycache__" if folder else "__pycache__"
            compiled[f"{place}/{module.removesuffix('.py')}.{tag}.pyc"] = code
    return compiled


def _compiled(name: str, source: bytes) -> bytes | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its author's
        try:
            code = compile(source, name, "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError):
            return None
    return MAGIC_NUMBER + _UNCHECKED + source_hash(source) + marshal.dumps(code, _MARSHAL)
