"""``airless new``: a project with a spider that works and a test of it that passes."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

import click

from airless.core.errors import ConfigError

_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Naming:
    """What a project's name gives: ``my-shop`` is the module ``my_shop`` and the class ``MyShopSpider``."""

    title: str
    module: str
    class_name: str


def naming(name: str) -> Naming:
    """Raises ConfigError where no Python module can have the name, or another one has it."""
    module = re.sub(r"[-. ]+", "_", name).lower()
    if not _NAME.fullmatch(module) or keyword.iskeyword(module):
        raise ConfigError(
            f"{name!r} can't be the name of a project: it names a Python module, so it begins with a letter, "
            "has only letters, digits, - and _, and is no word of the language"
        )
    if (found := find_spec(module)) is not None and found.origin is not None:
        raise ConfigError(
            f"{name!r} can't be the name of a project: a module {module!r} is installed already"
        )
    words = [word.capitalize() for word in module.split("_") if word]
    if len(words) > 1 and words[-1] == "Spider":
        words.pop()
    return Naming(module.replace("_", "-").strip("-"), module, "".join(words) + "Spider")


def project_files(names: Naming) -> dict[str, str]:
    """The project's files: path in its folder → text."""
    templates = files("airless.cli") / "templates" / "project"
    values = {"title": names.title, "module": names.module, "class_name": names.class_name}

    def filled(template: str) -> str:
        return Template((templates / template).read_text(encoding="utf-8")).substitute(values)

    pages = {
        f"tests/pages/{page}": (templates / "pages" / page).read_text(encoding="utf-8")
        for page in ("catalogue.html", "book.html")
    }
    return {
        "README.md": filled("README.md.txt"),
        "pyproject.toml": filled("pyproject.toml.txt"),
        ".gitignore": filled("gitignore.txt"),
        f"spiders/{names.module}.py": filled("spider.py.txt"),
        f"tests/test_{names.module}.py": filled("test_spider.py.txt"),
        **pages,
    }


@click.command()
@click.argument("name")
def new(name: str) -> None:
    """Make the folder NAME with a spider, recorded pages, and a test of the one on the others.

    Nothing that is there is overwritten.

    \b
    Examples:
      airless new shop
      airless new projects/my-shop
    """
    folder = Path(name)
    names = naming(folder.name)
    made = project_files(names)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(
                f"{folder} is there already and not empty: nothing was written; choose another name"
            )
        for path, text in made.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x", encoding="utf-8", newline="\n") as opened:
                opened.write(text)
    except OSError as error:
        raise ConfigError(f"can't make {folder}: {error.strerror or error}") from error
    click.echo(f"Made {folder}:")
    for path in made:
        click.echo(f"  {path}")
    click.echo(f"\nNext:\n  cd {folder}\n  pytest\n  airless crawl spiders/{names.module}.py -o books.jsonl")
