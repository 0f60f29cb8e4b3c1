"""The shell has the page that was named, says what it got, and is plain about what it can't have."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from airless.cli import cli, shell

PAGE = b"<!DOCTYPE html><html><head><title>One</title></head><body><h1>First</h1><a href='/two'>2</a></body>"

ENV = {**os.environ, "PYTHONPATH": str(Path(shell.__file__).parents[2]), "TERM": "xterm"}


class Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        hop = self.path.removeprefix("/hop/")
        if hop.isdigit() and int(hop):
            self._answer(302, b"", location=f"/hop/{int(hop) - 1}", cookie=f"hop{hop}=1; Path=/")
        elif self.path == "/loop":
            self._answer(301, b"", location="/loop")
        elif self.path == "/nowhere":
            self._answer(301, b"", location="mailto:a@example.com")
        elif self.path == "/metadata":
            self._answer(302, b"", location="http://169.254.169.254/latest/")
        elif self.path == "/cookies":
            self._answer(200, self.headers.get("Cookie", "none").encode(), kind="text/plain")
        elif self.path == "/odd":
            self._answer(299, b"odd", kind="")
        elif self.path == "/missing":
            self._answer(404, b"<h1>gone</h1>")
        else:
            self._answer(200, PAGE)

    def _answer(
        self, status: int, body: bytes, *, kind: str = "text/html", location: str = "", cookie: str = ""
    ) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Location", location), ("Set-Cookie", cookie)):
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Tests have nothing to say here."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        server.daemon_threads = True
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        serving.join()


def run(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["shell", *arguments], input=typed)


def test_an_expression_is_evaluated_on_a_fetched_page(site: str) -> None:
    result = run(f"{site}/", "-c", "css('h1::text').get()")
    assert result.exit_code == 0, result.output
    assert result.stdout == "First\n"
    assert result.stderr.startswith(f"200 OK  {site}/  text/html  {len(PAGE):,} bytes  ")


@pytest.mark.parametrize(
    ("expression", "printed"),
    [
        ("response.css('h1::text').getall()", "['First']\n"),
        ("response.status", "200\n"),
        ("None", ""),
        ("[link.url for link in response.links()][0][-4:]", "/two\n"),
        ("request.method", "GET\n"),
    ],
)
def test_values_are_printed_for_scripts(site: str, expression: str, printed: str) -> None:
    assert run(f"{site}/", "-c", expression).stdout == printed


def test_a_body_is_printed_as_it_is_so_that_it_can_be_recorded(site: str) -> None:
    assert run(f"{site}/", "--code", "response.body").stdout_bytes == PAGE


def test_redirects_are_followed_and_shown(site: str) -> None:
    result = run(f"{site}/hop/2", "-c", "response.url")
    assert result.stdout == f"{site}/hop/0\n"
    assert result.stderr.count("302 Found") == 2
    assert "→ /hop/1" in result.stderr


def test_twenty_redirects_are_followed_and_no_more(site: str) -> None:
    assert run(f"{site}/hop/20", "-c", "response.status").stdout == "200\n"
    result = run(f"{site}/loop", "-c", "1")
    assert result.exit_code == 1
    assert "more than 20 redirects" in result.stderr


def test_a_redirect_that_leads_to_no_page_is_the_response(site: str) -> None:
    assert run(f"{site}/nowhere", "-c", "response.status").stdout == "301\n"


def test_a_redirect_cant_lead_to_private_hosts_that_nobody_named(site: str) -> None:
    result = run(f"{site}/metadata", "-c", "1")
    assert result.exit_code == 1
    assert "169.254.169.254" in result.stderr


def test_cookies_are_kept_between_fetches(site: str) -> None:
    expression = f"fetch({site + '/cookies'!r}) and response.text"
    assert run(f"{site}/hop/1", "-c", expression).stdout == "hop1=1\n"


@pytest.mark.parametrize(("path", "line"), [("/missing", "404 Not Found"), ("/odd", "299  ")])
def test_any_status_is_a_page_to_look_at(site: str, path: str, line: str) -> None:
    result = run(site + path, "-c", "len(response.body) > 0")
    assert result.stdout == "True\n"
    assert result.stderr.startswith(line)


def test_a_recorded_page_is_read_from_its_file(tmp_path: Path) -> None:
    page = tmp_path / "page one.html"
    page.write_bytes(PAGE)
    expression = "css('h1::text').get() + ' ' + response.links()[0].url"
    for source in (str(page), page.as_uri()):
        result = run(source, "--url", "https://example.com/a/", "-c", expression)
        assert result.stdout == "First https://example.com/two\n", result.output
    assert run(str(page), "-c", "response.url").stdout == page.as_uri() + "\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("./missing.html", "there is no file missing.html"),
        ("/missing.html", "there is no file /missing.html"),
        ("file:///missing.html", "there is no file /missing.html"),
        ("file://elsewhere/missing.html", "a file of this machine"),
        ("/", "/ is no file"),
        ("ftp://example.com/", "only http and https"),
        ("", "an empty string is no URL"),
    ],
)
def test_what_is_no_page_is_told_in_one_line(source: str, said: str) -> None:
    result = run(source, "-c", "1")
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_file_that_cant_be_read_is_told_in_one_line() -> None:
    """Reading this file of the kernel's fails for everybody."""
    result = run("/proc/self/mem", "-c", "1")
    assert result.exit_code == 2
    assert "can't read /proc/self/mem: Input/output error" in result.stderr


