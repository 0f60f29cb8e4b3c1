"""Forms: what a browser without scripts would send."""

from __future__ import annotations

import email.parser
import email.policy
from urllib.parse import parse_qsl, urlsplit

import pytest

from airless.crawl.form_encoding import Entry, multipart
from airless.crawl.forms import Form
from airless.crawl.response import Response

URL = "https://shop.example/login/?next=1"


def page(markup: str, charset: str = "utf-8") -> Response:
    headers = {"Content-Type": f"text/html; charset={charset}"}
    return Response.from_bytes(URL, f"<!doctype html><body>{markup}".encode(charset), headers=headers)


def form(markup: str, charset: str = "utf-8") -> Form:
    return page(markup, charset).form()


@pytest.mark.parametrize(
    ("controls", "entries"),
    [
        ("<input name=a value=1><input name=b><input value=nameless><input name='' value=x>", "a=1 b="),
        ("<input name=a type=unknown value=1><input name=c type=CHECKBOX checked>", "a=1 c=on"),
        ("<input name=a disabled value=1><input type=reset name=r><input type=button name=b>", ""),
        ("<input name=c type=checkbox value=1><input name=c type=checkbox value=2 checked>", "c=2"),
        ("<input name=r type=radio value=1 checked><input name=r type=radio value=2 checked>", "r=2"),
        ("<input name=r type=radio value=1>", ""),
        ("<select name=s><option>  one \n two <option>b</select>", "s=one two"),
        ("<select name=s><option disabled>a<option value=2>b</select>", "s=2"),
        ("<select name=s><option selected>a<option selected>b</select>", "s=b"),
        ("<select name=s size=3><option>a</select>", ""),
        ("<select name=s size=0><option>a</select>", "s=a"),
        ("<select name=s multiple><option selected>a<option>b<option selected>c</select>", "s=a s=c"),
        ("<select name=s><optgroup disabled><option>a</optgroup><option>b</select>", "s=b"),
        ("<select name=s><option selected disabled>a<option>b</select>", ""),
        ("<select name=s></select>", ""),
        ("<textarea name=t>\n a &amp; b</textarea>", "t= a & b"),
        ("<input name=u type=url value=' x&#10;y '><input name=a value='b&#13;&#10;c'>", "u=xy a=bc"),
        ("<input type=hidden name=_charset_ value=x>", "_charset_=utf-8"),
        ("<datalist><input name=a></datalist><output name=o>1</output>", ""),
        ("<fieldset disabled><legend><input name=l></legend><input name=a></fieldset>", "l="),
        ("<fieldset disabled><p><legend><input name=l></legend></fieldset><input name=b>", "b="),
        ("<input name=f type=file><input name=i type=image><button name=b type=button>x</button>", "f="),
        ("<input name=a dirname=a.dir value=x>", "a=x a.dir=ltr"),
        ("<div dir=RTL><textarea name=a dirname=a.dir>x</textarea></div>", "a=x a.dir=rtl"),
        ("<template><input name=a></template>", ""),
    ],
)
def test_the_entry_list_is_that_of_the_html_standard(controls: str, entries: str) -> None:
    found = form(f"<form>{controls}</form>").entries(click=False)
    assert " ".join(f"{name}={value}" for name, value in found) == entries


def test_a_control_belongs_to_the_form_it_names_or_stands_in() -> None:
    markup = (
        "<form id=a><input name=1><input name=2 form=b><input name=3 form=none></form>"
        "<form id=b></form><input name=4 form=a><input name=5>"
    )
    response = page(markup)
    assert [name for name, _ in response.form(id="a").entries()] == ["1", "4"]
    assert [name for name, _ in response.form(id="b").entries()] == ["2"]


def test_a_form_between_the_parts_of_a_table_owns_its_fields() -> None:
    markup = (
        "<table><form id=a><tr><td><input name=q></td></tr></form></table><input name=z>"
        "<table><tr><form id=b><td><input name=y><button name=go value=1></button></td></form></tr></table>"
    )
    response = page(markup)
    assert response.form(id="a").entries() == [("q", "")]
    assert response.form(id="b").entries() == [("y", ""), ("go", "1")]


def test_a_get_form_replaces_the_query() -> None:
    search = form('<form action="/search?old=1#x"><input name=q value="a b&c~*é"><input name=e></form>')
    request = search.submit(callback="found", meta={"n": 1}, priority=2)
    assert request.url == "https://shop.example/search?q=a+b%26c%7E*%C3%A9&e="
    assert (request.method, request.body, request.headers) == ("GET", None, None)
    assert (request.callback, request.meta, request.priority) == ("found", {"n": 1}, 2)
    assert form("<form></form>").submit().url == "https://shop.example/login/?"


