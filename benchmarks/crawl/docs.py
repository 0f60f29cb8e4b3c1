"""Real pages: documentation that Debian packages as HTML, from two generators, Sphinx and javadoc.

What links reach is copied once, with a ``.gz`` (level 6) beside each page, so that a race isn't disturbed by an
upgrade and can be served compressed.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

from .walk import Walked, file_of, walk

FOLDER = Path("/usr/share/doc")
START = "/index.html"


@dataclass(frozen=True, slots=True)
class Documentation:
    """The pages of a Debian package, where they are below `FOLDER` (a pattern), and the host they are raced as."""

    package: str
    pattern: str
    host: str

    def source(self, folder: Path) -> Path | None:
        """Where it is installed; of several versions the last."""
        there = [found for found in folder.glob(self.pattern) if file_of(found, START).is_file()]
        return max(there).resolve() if there else None


PYTHON = Documentation("python3-doc", "python3-doc/html", "python.docs.test")
JAVA = Documentation("openjdk-17-doc", "openjdk-*-jre-headless/api", "java.docs.test")
DOCUMENTATION = (PYTHON, JAVA)


def missing(folder: Path, wanted: tuple[Documentation, ...] = DOCUMENTATION) -> list[str]:
    """The Debian packages that aren't there."""
    return [each.package for each in wanted if each.source(folder) is None]


def how_to_get(packages: list[str]) -> str:
    """The command that installs them. Small images leave all documentation out, unless a path is asked for."""
    return f"apt-get install -o 'DPkg::Options::=--path-include={FOLDER}/*' {' '.join(packages)}"


def lay_out(documentation: Documentation, folder: Path, target: Path) -> Walked:
    """Copy what links reach to ``target/host``, and say what that is; a copy that is still right is kept.

    Raises FileNotFoundError where the documentation isn't installed.
    """
    source = documentation.source(folder)
    if source is None:
        raise FileNotFoundError(f"{documentation.package} is not below {folder}")
    record = target / f"{documentation.host}.json"
    edition = _edition(source)
    if record.exists():
        kept = json.loads(record.read_text(encoding="utf-8"))
        if kept.pop("edition") == edition:
            return Walked(**kept)
    print(f"Walking {source}: once, a few minutes.", file=sys.stderr, flush=True)
    walked = walk(source, START)
    record.unlink(missing_ok=True)
    host = target / documentation.host
    shutil.rmtree(host, ignore_errors=True)
    for path in (*walked.pages, *walked.others):
        file, copy = file_of(source, path), file_of(host, path)
        if file.is_dir():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
        if path in walked.pages:
            Path(f"{copy}.gz").write_bytes(gzip.compress(file.read_bytes(), 6, mtime=0))
    record.write_text(json.dumps({"edition": edition, **asdict(walked)}), encoding="utf-8")
    return walked


def _edition(source: Path) -> str:
    """Changes with the files, and with how they are walked."""
    digest = blake2b(digest_size=8)
    for module in ("walk.py", "docs.py"):
        digest.update(Path(__file__).with_name(module).read_bytes())
    for file in sorted(source.rglob("*")):
        about = file.stat() if file.exists() else None
        if about is not None:
            digest.update(f"{file.relative_to(source)} {about.st_size} {about.st_mtime_ns}\n".encode())
    return digest.hexdigest()