def test_a_server_that_isnt_there_is_told_in_one_line() -> None:
    result = run("http://127.0.0.1:9/", "-c", "1")
    assert result.exit_code == 1
    assert "http://127.0.0.1:9/" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("css('[')", "ValueError"),
        ("nothing", "NameError: name 'nothing' is not defined"),
        ("a = 1", "SyntaxError"),
        ("fetch('ftp://example.com/')", "only http and https"),
    ],
)
def test_an_expression_that_fails_is_told_in_one_line(site: str, expression: str, said: str) -> None:
    result = run(f"{site}/", "-c", expression)
    assert result.exit_code in (1, 2)
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_the_prompt_has_the_page_and_can_fetch_another(site: str) -> None:
    typed = f"css('title::text').get()\nfetch({site + '/missing'!r}).status\nresponse.status, request.url\n"
    result = run(f"{site}/", typed=typed)
    assert result.exit_code == 0, result.output
    assert "'One'" in result.output
    assert f"(404, '{site}/missing')" in result.output
    assert "view()" in result.output


def test_exit_leaves_the_prompt(site: str) -> None:
    assert run(f"{site}/", typed="exit()\n").exit_code == 0


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A browser that writes down what it was asked to open: the file with its notes."""
    notes = tmp_path / "notes"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {notes}\n')
    browser.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    webbrowser.register("notes", None, webbrowser.GenericBrowser([str(browser), "%s"]), preferred=True)
    return notes


def test_view_opens_the_page_with_its_links_made_absolute(opened: Path, site: str) -> None:
    result = run(f"{site}/", "-c", "view()")
    file = Path(result.stdout.strip())
    assert opened.read_text() == file.as_uri() + "\n"
    assert file.suffix == ".html"
    assert f'<head><base href="{site}/"><title>' in file.read_text()


def test_view_opens_what_is_no_html_as_it_is(opened: Path, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a,b\n")
    file = Path(run(str(tmp_path / "data.csv"), "-c", "view()").stdout.strip())
    assert file.suffix == ".csv"
    assert file.read_text() == "a,b\n"
    assert opened.read_text() == file.as_uri() + "\n"


def test_ipython_is_the_prompt_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: str
) -> None:
    (tmp_path / "IPython.py").write_text("def start_ipython(argv, user_ns): print(user_ns['response'])")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    try:
        assert run(f"{site}/").stdout == f"<200 {site}/>\n"
    finally:
        sys.modules.pop("IPython", None)


def test_tab_completes_at_the_prompt(site: str) -> None:
    """On a terminal of its own."""
    master, terminal = os.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "airless", "shell", f"{site}/"],
        env=ENV,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    try:
        shown = b""
        while b">>> " not in shown:
            shown += os.read(master, 4096)
        os.write(master, b"respon\t.status + 41000\nexit()\n")
        while b"41200" not in shown:
            shown += os.read(master, 4096)
        assert child.wait() == 0
    finally:
        child.kill()
        child.wait()
        os.close(master)
