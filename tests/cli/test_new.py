"""A new project works as it comes, and making one never harms what is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from airless.cli import cli
from airless.cli import new as command
from airless.cli.new import naming
from airless.core.errors import ConfigError

ENV = {**os.environ, "PYTHONPATH": str(Path(command.__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def airless_new(name: str) -> Result:
    return CliRunner().invoke(cli, ["new", name])


def test_the_test_of_a_new_project_passes(tmp_path: Path) -> None:
    made = airless_new("my-shop")
    assert made.exit_code == 0, made.stderr
    project = tmp_path / "my-shop"
    files = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    assert files == {
        "README.md",
        "pyproject.toml",
        ".gitignore",
        "spiders/my_shop.py",
        "tests/test_my_shop.py",
        "tests/pages/catalogue.html",
        "tests/pages/book.html",
    }
    for line in ("cd my-shop", "pytest", "airless crawl spiders/my_shop.py -o books.jsonl"):
        assert f"\n  {line}" in made.stdout
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project,
        env=ENV,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "mine.txt").write_text("mine")
    done = airless_new("shop")
    assert done.exit_code == 2
    assert "nothing was written" in done.stderr
    assert [path.name for path in (tmp_path / "shop").iterdir()] == ["mine.txt"]
    (tmp_path / "file").touch()
    assert airless_new("file").exit_code == 2


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    assert airless_new("shop").exit_code == 0
    assert (tmp_path / "shop" / "spiders" / "shop.py").is_file()


def test_a_place_that_refuses_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = airless_new("file/shop")
    assert done.exit_code == 2
    assert "can't make file/shop: Not a directory" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "module", "class_name", "title"),
    [
        ("shop", "shop", "ShopSpider", "shop"),
        ("My-Shop", "my_shop", "MyShopSpider", "my-shop"),
        ("book spider", "book_spider", "BookSpider", "book-spider"),
        ("spider", "spider", "SpiderSpider", "spider"),
        ("v1.2", "v1_2", "V12Spider", "v1-2"),
    ],
)
def test_names_become_python_names(name: str, module: str, class_name: str, title: str) -> None:
    names = naming(name)
    assert (names.module, names.class_name, names.title) == (module, class_name, title)


@pytest.mark.parametrize("name", ["", "1shop", "class", "über", "a/b", "-x", "shop!", "shop\n"])
def test_a_name_that_python_cant_have_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="can't be the name of a project"):
        naming(name)


@pytest.mark.parametrize("name", ["json", "airless", "click"])
def test_a_name_that_would_hide_another_module_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is installed already"):
        naming(name)


def test_no_folder_is_made_for_a_wrong_name(tmp_path: Path) -> None:
    assert airless_new("class").exit_code == 2
    assert list(tmp_path.iterdir()) == []
