"""New connections, to addresses that the guard lets pass and to nothing else."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence

from aiohappyeyeballs import AddrInfoType, start_connection

from airless.crawl.errors import AddressRefused, ConnectError, FetchTimeout, ResolveError, TlsError
from airless.crawl.http.addresses import AddressGuard, literal
from airless.crawl.http.fast.connection import Connection
from airless.crawl.http.fast.names import Names
from airless.crawl.http.fast.origin import Origin

# RFC 8305 §5: how long the next address waits for the one before.
_ATTEMPT_DELAY_S = 0.25


class Dialler:
    """Opens connections.

    The guard is asked of each address before it is dialled, and of the peer before a byte is sent, TLS'
    first ones included.
    """

    def __init__(self, names: Names, guard: AddressGuard, connect_timeout_s: float) -> None:
        self._names = names
        self._guard = guard
        self._connect_timeout_s = connect_timeout_s
        self._tls: ssl.SSLContext | None = None

    async def dial(
        self, site: Origin, what: str, make: Callable[[str, socket.socket], Connection]
    ) -> Connection:
        """A connection that `make` gives for the peer's address and the socket, open. Raises FetchError."""
        addresses = self._let_through(site.host, await self._addresses(site.host, what))
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                return await self._connected(site, what, addresses, make)
        except TimeoutError as error:
            raise FetchTimeout(f"{what}: connecting took too long") from error

    async def _addresses(self, host: str, what: str) -> Sequence[str]:
        if literal(host) is not None:
            return (host,)
        try:
            found = await self._names.addresses(host)
        except OSError as error:
            raise ResolveError(f"{what}: the host has no address ({error})") from error
        if not found:
            raise ResolveError(f"{what}: the host has no address")
        return found

    def _let_through(self, host: str, addresses: Sequence[str]) -> list[str]:
        passed: list[str] = []
        refused: AddressRefused | None = None
        for address in addresses:
            try:
                self._guard.check(host, address)
            except AddressRefused as error:
                refused = error
            else:
                passed.append(address)
        if not passed and refused is not None:
            raise refused
        return passed

    async def _connected(
        self,
        site: Origin,
        what: str,
        addresses: Sequence[str],
        make: Callable[[str, socket.socket], Connection],
    ) -> Connection:
        try:
            sock = await start_connection(
                [_info(address, site.port) for address in addresses],
                happy_eyeballs_delay=_ATTEMPT_DELAY_S,
                interleave=1,
            )
        except TimeoutError:
            raise
        except OSError as error:
            raise ConnectError(f"{what}: no connection ({error})") from error
        try:
            peer = str(sock.getpeername()[0])
            self._guard.check(site.host, peer)
        except OSError as error:
            sock.close()
            raise ConnectError(f"{what}: the connection was closed at once ({error})") from error
        except AddressRefused:
            sock.close()
            raise
        return await self._spoken_to(sock, site, what, lambda: make(peer, sock))

    async def _spoken_to(
        self, sock: socket.socket, site: Origin, what: str, make: Callable[[], Connection]
    ) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            if not site.tls:
                return (await loop.create_connection(make, sock=sock))[1]
            name = site.host
            return (await loop.create_connection(make, sock=sock, ssl=self._context(), server_hostname=name))[
                1
            ]
        except ssl.SSLCertVerificationError as error:
            raise TlsError(f"{what}: the certificate was refused ({error.verify_message})") from error
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise ConnectError(f"{what}: the connection was closed during the TLS handshake") from error
        except ssl.SSLError as error:
            raise TlsError(f"{what}: the TLS handshake failed ({error})") from error
        except TimeoutError:
            raise
        except OSError as error:
            raise ConnectError(f"{what}: the connection broke before a request ({error})") from error

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            # Reading the system's authorities takes tens of milliseconds: not before a page needs it.
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


def _info(address: str, port: int) -> AddrInfoType:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)
