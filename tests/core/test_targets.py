import sys

import pytest

from airless.core.errors import ConfigError
from airless.core.targets import load_target


class Plant:
    pass


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A working directory whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(path, *classes, extra=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"from {__name__} import Plant", extra]
    lines += [f"class {name}(Plant): pass" for name in classes]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    "target", ["garden_a:Oak", "garden_a.py:Oak", "./garden_a.py:Oak", "from garden_a import Oak", "garden_a"]
)
def test_every_form_names_the_class(project, target):
    write(project / "garden_a.py", "Oak")
    assert load_target(target, Plant).__name__ == "Oak"


def test_a_file_and_its_module_are_loaded_once(project):
    write(project / "garden_b.py", "Oak")
    assert load_target("garden_b.py", Plant) is load_target("garden_b:Oak", Plant)


def test_a_file_of_a_package_is_loaded_with_its_relative_imports(project):
    write(project / "park" / "trees.py", "Oak")
    (project / "park" / "__init__.py").touch()
    (project / "park" / "more.py").write_text("from .trees import Oak\nclass Elm(Oak): pass\n")
    assert load_target("park/more.py", Plant).__module__ == "park.more"


def test_a_file_named_like_another_module_shadows_nothing(project):
    import json

    path = write(project / "sub" / "json.py", "Oak")
    found = load_target(f"{path}:Oak", Plant)
    assert found.__name__ == "Oak"
    assert sys.modules["json"] is json
    assert load_target(f"{path}:Oak", Plant) is found


def test_more_than_one_candidate_is_asked_about(project):
    write(project / "garden_c.py", "Oak", "Elm")
    with pytest.raises(ConfigError, match=r"garden_c\.py:Oak, garden_c\.py:Elm"):
        load_target("garden_c.py", Plant)


def test_a_wrong_name_gets_the_nearest_one(project):
    write(project / "garden_d.py", "Oak", "Elm", extra="SIZE = 3")
    with pytest.raises(ConfigError, match="did you mean garden_d:Oak"):
        load_target("garden_d:Oka", Plant)
    with pytest.raises(ConfigError, match="there is garden_d:Oak, garden_d:Elm"):
        load_target("garden_d:Rosebush", Plant)
    with pytest.raises(ConfigError, match="SIZE is no Plant"):
        load_target("garden_d:SIZE", Plant)


def test_a_module_without_any_says_so(project):
    write(project / "garden_e.py")
    with pytest.raises(ConfigError, match="defines no Plant"):
        load_target("garden_e", Plant)
    with pytest.raises(ConfigError, match="defines no Plant"):
        load_target("garden_e:Oak", Plant)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import nowhere_to_be_found", "nowhere_to_be_found"),
        ("x = 1 / 0", r"ZeroDivisionError.*line 2"),
        ("def", "SyntaxError"),
    ],
)
def test_a_module_that_fails_is_named_with_the_place(project, source, said):
    (project / "garden_f.py").write_text(f"\n{source}\n")
    for target in ("garden_f", "garden_f.py"):
        with pytest.raises(ConfigError, match=said):
            load_target(target, Plant)
    assert "garden_f" not in sys.modules


def test_what_is_not_there_is_said_plainly(project):
    write(project / "garden_g.py", "Oak")
    with pytest.raises(ConfigError, match=r"no file 'nope.py'"):
        load_target("nope.py", Plant)
    with pytest.raises(ConfigError, match="no module 'nope'"):
        load_target("nope:Oak", Plant)
    (project / "plain").write_text("text")
    with pytest.raises(ConfigError, match="no Python source file"):
        load_target("./plain", Plant)


@pytest.mark.parametrize("target", ["", ":Oak", "a b", "mod:Oak()", "__import__('os')", "mod:a.b"])
def test_no_string_is_evaluated(project, target):
    with pytest.raises(ConfigError, match="names no class"):
        load_target(target, Plant)
