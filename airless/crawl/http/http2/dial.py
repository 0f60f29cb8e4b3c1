"""New connections over TLS, on which the server chooses between HTTP/2 and HTTP/1.1 (RFC 7301)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from airless.crawl.errors import ConnectError, FetchTimeout, TlsError
from airless.crawl.http.addresses import AddressGuard
from airless.crawl.http.fast.dial import Dialler
from airless.crawl.http.fast.names import Names
from airless.crawl.http.fast.origin import Origin
from airless.crawl.http.http2.connection import Connection

_PROTOCOLS = ("h2", "http/1.1")


class TlsDialler:
    """Opens TCP connections as the Dialler does, which asks the guard, and TLS on them.

    Each of the two has `connect_timeout_s`.
    """

    def __init__(self, names: Names, guard: AddressGuard, connect_timeout_s: float) -> None:
        self._dialler = Dialler(names, guard, connect_timeout_s)
        self._connect_timeout_s = connect_timeout_s
        self._tls: ssl.SSLContext | None = None

    async def dial(self, site: Origin, what: str, lost: Callable[[Connection], None]) -> Connection | None:
        """A connection, or None where the server chose HTTP/1.1. Raises FetchError."""
        # The Dialler hands through whatever protocol it is given.
        make = cast(Any, lambda peer, sock: Connection(peer, sock, lost))
        connection = cast(Connection, await self._dialler.dial(replace(site, tls=False), what, make))
        if connection.tcp is None:
            raise ConnectError(f"{what}: the connection was closed at once")
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                secured = await asyncio.get_running_loop().start_tls(
                    connection.tcp, connection, self._context(), server_hostname=site.host
                )
        except TimeoutError as error:
            raise FetchTimeout(f"{what}: connecting took too long") from error
        except ssl.SSLCertVerificationError as error:
            raise TlsError(f"{what}: the certificate was refused ({error.verify_message})") from error
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise ConnectError(f"{what}: the connection was closed during the TLS handshake") from error
        except ssl.SSLError as error:
            raise TlsError(f"{what}: the TLS handshake failed ({error})") from error
        except OSError as error:
            raise ConnectError(f"{what}: the connection broke before a request ({error})") from error
        if secured is None:
            raise ConnectError(f"{what}: the connection was closed during the TLS handshake")
        if secured.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            secured.abort()
            return None
        connection.secured(secured)
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            # Reading the system's authorities takes tens of milliseconds: not before a page needs it.
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(_PROTOCOLS)
        return self._tls
