"""What a query selects from a page: elements, their text, their attributes, in the order of the document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from re import Pattern, finditer
from typing import TYPE_CHECKING, Any, TypeVar, overload

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from airless.core.errors import ConfigError
from airless.crawl.css import SCOPE, Part, parse

if TYPE_CHECKING:
    from airless.crawl.xpath import XPathIndex

T = TypeVar("T")


class Page:
    """One parsed document, shared by its selectors; the XPath view is built when it is first asked for.

    It is `changeable` once its tree, or an element of it, was given out.
    """

    __slots__ = ("_xpath", "changeable", "tree")

    def __init__(self, tree: LexborHTMLParser) -> None:
        self.tree = tree
        self.changeable = False
        self._xpath: XPathIndex | None = None

    @property
    def root(self) -> Selector:
        """The document's element."""
        root = self.tree.root
        if root is None:
            raise ValueError("the document has no element")
        return Selector(root, self)

    @property
    def xpath(self) -> XPathIndex:
        """Raises ConfigError where lxml isn't installed."""
        if self._xpath is None:
            try:
                from airless.crawl.xpath import XPathIndex
            except ImportError as error:
                raise ConfigError("xpath needs lxml: pip install airless[xpath]") from error
            self._xpath = XPathIndex(self.tree)
        return self._xpath


class Selector:
    """One match: an element, or a string (a text or an attribute's value)."""

    __slots__ = ("_node", "_page", "_value")

    def __init__(self, node: LexborNode | None, page: Page, value: str | None = None) -> None:
        self._node = node
        self._page = page
        self._value = value

    @property
    def node(self) -> LexborNode | None:
        """The element, as selectolax has it; None where this is a string."""
        self._page.changeable = True
        return self._node

    @property
    def tag(self) -> str | None:
        """The element's name; None where this is a string."""
        return None if self._node is None else self._node.tag

    def css(self, query: str) -> SelectorList:
        """What a CSS selector matches in this element, itself included.

        Each comma-separated part may end in ``::text`` (the texts directly inside), in ``::text`` after a
        blank (all texts inside) or in ``::attr(name)``. A part may begin with ``:scope`` or with ``>`` (``>
        li``). Ancestors outside of this element count, as in a browser. Raises ValueError where the query
        is no CSS.
        """
        parts = parse(query)
        node = self._element(query)
        kinds = {(part.kind, part.name) for part in parts}
        if len(kinds) > 1:
            return SelectorList(self._mixed(node, parts, query))
        if len(parts) == 1 and not parts[0].scoped and "," not in parts[0].selector:
            _check(parts[0].selector, query)
            return SelectorList(self._uniform(node, parts, query), lambda: self._first(node, parts[0]))
        return SelectorList(self._uniform(node, parts, query))

    def xpath(self, query: str, **variables: Any) -> SelectorList:
        """What an XPath 1.0 expression gives, evaluated at this element; `variables` fill its ``$names``.

        Raises ValueError where the expression can't be evaluated, ConfigError where lxml isn't installed.
        """
        found = self._page.xpath.evaluate(self._element(query), query, variables)
        return SelectorList(
            self._string(match) if isinstance(match, str) else Selector(match, self._page) for match in found
        )

    def get(self) -> str:
        """An element's HTML, or the string that was selected."""
        if self._value is not None or self._node is None:
            return self._value or ""
        return self._node.html or ""

    def getall(self) -> list[str]:
        return [self.get()]

    @overload
    def re_first(self, pattern: str | Pattern[str], default: None = None) -> str | None: ...

    @overload
    def re_first(self, pattern: str | Pattern[str], default: T) -> str | T: ...

    def re_first(self, pattern: str | Pattern[str], default: T | None = None) -> str | T | None:
        """The first of `re`, or the default."""
        return next(_matches(pattern, self.get()), default)

    def re(self, pattern: str | Pattern[str]) -> list[str]:
        """All matches of a regular expression in `get()`: its groups if it has any, else the whole match."""
        return list(_matches(pattern, self.get()))

    @property
    def attrib(self) -> dict[str, str]:
        """The element's attributes; one without a value has the empty string."""
        if self._node is None:
            return {}
        return {name: value or "" for name, value in self._node.attributes.items()}

    @property
    def text(self) -> str:
        """All the text inside, each run of white space as one blank, none at the ends."""
        text = self._value if self._node is None else self._node.text()
        return " ".join((text or "").split())

    def __repr__(self) -> str:
        value = self.get()
        return f"<Selector {value if len(value) <= 60 else value[:57] + '...'!r}>"

    def _element(self, query: str) -> LexborNode:
        if self._node is None:
            raise ValueError(f"{query!r} was asked of a text; select from an element instead")
        return self._node

    def _string(self, value: str) -> Selector:
        return Selector(None, self._page, value)

    def _uniform(self, node: LexborNode, parts: Sequence[Part], query: str) -> Iterator[Selector]:
        """Parts of one kind."""
        kind, name = parts[0].kind, parts[0].name
        found = _select(node, parts, query)
        if kind == "node":
            yield from (Selector(match, self._page) for match in found)
        elif kind == "attr":
            values = (_attribute(match, name) for match in found)
            yield from (self._string(value) for value in values if value is not None)
        else:
            texts = _text_nodes(found, deep=kind == "deep")
            yield from (self._string(text.text_content or "") for text in texts)

    def _first(self, node: LexborNode, part: Part) -> Selector | None:
        """The first match of one part, where it can be told without the others; else None."""
        match = node.css_first(part.selector)
        if match is None or part.kind == "node":
            return None if match is None else Selector(match, self._page)
        if part.kind == "attr":
            value = _attribute(match, part.name)
            return None if value is None else self._string(value)
        # What begins with an element may hold another match, whose text comes sooner.
        child = next(match.iter(include_text=True), None)
        if child is None or not child.is_text_node:
            return None
        return self._string(child.text_content or "")

    def _mixed(self, node: LexborNode, parts: Sequence[Part], query: str) -> Iterator[Selector]:
        """Parts of several kinds: one walk over the element keeps the document's order."""
        elements: set[int] = set()
        texts: set[int] = set()
        attributes: dict[int, dict[str, None]] = {}
        for part in parts:
            found = _select(node, (part,), query)
            if part.kind == "node":
                elements.update(match.mem_id for match in found)
            elif part.kind == "attr":
                for match in found:
                    attributes.setdefault(match.mem_id, {})[part.name] = None
            else:
                texts.update(text.mem_id for text in _text_nodes(found, deep=part.kind == "deep"))
        for current in node.traverse(include_text=True):
            if current.mem_id in texts:
                yield self._string(current.text_content or "")
            if current.mem_id in elements:
                yield Selector(current, self._page)
            for name in attributes.get(current.mem_id, ()):
                value = _attribute(current, name)
                if value is not None:
                    yield self._string(value)


