"""The package: what is in it, that it is the same each time, and what it may not be."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from deploying import written

from airless.core.errors import ConfigError
from airless.crawl.compiled import speed
from airless.deploy import package as packaging
from airless.deploy.bytecode import byte_code
from airless.deploy.declared import load
from airless.deploy.dependencies import (
    Platform,
    download,
    here,
    installed,
    needed_by_airless,
    read_requirements,
)
from airless.deploy.errors import DeployFailed
from airless.deploy.package import Package, build
from airless.deploy.sources import Sources, sources

OPERATOR = """
from airless.operators import EventOperator

class Run(EventOperator):
    def execute(self, data, topic): ...
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    folder = tmp_path_factory.mktemp("project")
    return build(sources(load(str(written(folder, "packed_operator.py", OPERATOR)))), here())


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index in a folder, and no other: tiny has wheels for two processors."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for machine in ("aarch64", "x86_64"):
        tag = f"cp312-cp312-manylinux_2_28_{machine}"
        with zipfile.ZipFile(folder / f"tiny-1.0-{tag}.whl", "w") as wheel:
            wheel.writestr("tiny.py", f"machine = '{machine}'\n")
            wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
            wheel.writestr(
                "tiny-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n"
            )
            wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def names_in(package: Package) -> list[str]:
    with zipfile.ZipFile(BytesIO(package.data)) as archive:
        return archive.namelist()


def test_what_a_function_needs_is_in_it(package: Package) -> None:
    names = names_in(package)
    assert {"packed_operator.py", "airless/__init__.py", "airless/engines/aws/__init__.py"} <= {*names}
    assert "crawlers/site.py" in names
    assert {"aiohttp/__init__.py", "aiobotocore/__init__.py", "orjson/__init__.py"} <= {*names}
    assert any(name.startswith("botocore/data/sqs/") for name in names)
    assert package.compiled == (speed is not None)


def test_what_a_function_never_needs_is_not(package: Package) -> None:
    names = names_in(package)
    tops = {name.split("/")[0] for name in names}
    assert not tops & {"rich", "click", "pip", "bin", "tests", "pytest"}
    assert not [name for name in names if name.startswith(("airless/cli/", "airless/deploy/"))]
    assert not [name for name in names if name.endswith(("/RECORD", "/direct_url.json", ".c"))]
    assert not [name for name in names if name.startswith("botocore/data/ec2/")]


def test_it_runs_from_the_zip_alone(package: Package, tmp_path: Path) -> None:
    """Unzipped, with nothing else to import from, the operator and the engine's library can be imported."""
    with zipfile.ZipFile(BytesIO(package.data)) as archive:
        archive.extractall(tmp_path)
    code = "import packed_operator, airless, aiobotocore.session, airless.engines.aws.clients; print(airless.__file__)"
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(tmp_path / "airless" / "__init__.py"), done.stderr


