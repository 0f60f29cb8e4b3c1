"""Forms: fill one in and submit it, as a browser without scripts would."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from airless.crawl.encoding import encoding_of
from airless.crawl.form_controls import Control, read_controls
from airless.crawl.form_encoding import Entry, multipart, query, text_plain
from airless.crawl.request import Request
from airless.crawl.selectors import Selector
from airless.crawl.urls import join

Value = str | int | float | bool | None | Sequence[str | int | float]

_ENCTYPES = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")


@dataclass(frozen=True, slots=True)
class Form:
    """A form of a page: its controls and where they go. Filling it in gives another form.

    `action` is the attribute as it stands; `page_url` what an empty one means, `base_url` what a relative
    one is relative to; `encoding` is what the server expects the fields in.
    """

    page_url: str
    base_url: str
    controls: tuple[Control, ...]
    action: str = ""
    method: str = "get"
    enctype: str = _ENCTYPES[0]
    encoding: str = "utf-8"
    filled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def buttons(self) -> tuple[Control, ...]:
        """The buttons that submit it."""
        return tuple(control for control in self.controls if control.is_button)

    def fill(self, values: Mapping[str, Value] | None = None, /, **named: Value) -> Form:
        """The form with these fields set: a text, a number, several of them, or None for no such field.

        A box is ticked by True, cleared by False, or given the values to tick. A field that the page
        doesn't have is sent after the others (scripts make such fields). Raises ValueError for a file
        field: files aren't sent.
        """
        filled = dict(self.filled)
        for name, value in {**(values or {}), **named}.items():
            controls = [control for control in self.controls if control.name == name]
            if any(control.kind == "file" for control in controls):
                raise ValueError(f"{name!r} takes a file, and forms are submitted without files")
            filled[name] = _texts(name, value, controls)
        return replace(self, filled=filled)

    def entries(self, click: str | tuple[str, str] | Selector | bool | None = None) -> list[tuple[str, str]]:
        """The names and values that would be sent; `click` as in `submit`."""
        return [(entry.name, entry.value) for entry in self._entries(self._button(click))]

    def submit(
        self,
        values: Mapping[str, Value] | None = None,
        click: str | tuple[str, str] | Selector | bool | None = None,
        callback: str | Callable[..., Any] | None = None,
        **options: Any,
    ) -> Request:
        """The request that submitting makes (HTML §4.10.21.3), with `values` filled in first.

        `click` is the button: its name, id, value or label, a (name, value) pair or a selector of it; None
        takes the first one, as pressing Enter does; False takes none. `options` are those of `Request`.
        Raises ValueError where the button isn't there or the form leads to no http(s) URL.
        """
        form = self.fill(values) if values else self
        button = form._button(click)
        method, enctype, action = form.method, form.enctype, form.action
        if button is not None:
            method = method if button.method is None else _method(button.method)
            enctype = enctype if button.enctype is None else _enctype(button.enctype)
            action = button.action or action
        if method == "dialog":
            raise ValueError(f"the form on {self.page_url} closes a dialog: it sends nothing")
        url = join(self.base_url, action) if action.strip("\t\n\f\r ") else self.page_url
        if url is None:
            raise ValueError(f"the form on {self.page_url} leads to {action!r}, which is not an http(s) URL")
        entries = form._entries(button)
        if method == "get":
            url = f"{url.partition('?')[0]}?{query(entries, self.encoding)}"
            return Request(url, callback=callback, **options)
        body, content_type = _body(entries, enctype, self.encoding)
        headers = {"Content-Type": content_type, **(options.pop("headers", None) or {})}
        return Request(url, callback=callback, method="POST", headers=headers, body=body, **options)

    def _button(self, click: str | tuple[str, str] | Selector | bool | None) -> Control | None:
        buttons = self.buttons
        if click is None:
            return buttons[0] if buttons else None
        if click is False:
            return None
        found: Iterable[Control] = ()
        if isinstance(click, Selector):
            attributes = click.attrib
            key = (attributes.get("id"), attributes.get("name", ""), attributes.get("value", ""))
            found = (b for b in buttons if (b.id, b.name, b.values[0]) == key)
        elif isinstance(click, tuple):
            found = (b for b in buttons if (b.name, b.values[0]) == click)
        elif isinstance(click, str):
            ways = (
                [b for b in buttons if b.name == click],
                [b for b in buttons if b.id == click],
                [b for b in buttons if b.values[0] == click],
                [b for b in buttons if " ".join(b.label.split()) == click],
            )
            found = next(filter(None, ways), ())
        button = next(iter(found), None)
        if button is None:
            there = ", ".join(repr(b.name or " ".join(b.label.split())) for b in buttons) or "none"
            raise ValueError(f"the form on {self.page_url} has no button {click!r}; its buttons: {there}")
        return button

    def _entries(self, button: Control | None) -> list[Entry]:
        """HTML §4.10.21.4: constructing the entry list."""
        entries: list[Entry] = []
        given = set[str]()
        for control in self.controls:
            name = control.name
            if name in self.filled and not control.is_button:
                if name not in given:
                    given.add(name)
                    entries.extend(Entry(name, value) for value in self.filled[name])
            elif control.is_button:
                if control is button:
                    entries.extend(_pressed(control))
            elif control.kind == "file":
                entries.append(Entry(name, "", is_file=True))
            elif control.type == "hidden" and name.lower() == "_charset_":
                entries.append(Entry(name, self.encoding))
            else:
                entries.extend(Entry(name, value) for value in control.values)
            if control.direction is not None and not control.is_button:
                entries.append(Entry(*control.direction))
        for name, values in self.filled.items():
            if name not in given:
                entries.extend(Entry(name, value) for value in values)
        return entries


def find_form(
    tree: LexborHTMLParser,
    *,
    page_url: str,
    base_url: str,
    encoding: str,
    css: str | None = None,
    name: str | None = None,
    id: str | None = None,
    index: int = 0,
) -> Form:
    """The `index`-th form that matches: `css` selects a form or something in one.

    Raises ValueError where there is no such form.
    """
    found = [
        form
        for form in _forms(tree, css)
        if (name is None or form.attributes.get("name") == name) and (id is None or form.id == id)
    ]
    if not -len(found) <= index < len(found):
        there = len(tree.css("form"))
        raise ValueError(f"{page_url} has no such form: {len(found)} match, {there} are on the page")
    node = found[index]
    attributes = {key: value or "" for key, value in node.attributes.items()}
    return Form(
        page_url=page_url,
        base_url=base_url,
        controls=read_controls(tree, node),
        action=attributes.get("action", ""),
        method=_method(attributes.get("method", "")),
        enctype=_enctype(attributes.get("enctype", "")),
        encoding=_pick_encoding(attributes.get("accept-charset", ""), encoding),
    )


def _forms(tree: LexborHTMLParser, css: str | None) -> list[LexborNode]:
    if css is None:
        return tree.css("form")
    try:
        matches = tree.css(css)
    except SelectolaxError as error:
        raise ValueError(f"not a CSS selector: {css!r}") from error
    forms: dict[int, LexborNode] = {}
    for match in matches:
        form: LexborNode | None = match
        while form is not None and form.tag != "form":
            form = form.parent
        if form is not None:
            forms.setdefault(form.mem_id, form)
    return list(forms.values())


def _texts(name: str, value: Value, controls: Sequence[Control]) -> tuple[str, ...]:
    if value is None or value is False:
        return ()
    if value is True:
        return tuple(c.default for c in controls if c.type in ("checkbox", "radio")) or ("on",)
    if isinstance(value, (str, int, float)):
        return (str(value),)
    if isinstance(value, bytes) or not isinstance(value, Sequence):
        raise ValueError(f"{name!r} takes a text, a number, True, False, None or a list, not {value!r}")
    return tuple(str(each) for each in value)


def _pressed(button: Control) -> list[Entry]:
    """What a clicked button sends; an image sends where it was hit: its corner, as without a mouse."""
    if button.kind == "image":
        prefix = f"{button.name}." if button.name else ""
        return [Entry(f"{prefix}x", "0"), Entry(f"{prefix}y", "0")]
    entries = [Entry(button.name, button.values[0])] if button.name else []
    return entries + ([Entry(*button.direction)] if button.direction and button.name else [])


def _body(entries: Sequence[Entry], enctype: str, encoding: str) -> tuple[bytes, str]:
    if enctype == "multipart/form-data":
        return multipart(entries, encoding)
    if enctype == "text/plain":
        return text_plain(entries, encoding), f"text/plain; charset={encoding}"
    return query(entries, encoding).encode("ascii"), enctype


def _method(given: str) -> str:
    given = given.lower()
    return given if given in ("post", "dialog") else "get"


def _enctype(given: str) -> str:
    given = given.lower()
    return given if given in _ENCTYPES else _ENCTYPES[0]


def _pick_encoding(accepted: str, page_encoding: str) -> str:
    """HTML §4.10.21.5: the first label in accept-charset that is one, else the page's; never UTF-16."""
    for label in accepted.split():
        found = encoding_of(label)
        if found is not None:
            page_encoding = found
            break
    return "utf-8" if page_encoding.startswith("utf-16") or page_encoding == "replacement" else page_encoding