class SelectorList(Sequence[Selector]):
    """Matches in the order of the document. What is asked of the list is asked of each, or of the first.

    With `first`, which finds the first of them without the others or gives None where it can't, they are looked
    for when they are needed.
    """

    __slots__ = ("_find_first", "_found", "_sought")

    def __init__(
        self, selectors: Iterable[Selector] = (), first: Callable[[], Selector | None] | None = None
    ) -> None:
        self._found = tuple(selectors) if first is None else None
        self._sought = selectors
        self._find_first = first

    @property
    def _selectors(self) -> tuple[Selector, ...]:
        if self._found is None:
            self._found, self._sought = tuple(self._sought), ()
        return self._found

    def _first(self) -> Selector | None:
        if self._found is None and self._find_first is not None:
            first = self._find_first()
            if first is not None:
                return first
        return self._selectors[0] if self._selectors else None

    @overload
    def __getitem__(self, index: int) -> Selector: ...

    @overload
    def __getitem__(self, index: slice) -> SelectorList: ...

    def __getitem__(self, index: int | slice) -> Selector | SelectorList:
        if isinstance(index, slice):
            return SelectorList(self._selectors[index])
        return self._selectors[index]

    def __len__(self) -> int:
        return len(self._selectors)

    def __iter__(self) -> Iterator[Selector]:
        return iter(self._selectors)

    def css(self, query: str) -> SelectorList:
        """The matches in each element, one after the other."""
        return self._each(lambda selector: selector.css(query))

    def xpath(self, query: str, **variables: Any) -> SelectorList:
        """The results at each element, one after the other."""
        return self._each(lambda selector: selector.xpath(query, **variables))

    @overload
    def get(self, default: None = None) -> str | None: ...

    @overload
    def get(self, default: T) -> str | T: ...

    def get(self, default: T | None = None) -> str | T | None:
        """The first match as a string, or the default where there is none."""
        first = self._first()
        return default if first is None else first.get()

    def getall(self) -> list[str]:
        """Every match as a string."""
        return [selector.get() for selector in self._selectors]

    def re(self, pattern: str | Pattern[str]) -> list[str]:
        """What the regular expression finds in every match."""
        return [found for selector in self._selectors for found in selector.re(pattern)]

    @overload
    def re_first(self, pattern: str | Pattern[str], default: None = None) -> str | None: ...

    @overload
    def re_first(self, pattern: str | Pattern[str], default: T) -> str | T: ...

    def re_first(self, pattern: str | Pattern[str], default: T | None = None) -> str | T | None:
        """The first thing that the regular expression finds in any match, or the default."""
        return next((f for selector in self._selectors for f in _matches(pattern, selector.get())), default)

    @property
    def attrib(self) -> dict[str, str]:
        """The attributes of the first match; none where nothing matched."""
        first = self._first()
        return {} if first is None else first.attrib

    @property
    def text(self) -> str:
        """The text of the first match; empty where nothing matched."""
        first = self._first()
        return "" if first is None else first.text

    def __repr__(self) -> str:
        return f"<SelectorList {list(self._selectors)!r}>"

    def _each(self, select: Callable[[Selector], SelectorList]) -> SelectorList:
        return SelectorList(found for selector in self._selectors for found in select(selector))


