"""nginx on loopback, on a core of its own: started with its own configuration, stopped by its process id."""

from __future__ import annotations

import getpass
import os
import resource
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

_START_S = 10.0


@dataclass(frozen=True, slots=True)
class Server:
    """Serves ``root/host/path`` on 127.0.0.1.

    `tls` makes and uses a certificate for `hosts`, signed by a CA of its own. With `gzip_static` a
    page's ``.gz`` is sent to who accepts gzip. `core` is where it runs. `charset` is what it says that text is
    in; empty, it says nothing.
    """

    root: Path
    run: Path
    hosts: tuple[str, ...]
    port: int
    core: int = 0
    tls: bool = False
    gzip_static: bool = False
    charset: str = "utf-8"

    @property
    def ca(self) -> Path:
        """The certificate that a client has to trust, where `tls` is on."""
        return self.run / "ca.pem"

    @contextmanager
    def serving(self) -> Iterator[Server]:
        """Up when it yields, gone afterwards. Raises RuntimeError if it can't start or the port is taken."""
        if _answers(self.port):
            raise RuntimeError(f"something listens on port {self.port} already")
        self.run.mkdir(parents=True, exist_ok=True)
        if self.tls:
            _certificates(self.run, self.hosts)
        (self.run / "nginx.conf").write_text(self.configuration())
        command = ["taskset", "-c", str(self.core), "nginx", "-p", f"{self.run}/", "-c", "nginx.conf"]
        # nginx opens its compiled-in log before it reads the configuration; -e gives it ours.
        process = subprocess.Popen([*command, "-e", "error.log"])
        try:
            _wait(self.port, process, self.run / "error.log")
            yield self
        finally:
            process.terminate()
            process.wait(_START_S)

    def requests(self) -> int:
        """How many requests it has answered since it started, this one included."""
        connection = HTTPConnection("127.0.0.1", self.port + 1, timeout=5)
        try:
            connection.request("GET", "/")
            return int(connection.getresponse().read().split()[9])
        finally:
            connection.close()

    def configuration(self) -> str:
        """The configuration file."""
        # An open_file_cache above the file limit stalls nginx without a word: stay well below it.
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        cached = min(25_000, limit * 4 // 5)
        user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
        secure = "ssl_certificate host.pem; ssl_certificate_key host.key; ssl_session_cache shared:s:1m;"
        return f"""
{user}
worker_processes 1;
worker_rlimit_nofile {limit};
daemon off;
pid nginx.pid;
error_log error.log warn;
events {{ worker_connections 4096; multi_accept on; }}
http {{
    types {{ text/html html htm; text/plain txt; image/svg+xml svg; image/png png; image/gif gif; text/css css; }}
    default_type application/octet-stream;
    charset {self.charset or "off"};
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 120s;
    keepalive_requests 1000000000;
    open_file_cache max={cached} inactive=1h;
    open_file_cache_valid 1h;
    open_file_cache_errors on;
    {"gzip_static on;" if self.gzip_static else ""}
    client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp;
    uwsgi_temp_path tmp; scgi_temp_path tmp;
    server {{
        listen 127.0.0.1:{self.port} {"ssl" if self.tls else ""} default_server backlog=4096;
        {secure if self.tls else ""}
        location / {{ default_type text/html; return 200 "<title>off-site</title>"; }}
    }}
    server {{
        listen 127.0.0.1:{self.port} {"ssl" if self.tls else ""};
        server_name {" ".join(self.hosts)};
        root {self.root}/$host;
        location = /robots.txt {{
            default_type text/plain;
            return 200 "User-agent: *\\nDisallow: /private/\\n";
        }}
        location /bait/ {{ default_type text/html; return 200 "<title>bait</title>"; }}
    }}
    server {{
        listen 127.0.0.1:{self.port + 1};
        location / {{ stub_status; }}
    }}
}}
"""


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_S
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"nginx didn't start: {log.read_text() if log.exists() else 'no log'}")
        time.sleep(0.02)


def _certificates(folder: Path, hosts: tuple[str, ...]) -> None:
    """An own CA (ca.pem) and a certificate for the hosts (host.pem, host.key), P-256, good for a month."""
    names = ",".join(f"DNS:{host}" for host in hosts)
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    authority = ["-subj", "/CN=benchmark CA", "-days", "30", "-keyout", "ca.key", "-out", "ca.pem"]
    _openssl(folder, "req", "-x509", *curve, *authority)
    _openssl(folder, "req", *curve, "-subj", f"/CN={hosts[0]}", "-keyout", "host.key", "-out", "host.csr")
    (folder / "names.txt").write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile", "names.txt"]
    _openssl(folder, "x509", "-req", "-in", "host.csr", *signed, "-out", "host.pem")


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