def test_a_post_form_is_urlencoded_and_keeps_the_query_of_its_action() -> None:
    login = form("<form method=POST><input name=user><input name=pw type=password></form>")
    request = login.submit({"user": "me", "pw": "a\nb"}, headers={"X-A": "1"})
    assert request.url == URL
    assert (request.method, request.body) == ("POST", b"user=me&pw=a%0D%0Ab")
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded", "X-A": "1"}


def test_a_multipart_form_can_be_taken_apart_again() -> None:
    markup = (
        "<form method=post enctype=Multipart/Form-Data><input name='a\"b' value=é>"
        "<textarea name=t>1\n2</textarea>"
        "<input type=file name=f></form>"
    )
    request = form(markup).submit()
    assert request.headers is not None
    content_type = request.headers["Content-Type"]
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + (request.body or b""))
    parts = list(message.iter_parts())  # type: ignore[attr-defined]
    assert [part.get_param("name", header="content-disposition") for part in parts] == ["a%22b", "t", "f"]
    assert [part.get_payload(decode=True) for part in parts] == ["é".encode(), b"1\r\n2", b""]
    assert parts[2].get_filename() == ""
    assert parts[2].get_content_type() == "application/octet-stream"


def test_the_same_fields_give_the_same_bytes_and_a_boundary_that_is_in_none() -> None:
    entries = [Entry("a", "1")]
    body, content_type = multipart(entries)
    assert (body, content_type) == multipart(entries)
    boundary = content_type.partition("boundary=")[2]
    nested, other = multipart([Entry("a", body.decode())])
    assert other.partition("boundary=")[2] != boundary
    assert nested.count(other.partition("boundary=")[2].encode()) == 2


def test_a_plain_text_form_has_a_line_for_each_field() -> None:
    request = form(
        "<form method=post enctype=text/plain><input name=a value='b c'><input name=d></form>"
    ).submit()
    assert request.body == b"a=b c\r\nd=\r\n"
    assert request.headers == {"Content-Type": "text/plain; charset=utf-8"}


@pytest.mark.parametrize(
    ("attributes", "charset", "encoding", "sent"),
    [
        ("", "windows-1251", "windows-1251", "q=%C4+%88"),
        ("", "iso-8859-5", "iso-8859-5", "q=%B4+%26%238364%3B"),
        ("accept-charset='nope utf8 koi8-r'", "windows-1251", "utf-8", "q=%D0%94+%E2%82%AC"),
        ("accept-charset=utf-16", "utf-8", "utf-8", "q=%D0%94+%E2%82%AC"),
    ],
)
def test_fields_are_sent_in_the_encoding_of_the_page(
    attributes: str, charset: str, encoding: str, sent: str
) -> None:
    made = form(f"<form {attributes}><input name=q></form>", charset)
    assert made.encoding == encoding
    assert urlsplit(made.submit({"q": "Д €"}).url).query == sent


def test_a_lone_surrogate_is_replaced() -> None:
    assert form("<form><input name=q></form>").submit({"q": "a\ud800"}).url.endswith("?q=a%EF%BF%BD")


def test_fields_are_filled_in_where_they_stand() -> None:
    markup = (
        "<form><input name=a value=1><input type=checkbox name=c value=x><input type=checkbox name=c value=y>"
        "<input type=radio name=r value=1 checked><input type=radio name=r value=2>"
        "<select name=s><option>1<option>2</select><input name=z value=9></form>"
    )
    untouched = form(markup)
    filled = untouched.fill({"s": 2}, a=None, c=True, r="2", extra=[1, "b"])
    assert filled.entries() == [
        *(("c", "x"), ("c", "y"), ("r", "2"), ("s", "2"), ("z", "9"), ("extra", "1"), ("extra", "b")),
    ]
    assert filled.fill(c="y", extra=False).entries()[0] == ("c", "y")
    assert untouched.entries() == [("a", "1"), ("r", "1"), ("s", "1"), ("z", "9")]
    assert untouched.fill(agree=True).entries()[-1] == ("agree", "on")
    assert untouched.fill(a=1.5).entries()[0] == ("a", "1.5")


