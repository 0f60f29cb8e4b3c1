"""The package: a zip with the user's code, airless and what they stand on. Same input, same bytes."""

from __future__ import annotations

import re
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path

from airless.core.errors import ConfigError
from airless.deploy.bytecode import byte_code
from airless.deploy.dependencies import Platform, download, here, installed, needed_by_airless
from airless.deploy.errors import DeployFailed
from airless.deploy.sources import OWN, OWN_ROOT, Sources, mentions

UNZIPPED_BYTES = 250 * 1024 * 1024
"""What a function may take, unzipped, its layers among it (AWS Lambda, "Lambda quotas", November 2026)."""

# Of airless itself: what stays on the user's machine.
_NOT_ON_FUNCTIONS = ("airless/cli/", "airless/deploy/", "airless/local/", "airless/native/")
# Installers' notes, which differ from one installation to the next, and what only compilers and checkers read.
_NOTES = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"})
_UNREAD = (".pyc", ".pyo", ".pyi", ".pyx", ".pxd", ".c", ".h", ".cpp", ".a")
# botocore describes 400 services in 25 MB; these are airless's.
_SERVICES = frozenset({"s3", "scheduler", "secretsmanager", "sqs", "sso", "sso-oidc", "sts"})
_GLIBC = re.compile(rb"GLIBC_2\.(\d+)")
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Package:
    """A package as bytes; `compiled` says whether airless's compiled half is in it."""

    data: bytes
    unzipped_bytes: int
    files: int
    compiled: bool

    @property
    def digest(self) -> str:
        return sha256(self.data).hexdigest()


def build(
    sources: Sources, target: Platform, *, requirements: Sequence[str] = (), wheel: Path | None = None
) -> Package:
    """Gather everything and zip it. Raises DeployFailed and ConfigError, which say what to do."""
    needs = [*needed_by_airless("aws", target.python), *requirements]
    if sources.distribution:
        needs.append(sources.distribution)
    own = dict(_wheel(wheel) if wheel else _installed_airless(target))
    with tempfile.TemporaryDirectory(prefix="airless-deploy-") as folder:
        files = installed(needs) if target.local else download(needs, target, Path(folder))
        every_service = "boto" in " ".join(requirements) or mentions(sources.files.values(), b"boto")
        entries = {name: path.read_bytes() for name, path in files.items() if _wanted(name, every_service)}
        mine = {name: path.read_bytes() for name, path in sources.files.items()}
        if any(name.startswith("crawlers/") for name in mine):
            own = {name: data for name, data in own.items() if not name.startswith("crawlers/")}
        _check_names(mine, {**entries, **own})
        return _zipped(_with_byte_code({**entries, **own, **mine}, target))


def _installed_airless(target: Platform) -> Iterator[tuple[str, bytes]]:
    """airless as it is here: Python is the same everywhere, its compiled half on this platform alone."""
    for file in (file for package in OWN for file in sorted((OWN_ROOT / package).rglob("*"))):
        name = file.relative_to(OWN_ROOT).as_posix()
        if file.suffix not in {".py", ".so"} or name.startswith(_NOT_ON_FUNCTIONS):
            continue
        data = file.read_bytes()
        if file.suffix == ".py" or _runs_on(data, target):
            yield name, data


def _runs_on(library: bytes, target: Platform) -> bool:
    """Whether a library that was compiled here runs there too: the same processor, no newer C library."""
    if target.local:
        return True
    needs = max((int(minor) for minor in _GLIBC.findall(library)), default=0)
    return sys.platform == "linux" and here().arch == target.arch and needs <= target.glibc


def _wheel(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(path) as wheel:
            for name in wheel.namelist():
                kept = name.partition("/")[0] in OWN and name.endswith((".py", ".so"))
                if kept and not name.startswith(_NOT_ON_FUNCTIONS):
                    yield name, wheel.read(name)
    except (OSError, zipfile.BadZipFile) as error:
        raise ConfigError(f"--wheel {path} can't be read as a wheel: {error}") from error


def _wanted(name: str, every_service: bool) -> bool:
    parts = name.split("/")
    if name.endswith(_UNREAD) or parts[-1] in _NOTES or "__pycache__" in parts:
        return False
    if parts[0] in {"bin", *OWN} or "tests" in parts[1:-1]:
        return False
    described = parts[:2] == ["botocore", "data"] and len(parts) > 3
    return every_service or not described or parts[2] in _SERVICES


def _with_byte_code(entries: dict[str, bytes], target: Platform) -> dict[str, bytes]:
    """Byte code makes a start several times as fast, but no package is refused for it."""
    whole = entries | byte_code(entries, target.python)
    return whole if sum(map(len, whole.values())) <= UNZIPPED_BYTES else entries


def _check_names(mine: dict[str, bytes], others: dict[str, bytes]) -> None:
    """Raises ConfigError where a module of the user's would hide one that is needed."""
    taken = {name.split("/")[0].removesuffix(".py") for name in others if name.endswith(".py")}
    for name in sorted(mine):
        top = name.split("/")[0].removesuffix(".py")
        if name.endswith(".py") and top in taken:
            raise ConfigError(f"{name} would hide the package {top!r}, which is needed: rename it")


def _zipped(entries: dict[str, bytes]) -> Package:
    unzipped = sum(map(len, entries.values()))
    if unzipped > UNZIPPED_BYTES:
        largest: dict[str, int] = {}
        for name, data in entries.items():
            top = name.split("/")[0]
            largest[top] = largest.get(top, 0) + len(data)
        named = sorted(largest.items(), key=lambda item: -item[1])[:3]
        raise DeployFailed(
            f"the package has {unzipped / 2**20:,.0f} MB unzipped; a function takes "
            f"{UNZIPPED_BYTES / 2**20:.0f} MB. The largest parts: "
            + ", ".join(f"{top} {size / 2**20:,.0f} MB" for top, size in named)
        )
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3
            info.external_attr = (0o755 if name.endswith(".so") else 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, entries[name])
    compiled = any(name.startswith("airless/_speed") and name.endswith(".so") for name in entries)
    return Package(buffer.getvalue(), unzipped, len(entries), compiled)
