"""What the documents say can be typed in: commands exist, examples run, links lead somewhere."""

from __future__ import annotations

import csv
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from airless.cli import COMMANDS, cli
from airless.local.demo import Shop, served

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]

FIRST_CRAWL = "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/airless demo -o books.jsonl"
ALL_CHECKS = "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && .venv/bin/python -m tests"


def commands() -> list[tuple[str, str]]:
    """Every line of the documents' indented blocks that runs airless, with the document's name."""
    found = []
    for document in DOCUMENTS:
        for line in re.findall(r"^ {4}(airless .+)$", document.read_text(encoding="utf-8"), re.MULTILINE):
            found.append((document.name, line))
    return found


def examples() -> list[tuple[str, str, str]]:
    """The Python blocks of the documents, and what the text behind each says that it prints."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        blocks = re.findall(r"```python\n(.*?)```(?:\n\nprints `(.+?)`)?", text, re.DOTALL)
        found += [(f"{document.name}-{number}", *block) for number, block in enumerate(blocks)]
    return found


def example(name: str) -> str:
    return next(text for found, text, _ in examples() if found == name)


def test_the_two_commands_of_the_readme_stand_there_whole() -> None:
    indented = re.findall(r"^ {4}(.+)$", README, re.MULTILINE)
    assert FIRST_CRAWL in indented
    assert ALL_CHECKS in indented


def test_what_lands_is_decided_by_the_readmes_command() -> None:
    script = ROOT / ".ci" / "run"
    assert ALL_CHECKS in script.read_text().splitlines()
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.parametrize(("document", "line"), commands())
def test_a_command_in_the_documents_is_one(document: str, line: str) -> None:
    words = shlex.split(re.split(r"\s[|<]\s", line)[0], comments=True)[1:]
    with click.Context(cli) as context:
        command = cli.get_command(context, words[0])
        assert command is not None
        if "…" not in line and "[OPTIONS]" not in words:
            command.make_context(words[0], words[1:], parent=context)


def test_the_readme_lists_every_command() -> None:
    assert set(re.findall(r"^\| `airless (\w+)", README, re.MULTILINE)) == set(COMMANDS)


def test_the_guide_lists_every_option_of_a_crawl() -> None:
    with click.Context(cli) as context:
        command = cli.get_command(context, "crawl")
    assert command is not None
    options = {parameter.opts[-1] for parameter in command.params if isinstance(parameter, click.Option)}
    guide = (ROOT / "docs" / "crawling.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| (?:`-\w`, )?`(--[\w-]+)", guide, re.MULTILINE)) == options - {"--help"}


@pytest.mark.parametrize(("name", "text", "prints"), examples(), ids=[name for name, *_ in examples()])
def test_an_example_runs(tmp_path: Path, name: str, text: str, prints: str) -> None:
    file = tmp_path / "example.py"
    file.write_text(text, encoding="utf-8")
    command = [sys.executable, str(file)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == prints


def test_the_readmes_spider_crawls_a_shop(tmp_path: Path) -> None:
    (tmp_path / "books.py").write_text(example("README.md-0"), encoding="utf-8")
    shop = Shop(60)
    with served(shop, port=0) as url:
        subprocess.run(
            [sys.executable, "-m", "airless", "crawl", url, "-s", "books.py", "-o", "books.csv", "-q"],
            cwd=tmp_path,
            check=True,
        )
    with (tmp_path / "books.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted((row["title"], row["price"]) for row in rows) == sorted(
        (book.title, book.price) for book in shop.books
    )


def test_the_guides_operator_greets(tmp_path: Path) -> None:
    (tmp_path / "greet.py").write_text(example("orchestration.md-0"), encoding="utf-8")
    lines = [line for document, line in commands() if document == "orchestration.md"][:2]
    assert [shlex.split(line)[1] for line in lines] == ["send", "run"]
    for line in lines:
        words = shlex.split(line)[1:]
        done = subprocess.run(
            [sys.executable, "-m", "airless", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
    assert "1 done" in done.stdout
    assert "greeting Ada" in done.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_a_link_between_documents_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path) if path else document
        assert file.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {title.lower().replace(" ", "-") for title in titles}