@lru_cache(maxsize=1024)
def _check(css: str, query: str) -> None:
    """Raises ValueError for what is no CSS, when it is asked and not when its matches are."""
    try:
        LexborHTMLParser("").css_first(css)
    except SelectolaxError as error:
        raise ValueError(f"not a CSS selector: {query!r}") from error


def _select(node: LexborNode, parts: Sequence[Part], query: str) -> list[LexborNode]:
    """The elements that any part matches, each once, in the order of the document."""
    css = ",".join(part.selector for part in parts)
    scoped = any(part.scoped for part in parts)
    if scoped:
        node.attrs[SCOPE] = ""
    try:
        found = node.css(css)
    except SelectolaxError as error:
        raise ValueError(f"not a CSS selector: {query!r}") from error
    finally:
        if scoped:
            del node.attrs[SCOPE]
    # An element that two parts match is found twice.
    return list({match.mem_id: match for match in found}.values()) if "," in css else found


def _attribute(node: LexborNode, name: str) -> str | None:
    """The value, empty where the attribute has none; None where the element doesn't have the attribute."""
    attributes = node.attributes
    if name not in attributes:
        name = name.lower()
    return (attributes[name] or "") if name in attributes else None


def _text_nodes(elements: Sequence[LexborNode], *, deep: bool) -> Iterator[LexborNode]:
    """The texts in elements (given in document order), in that order even where one element holds another."""
    matched = {element.mem_id for element in elements}
    walked: set[int] = set()
    for element in elements:
        if element.mem_id in walked:
            continue
        children = list(element.iter(include_text=True))
        if not deep and (len(matched) == 1 or all(child.is_text_node for child in children)):
            yield from (child for child in children if child.is_text_node)
            continue
        # One walk over each outermost match: the cost stays linear however deep the matches nest.
        for node in element.traverse(include_text=True):
            if not node.is_text_node:
                walked.add(node.mem_id)
            elif deep or (node.parent is not None and node.parent.mem_id in matched):
                yield node


def _matches(pattern: str | Pattern[str], text: str) -> Iterator[str]:
    for match in finditer(pattern, text):
        groups = match.groups()
        yield from (group or "" for group in groups) if groups else (match[0],)
