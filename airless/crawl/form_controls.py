"""The controls of a form: what a browser would find in it, and which value each of them would send."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from selectolax.lexbor import LexborHTMLParser, LexborNode

_CONTROLS = "button,input,select,textarea"
_TABLE_PARTS = frozenset({"table", "tbody", "tfoot", "thead", "tr"})
_ONE_LINE = frozenset({"text", "search", "tel", "url", "email", "password"})
_WITH_DIRECTION = frozenset(
    {"hidden", "text", "search", "tel", "url", "email", "password", "submit", "textarea"}
)
_INPUT_TYPES = _ONE_LINE | frozenset(
    {
        *("button", "checkbox", "color", "date", "datetime-local", "file", "hidden", "image", "month"),
        *("number", "radio", "range", "reset", "submit", "time", "week"),
    }
)

Kind = Literal["value", "file", "submit", "image"]


@dataclass(frozen=True, slots=True)
class Control:
    """One control that could take part in a submission.

    `values` are those that it sends: none for a box that isn't checked; a button's is sent only if it is
    clicked. `default` is what ticking it would send. `direction` is the name and value that ``dirname``
    adds.
    """

    name: str
    kind: Kind
    values: tuple[str, ...]
    default: str = "on"
    type: str = "text"
    id: str | None = None
    label: str = ""
    direction: tuple[str, str] | None = None
    action: str | None = None
    method: str | None = None
    enctype: str | None = None

    @property
    def is_button(self) -> bool:
        return self.kind in ("submit", "image")


def read_controls(tree: LexborHTMLParser, form: LexborNode) -> tuple[Control, ...]:
    """The form's enabled controls in the order of the document, as HTML §4.10.21.4 finds them.

    Values are the ones of the page: no script has run, and invalid dates, numbers and colours aren't
    corrected.
    """
    return tuple(_one_of_each_group([c for node in _owned(tree, form) if (c := _control(node)) is not None]))


def _owned(tree: LexborHTMLParser, form: LexborNode) -> Iterator[LexborNode]:
    """HTML §4.10.17.3: by the form attribute, else by the nearest form above.

    A form that stands between the parts of a table is left empty by the parser and still owns what follows
    in that table; the tree doesn't show that, so it is inferred.
    """
    by_id: dict[str, LexborNode] = {}
    for node in tree.css("[id]"):
        by_id.setdefault(node.id or "", node)
    in_table: LexborNode | None = None
    for node in tree.css(f"form,{_CONTROLS}"):
        if node.tag == "form":
            parent = node.parent
            if parent is not None and parent.tag in _TABLE_PARTS and node.first_child is None:
                in_table = node
            continue
        attributes = node.attributes
        if "form" in attributes:
            owner = by_id.get(attributes["form"] or "")
        else:
            owner = _above(node, "form")
            if owner is None and in_table is not None:
                table = _above(in_table, "table")
                owner = in_table if table is not None and _inside(node, table) else None
        if owner is not None and owner.mem_id == form.mem_id:
            yield node


def _control(node: LexborNode) -> Control | None:
    """HTML §4.10.21.4, step 5, for one element; None where it can't take part."""
    if _is_disabled(node) or _above(node, "datalist") is not None:
        return None
    attributes = {name: value or "" for name, value in node.attributes.items()}
    name = attributes.get("name", "")
    kind: Kind = "value"
    type = _type(node, attributes)
    value = attributes.get("value", "")
    values: tuple[str, ...] = (value,)
    default = "on"
    if type in ("reset", "button"):
        return None
    if type == "select":
        values = _selected(node, attributes)
    elif type == "textarea":
        values = (node.text(),)
    elif type in ("checkbox", "radio"):
        default = attributes.get("value", "on")
        values = (default,) if "checked" in attributes else ()
    elif type == "submit":
        kind = "submit"
    elif type == "image":
        kind = "image"
    elif type == "file":
        kind, values = "file", ()
    elif type in _ONE_LINE:
        value = value.replace("\r", "").replace("\n", "")
        values = (value.strip("\t\n\f\r ") if type in ("url", "email") else value,)
    if not name and kind not in ("submit", "image"):
        return None
    direction = attributes.get("dirname", "") if node.tag != "button" and type in _WITH_DIRECTION else ""
    return Control(
        name=name,
        kind=kind,
        values=values,
        default=default,
        type=type,
        id=attributes.get("id"),
        label=node.text() if node.tag == "button" else value,
        direction=(direction, _direction(node)) if direction else None,
        action=attributes.get("formaction"),
        method=attributes.get("formmethod"),
        enctype=attributes.get("formenctype"),
    )


def _type(node: LexborNode, attributes: dict[str, str]) -> str:
    given = attributes.get("type", "").lower()
    if node.tag == "input":
        return given if given in _INPUT_TYPES else "text"
    if node.tag == "button":
        return given if given in ("reset", "button") else "submit"
    return node.tag or ""


def _selected(select: LexborNode, attributes: dict[str, str]) -> tuple[str, ...]:
    """HTML §4.10.7: without ``multiple`` the last option that is selected, or the first that could be."""
    options = select.css("option")
    chosen = [option for option in options if "selected" in option.attributes]
    if "multiple" not in attributes:
        size = attributes.get("size", "").strip()
        one_line = not size.isdecimal() or int(size) in (0, 1)
        if not chosen and one_line:
            chosen = [option for option in options if not _is_disabled_option(option)][:1]
        chosen = chosen[-1:]
    return tuple(_option_value(option) for option in chosen if not _is_disabled_option(option))


def _option_value(option: LexborNode) -> str:
    attributes = option.attributes
    if "value" in attributes:
        return attributes["value"] or ""
    return " ".join(option.text().split())


def _is_disabled_option(option: LexborNode) -> bool:
    if "disabled" in option.attributes:
        return True
    group = option.parent
    return group is not None and group.tag == "optgroup" and "disabled" in group.attributes


def _is_disabled(node: LexborNode) -> bool:
    """HTML §4.10.18.5: by itself, or by a fieldset around it unless it stands in its first legend."""
    if "disabled" in node.attributes:
        return True
    legends: set[int] = set()
    parent = node.parent
    while parent is not None:
        if parent.tag == "legend":
            legends.add(parent.mem_id)
        elif parent.tag == "fieldset" and "disabled" in parent.attributes:
            legend = next((child for child in parent.iter() if child.tag == "legend"), None)
            if legend is None or legend.mem_id not in legends:
                return True
        parent = parent.parent
    return False


def _direction(node: LexborNode) -> str:
    current: LexborNode | None = node
    while current is not None and current.tag != "-document":
        given = (current.attributes.get("dir") or "").lower()
        if given in ("ltr", "rtl"):
            return given
        current = current.parent
    return "ltr"


def _one_of_each_group(controls: Sequence[Control]) -> Iterator[Control]:
    """Of checked radio buttons with one name the last is the one that stays checked (HTML §4.10.5.1.17)."""
    last = {c.name: i for i, c in enumerate(controls) if c.type == "radio" and c.values}
    for i, control in enumerate(controls):
        if control.type != "radio" or not control.values or last[control.name] == i:
            yield control


def _above(node: LexborNode, tag: str) -> LexborNode | None:
    parent = node.parent
    while parent is not None and parent.tag != tag:
        parent = parent.parent
    return parent


def _inside(node: LexborNode, outer: LexborNode) -> bool:
    parent = node.parent
    while parent is not None and parent.mem_id != outer.mem_id:
        parent = parent.parent
    return parent is not None