def test_files_and_other_values_are_refused() -> None:
    upload = form("<form method=post><input type=file name=f></form>")
    with pytest.raises(ValueError, match="'f' takes a file"):
        upload.submit({"f": "x"})
    for value in (b"x", {"a": 1}, object()):
        with pytest.raises(ValueError, match="'a' takes a text"):
            upload.fill(a=value)  # type: ignore[arg-type]


BUTTONS = (
    "<form action=/a method=post><input name=q>"
    "<button name=do value=save>Save  it</button><button name=do value=drop id=d>Drop it</button>"
    "<input type=submit name=go value=Go formaction=/b formmethod=get><input type=submit value=quiet>"
    "<input type=image name=map><input type=image id=bare formenctype=text/plain formmethod=nonsense>"
    "<button disabled name=off>x</button></form>"
)


def test_the_first_button_is_clicked_unless_another_is_named() -> None:
    buttons = form(BUTTONS)
    assert buttons.entries() == [("q", ""), ("do", "save")]
    assert buttons.entries(False) == [("q", "")]
    assert buttons.entries("d") == buttons.entries(("do", "drop")) == buttons.entries("Drop it")
    assert buttons.entries("drop") == [("q", ""), ("do", "drop")]
    assert buttons.entries("Save it") == [("q", ""), ("do", "save")]
    assert buttons.entries("quiet") == [("q", "")]
    assert buttons.entries("map") == [("q", ""), ("map.x", "0"), ("map.y", "0")]
    assert buttons.entries("bare") == [("q", ""), ("x", "0"), ("y", "0")]
    assert buttons.entries(page(BUTTONS).css("#d")[0]) == [("q", ""), ("do", "drop")]
    assert form("<form><button name=b dirname=d>x</button></form>").entries() == [("b", "")]
    assert form("<form><input type=submit name=b dirname=d></form>").entries() == [("b", ""), ("d", "ltr")]


def test_a_button_can_say_where_and_how_to_send() -> None:
    buttons = form(BUTTONS)
    assert buttons.submit().url == "https://shop.example/a"
    assert buttons.submit(click="go").url == "https://shop.example/b?q=&go=Go"
    assert buttons.submit(click="bare").url == "https://shop.example/a?q=&x=0&y=0"
    typed = form("<form method=post><button name=b formenctype=text/plain>x</button></form>").submit()
    assert typed.body == b"b=\r\n"


@pytest.mark.parametrize("click", ["off", "nope", ("do", "nope"), True])
def test_a_button_that_is_not_there_is_an_error_that_names_those_that_are(click: object) -> None:
    with pytest.raises(ValueError, match=r"has no button .*'do', 'do', 'go', 'quiet'"):
        form(BUTTONS).submit(click=click)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="its buttons: none"):
        form("<form></form>").submit(click="x")


def test_a_form_that_sends_nothing_over_http_is_an_error() -> None:
    with pytest.raises(ValueError, match="closes a dialog"):
        form("<form method=dialog></form>").submit()
    with pytest.raises(ValueError, match="'javascript:go\\(\\)', which is not an http"):
        form("<form action=javascript:go()></form>").submit()


def test_a_form_is_found_by_what_is_known_of_it() -> None:
    response = page(
        "<form name=a><input name=1></form><form id=b class=k><input name=2></form>"
        "<form class=k><p><input name=3></p></form>"
    )
    assert response.form().entries() == [("1", "")]
    assert response.form(index=1) == response.form(id="b") == response.form(css=".k")
    assert response.form("p").entries() == response.form(index=-1).entries() == [("3", "")]
    assert response.form(css=".k, .k input", index=1).entries() == [("3", "")]
    assert response.form(name="a").entries() == [("1", "")]
    for question in ({"name": "b"}, {"index": 3}, {"css": "body"}, {"id": "b", "index": 1}):
        with pytest.raises(ValueError, match=r"has no such form: . match, 3 are on the page"):
            response.form(**question)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not a CSS selector: 'p\\['"):
        response.form("p[")


def test_an_action_is_relative_to_the_base_of_the_page() -> None:
    response = Response.from_bytes(
        "https://shop.example/a#part", b"<base href=/b/><form action=c></form><form action=' '></form>"
    )
    assert response.form().submit().url == "https://shop.example/b/c?"
    assert response.form(index=1).submit().url == "https://shop.example/a?"


def test_a_query_reads_back_as_the_entries() -> None:
    entries = {"a b": "1&2=3", "é": "+ %", "n": ""}
    request = form("<form></form>").submit(entries)
    assert dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True)) == entries
