"""The user's files: all that the program needs, nothing that only lies about."""

from __future__ import annotations

from pathlib import Path

import pytest
from deploying import written

from airless.core.errors import ConfigError
from airless.deploy.declared import load
from airless.deploy.sources import Sources, sources
from airless.operators import ErrorOperator

OPERATOR = """
from airless.operators import EventOperator

class Run(EventOperator):
    def execute(self, data, topic): ...
"""


def test_modules_packages_and_their_data_come_along_and_nothing_else(tmp_path: Path) -> None:
    file = written(tmp_path, "taken_along.py", OPERATOR)
    for name in ("near.py", "shop/__init__.py", "shop/deep/more.py", "shop/prices.json"):
        written(tmp_path, name, "")
    for name in (
        "books.jsonl",
        ".env",
        ".venv/lib.py",
        "env/pyvenv.cfg",
        "env/lib.py",
        "tests/test_it.py",
        "test_near.py",
        "conftest.py",
        "setup.py",
        "shop/__pycache__/x.pyc",
        "shop/tests/test_x.py",
        "shop/.secret",
        "data/huge.csv",
        "not-a-package/x.py",
    ):
        written(tmp_path, name, "")
    found = sources(load(str(file)))
    assert found.target == "taken_along:Run"
    assert sorted(found.files) == [
        "near.py",
        "shop/__init__.py",
        "shop/deep/more.py",
        "shop/prices.json",
        "taken_along.py",
    ]


def test_a_file_in_a_package_is_named_from_above_the_package(tmp_path: Path) -> None:
    written(tmp_path, "whole_shop/__init__.py", "")
    file = written(tmp_path, "whole_shop/jobs.py", OPERATOR)
    found = sources(load(f"{file}:Run"))
    assert found.target == "whole_shop.jobs:Run"
    assert sorted(found.files) == ["whole_shop/__init__.py", "whole_shop/jobs.py"]


def test_two_projects_may_have_files_of_one_name(tmp_path: Path) -> None:
    for project in ("one", "two"):
        file = written(tmp_path, f"{project}/same_name.py", OPERATOR)
        found = sources(load(str(file)))
        assert (found.target, found.files) == ("same_name:Run", {"same_name.py": file})


def test_what_is_named_comes_along(tmp_path: Path) -> None:
    file = written(tmp_path, "src/with_data.py", OPERATOR)
    written(tmp_path, "data/cities.csv", "")
    written(tmp_path, "rates.json", "")
    found = sources(load(str(file)), [tmp_path / "data", tmp_path / "rates.json"])
    assert sorted(found.files) == ["data/cities.csv", "rates.json", "with_data.py"]
    with pytest.raises(ConfigError, match="no such file"):
        sources(load(str(file)), [tmp_path / "gone"])


def test_what_comes_with_airless_brings_no_files() -> None:
    assert sources(load("crawlers.site")) == Sources("crawlers.site:SiteSpider", {})
    found = sources(ErrorOperator)
    assert (found.target, found.files) == ("airless.operators.errors:ErrorOperator", {})


def test_a_file_that_would_hide_a_module_of_python_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "calendar.py", OPERATOR)
    with pytest.raises(ConfigError, match="rename it"):
        sources(load(str(file)))