def test_nothing_of_it_has_to_be_compiled_where_it_runs(package: Package, tmp_path: Path) -> None:
    with zipfile.ZipFile(BytesIO(package.data)) as archive:
        archive.extractall(tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "def heard(event, arguments):\n"
        f"    if event == 'compile' and str(arguments[1]).startswith({str(tmp_path)!r}): print(arguments[1])\n"
        "sys.addaudithook(heard)\n"
        "import packed_operator, aiobotocore.session, airless.engines.aws.engine, airless.functions.crawl\n"
    )
    command = [sys.executable, "-I", "-S", "-B", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_byte_code_is_for_the_python_that_reads_it_and_of_what_can_be_compiled() -> None:
    entries = {"one.py": b"x = 1", "pack/__init__.py": b"", "broken.py": b"x =", "text.txt": b"x = 1"}
    ours = here().python
    tag = f"cpython-{ours.replace('.', '')}"
    made = byte_code(entries, ours)
    assert set(made) == {f"__pycache__/one.{tag}.pyc", f"pack/__pycache__/__init__.{tag}.pyc"}
    assert byte_code(entries, "3.12" if ours != "3.12" else "3.13") == {}


def test_a_package_that_byte_code_would_make_too_large_goes_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = sources(load(str(written(tmp_path, "large_operator.py", OPERATOR))))
    whole = build(project, here())
    monkeypatch.setattr(packaging, "UNZIPPED_BYTES", whole.unzipped_bytes - 1)
    assert not [name for name in names_in(build(project, here())) if name.endswith(".pyc")]


def test_the_same_input_gives_the_same_bytes(package: Package, tmp_path: Path) -> None:
    """In another folder, at another time, with other modes, in another process with another seed of hashes."""
    file = written(tmp_path, "packed_operator.py", OPERATOR)
    file.chmod(0o600)
    os.utime(file, (1_000_000_000, 1_000_000_000))
    code = (
        "import sys; from airless.deploy.declared import load; from airless.deploy.sources import sources\n"
        "from airless.deploy.package import build; from airless.deploy.dependencies import here\n"
        "print(build(sources(load(sys.argv[1])), here()).digest)"
    )
    again = subprocess.run(
        [sys.executable, "-c", code, str(file)],
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert again.stdout.strip() == package.digest


def test_packages_come_for_the_functions_platform(wheels: Path, tmp_path: Path) -> None:
    for arch, machine in (("arm64", "aarch64"), ("x86_64", "x86_64")):
        files = download(["tiny"], Platform(arch, "3.12"), tmp_path / arch)
        assert files["tiny.py"].read_text() == f"machine = '{machine}'\n"


def test_a_platform_without_a_wheel_is_told_with_what_to_do(wheels: Path, tmp_path: Path) -> None:
    # Python 3.11 runs on Amazon Linux 2, whose C library is older than that wheel asks for.
    with pytest.raises(DeployFailed, match=r"tiny.*--local-platform"):
        download(["tiny"], Platform("arm64", "3.11"), tmp_path / "none")


def test_installed_packages_bring_what_they_need() -> None:
    files = installed(["aiohttp"])
    assert {"aiohttp/__init__.py", "yarl/__init__.py", "multidict/__init__.py"} <= {*files}
    with pytest.raises(DeployFailed, match="not-there-at-all isn't installed here: pip install"):
        installed(["not-there-at-all>=1"])


def test_requirements_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("# what it needs\nattrs>=23  # items\n\npydantic\n")
    assert read_requirements(file) == ["attrs>=23", "pydantic"]
    with pytest.raises(ConfigError, match="can't be read"):
        read_requirements(tmp_path / "gone.txt")


def test_airless_brings_aws_and_not_what_only_a_command_line_needs() -> None:
    needs = " ".join(needed_by_airless("aws", "3.13"))
    assert "aiobotocore" in needs
    assert "backports.zstd" in needs
    assert not any(name in needs for name in ("rich", "click", "pytest", "lxml"))
    assert "backports.zstd" not in " ".join(needed_by_airless("aws", "3.14"))


def test_a_file_that_would_hide_a_package_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "aiohttp.py", "")
    with pytest.raises(ConfigError, match="would hide the package 'aiohttp'"):
        build(Sources("aiohttp:Run", {"aiohttp.py": file}), here())


def test_a_package_that_is_too_large_names_what_makes_it_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packaging, "UNZIPPED_BYTES", 10_000_000)
    with pytest.raises(DeployFailed, match=r"a function takes 10 MB. The largest parts: \w+"):
        build(Sources("x:Run", {}), here())


def test_all_of_aws_comes_along_where_the_code_uses_boto(tmp_path: Path) -> None:
    file = written(tmp_path, "uses_boto.py", "import boto3\n")
    names = names_in(build(Sources("uses_boto:Run", {"uses_boto.py": file}), here()))
    assert any(name.startswith("botocore/data/dynamodb/") for name in names)


def test_a_wheel_of_airless_takes_the_place_of_the_one_here(tmp_path: Path) -> None:
    path = tmp_path / "airless.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("airless/__init__.py", "")
        wheel.writestr("airless/_speed.abi3.so", b"elf")
        wheel.writestr("airless/cli/__init__.py", "")
    made = build(Sources("x:Run", {}), here(), wheel=path)
    assert made.compiled
    own = [name for name in names_in(made) if name.startswith("airless/")]
    assert [name for name in own if not name.endswith(".pyc")] == [
        "airless/__init__.py",
        "airless/_speed.abi3.so",
    ]
