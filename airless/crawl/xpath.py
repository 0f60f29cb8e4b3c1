"""XPath over the same document that CSS sees: an lxml copy of lexbor's tree, made once and mapped back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lxml import etree
from selectolax.lexbor import LexborHTMLParser, LexborNode

# HTML takes names and characters that XML, and so lxml, doesn't.
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")
_NOT_IN_TEXT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAMESPACES = {"re": "http://exslt.org/regular-expressions"}


class XPathIndex:
    """A document's elements for XPath 1.0, without namespaces: ``//svg/path`` is enough.

    A character that XML doesn't allow is an underscore in a name (``xlink:href`` is ``@xlink_href``) and left
    out of a text.
    """

    __slots__ = ("_copies", "_originals")

    def __init__(self, tree: LexborHTMLParser) -> None:
        self._copies: dict[int, etree._Element] = {}
        self._originals: dict[etree._Element, LexborNode] = {}
        if tree.root is not None:
            self._copy(tree.root)

    def evaluate(self, node: LexborNode, query: str, variables: Mapping[str, Any]) -> list[LexborNode | str]:
        """The results at `node`: elements as nodes, all else as strings (a truth value as "1" or "0").

        Raises ValueError where the expression can't be evaluated.
        """
        try:
            found: Any = self._copies[node.mem_id].xpath(
                query, namespaces=_NAMESPACES, smart_strings=False, **variables
            )
        except (etree.XPathError, TypeError) as error:
            raise ValueError(f"not an XPath that can be evaluated: {query!r}: {error}") from error
        if isinstance(found, bool):
            return ["1" if found else "0"]
        if not isinstance(found, list):
            return [str(found)]
        return [self._originals[item] if isinstance(item, etree._Element) else str(item) for item in found]

    def _copy(self, root: LexborNode) -> None:
        for node in root.traverse(include_text=True):
            parent = None if node.mem_id == root.mem_id or node.parent is None else node.parent.mem_id
            above = None if parent is None else self._copies.get(parent)
            if node.is_text_node:
                if above is not None:
                    _append_text(above, _NOT_IN_TEXT.sub("", node.text_content or ""))
                continue
            copy = _comment(node) if node.is_comment_node else _element(node)
            if above is not None:
                above.append(copy)
            self._copies[node.mem_id] = copy
            self._originals[copy] = node


def _element(node: LexborNode) -> etree._Element:
    element = etree.Element(_name(node.tag or ""))
    for name, value in node.attributes.items():
        element.set(_name(name), _NOT_IN_TEXT.sub("", value or ""))
    return element


def _comment(node: LexborNode) -> etree._Element:
    return etree.Comment(_NOT_IN_TEXT.sub("", node.comment_content or "").replace("--", "- -").rstrip("-"))


def _name(name: str) -> str:
    name = _NOT_IN_NAMES.sub("_", name)
    return name if name[:1].isalpha() or name[:1] == "_" else f"_{name}"


def _append_text(parent: etree._Element, text: str) -> None:
    if len(parent):
        parent[-1].tail = (parent[-1].tail or "") + text
    else:
        parent.text = (parent.text or "") + text
