"""A site that does everything wrong: each page of it, and what a crawl has to make of that page."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.hostile_server import (
    Handler,
    HostileServer,
    answer,
    drips,
    hostile_server,
    never_ends,
    says,
    says_and_closes,
    says_and_resets,
    silent,
)

HTML = {"Content-Type": "text/html; charset=utf-8"}
METADATA = "http://169.254.169.254/latest/meta-data/"


def page(title: str, *links: str) -> bytes:
    anchors = "".join(f'<a href="{link}">x</a>' for link in links)
    return f"<!doctype html><title>{title}</title>{anchors}".encode()


def redirect(target: str, *, status: str = "302 Found", cookie: str | None = None) -> Handler:
    fields = {"Location": target, **({"Set-Cookie": cookie} if cookie else {})}
    return says(answer(status=status, headers=fields))


def gzip_bomb(megabytes: int) -> bytes:
    """A gzip stream of that many megabytes of zeros, a thousandth of that long."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)
    return gzip.compress(b"")[:10] + block * megabytes + packer.flush()


async def relative_trap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str) -> None:
    """Under /a/ every page links to one level further down, without end."""
    writer.write(answer(page(f"Trap {target}", "a/", "b/"), headers=HTML))


async def calendar(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str) -> None:
    """Every day links to the next, without end."""
    day = int(target.partition("day=")[2] or 0)
    writer.write(answer(page(f"Day {day}", f"/calendar?day={day + 1}"), headers=HTML))


async def parameters(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str) -> None:
    """Every page adds a parameter, without end."""
    number = target.count("=")
    writer.write(
        answer(page(f"Parameters {number}", f"{target}{'&' if number else '?'}p{number}=1"), headers=HTML)
    )


def routes() -> dict[str, Handler]:
    latin = "<!doctype html><meta charset=utf-8><title>Caf\xe9</title>".encode("latin-1")
    fine = ["/fine", "/latin", "/bogus-charset", "/broken-html", "/cookie"]
    bad = [
        *(
            "/loop-a",
            "/self",
            "/endless-hops?n=0",
            "/reset",
            "/reset-mid",
            "/truncated",
            "/short-chunk",
            "/endless",
        ),
        *(
            "/bomb",
            "/drip",
            "/silent",
            "/garbage",
            "/header-bomb",
            "/bad-gzip",
            "/a/",
            "/calendar?day=0",
            "/parameters",
        ),
        *(
            METADATA,
            "http://[::ffff:169.254.169.254]/",
            "http://2852039166/",
            "javascript:alert(1)",
            "http://[bad",
            "//",
        ),
        *("/to-metadata", "/no-location", "/missing", "/error", "mailto:a@example.com"),
    ]
    huge = (
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1000) for n in range(2000)) + b"\r\n"
    )
    return {
        "/": says(answer(page("Hostile", *fine, *bad), headers=HTML)),
        "/robots.txt": says(answer(status="404 Not Found")),
        "/fine": says(answer(page("Fine", "/"), headers=HTML)),
        "/latin": says(answer(latin, headers=HTML)),
        "/bogus-charset": says(answer(page("Bogus"), headers={"Content-Type": "text/html; charset=klingon"})),
        "/broken-html": says(
            answer(b"<title>Broken</title><a href='/fine'><<<>\x00</p></b>" * 50, headers=HTML)
        ),
        "/loop-a": redirect("/loop-b"),
        "/loop-b": redirect("/loop-a"),
        "/self": redirect("/self"),
        "/endless-hops": endless_hops,
        "/reset": says_and_resets(b"", after_s=0),
        "/reset-mid": says_and_resets(answer(b"x" * 100, length=10_000)),
        "/truncated": says_and_closes(answer(b"x" * 100, length=10_000)),
        "/short-chunk": says_and_closes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nshort"),
        "/endless": never_ends(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", b"<p>more</p>" * 1000),
        "/bomb": says(answer(gzip_bomb(1000), headers={**HTML, "Content-Encoding": "gzip"})),
        "/drip": drips(answer(b"x" * 1000), every_s=0.2),
        "/silent": silent,
        "/garbage": says_and_closes(b"\x00\xff this is no HTTP\r\n\r\n"),
        "/header-bomb": says_and_closes(huge),
        "/bad-gzip": says(answer(b"not gzip at all", headers={**HTML, "Content-Encoding": "gzip"})),
        "/a/": relative_trap,
        "/calendar": calendar,
        "/parameters": parameters,
        "/to-metadata": redirect(METADATA),
        "/no-location": says(answer(status="302 Found")),
        "/error": says(answer(status="500 Internal Server Error")),
        "*": anything_else,
    }


async def anything_else(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str) -> None:
    if target.startswith("/a/"):
        await relative_trap(reader, writer, target)
    else:
        writer.write(answer(status="404 Not Found"))


async def endless_hops(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str) -> None:
    number = int(target.partition("n=")[2] or 0)
    writer.write(answer(status="302 Found", headers={"Location": f"/endless-hops?n={number + 1}"}))


@asynccontextmanager
async def hostile_site() -> AsyncIterator[tuple[HostileServer, HostileServer]]:
    """The site, and a second one whose robots.txt can't be had."""
    async with hostile_server(routes()) as site, hostile_server() as closed:

        async def wall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str) -> None:
            if b"cookie: seen=1" in site.requests[-1].head.lower():
                writer.write(answer(page("Behind the wall"), headers=HTML))
            else:
                writer.write(
                    answer(status="302 Found", headers={"Location": "/cookie", "Set-Cookie": "seen=1"})
                )

        site.routes["/cookie"] = wall
        closed.routes["/robots.txt"] = says(answer(status="503 Service Unavailable"))
        closed.routes["*"] = says(answer(page("Must not be fetched"), headers=HTML))
        yield site, closed
