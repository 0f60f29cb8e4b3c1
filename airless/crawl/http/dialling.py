"""Connections that go only where the guard lets them, and are never reused with bytes left over on them."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection

from airless.crawl.errors import AddressRefused
from airless.crawl.http.addresses import AddressGuard, Lookup, literal

_DNS_TTL_S = 120
_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class Dial:
    """What a fetch learns of its connection: the peer's IP address, and whether it had been used."""

    __slots__ = ("_body", "_gone", "address", "protocol", "reused")

    def __init__(self) -> None:
        self.address: str | None = None
        self.protocol: ResponseHandler | None = None
        self.reused = False
        self._body: aiohttp.StreamReader | None = None
        self._gone = False

    def reads(self, body: aiohttp.StreamReader) -> None:
        """The fetch is about to read this: it is to be told where the connection ends, or has ended."""
        self._body = body
        if self._gone:
            self.lost()

    def lost(self) -> None:
        """The connection is gone: a reader that still waits would wait for ever.

        aiohttp tells it of an end that comes too early, but not of a chunk that can't be parsed.
        """
        self._gone = True
        if self._body is not None and not self._body.is_eof() and self._body.exception() is None:
            self._body.set_exception(aiohttp.ClientPayloadError("the connection ended within the body"))


class DialRequest(ClientRequest):
    """A request of aiohttp's that carries its `dial` to the connector."""

    dial: Dial


class GuardedResolver(AbstractResolver):
    """Addresses of a name without those that the guard refuses. Raises AddressRefused where none is left."""

    def __init__(self, lookup: Lookup, guard: AddressGuard) -> None:
        self._lookup = lookup
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        refused: AddressRefused | None = None
        results: list[ResolveResult] = []
        for address in await self._lookup(host):
            try:
                self._guard.check(host, address)
            except AddressRefused as error:
                refused = error
                continue
            kind = socket.AF_INET6 if ":" in address else socket.AF_INET
            results.append(
                ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=_NUMERIC)
            )
        if not results and refused is not None:
            raise refused
        return results

    async def close(self) -> None:
        """Nothing is held open."""


class GuardedConnector(aiohttp.TCPConnector):
    """aiohttp's pool with the guard at each of the three doors.

    A literal in the URL is checked before it is dialled, a name's addresses as it is resolved, and the peer
    of each new connection before a request is written to it, whatever was asked for. Through a proxy only the
    proxy is dialled: it is checked, and literals in URLs are, but not what the proxy makes of a name.
    """

    def __init__(
        self, *, guard: AddressGuard, lookup: Lookup, proxy_host: str | None, limit: int, limit_per_host: int
    ) -> None:
        # Who configures a proxy names its host.
        self._dialled_guard = guard if proxy_host is None else guard.allowing(proxy_host)
        self._guard = guard
        self._proxy_host = proxy_host
        self._dials: WeakKeyDictionary[ResponseHandler, Dial] = WeakKeyDictionary()
        super().__init__(
            resolver=GuardedResolver(lookup, self._dialled_guard),
            ttl_dns_cache=_DNS_TTL_S,
            limit=limit,
            limit_per_host=limit_per_host,
        )

    async def connect(
        self, req: ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        host = req.url.raw_host or ""
        if literal(host) is not None:
            self._guard.check(host, host)
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol is None or connection.transport is None:
                raise aiohttp.ServerDisconnectedError
            reused = protocol in self._dials
            # An answer that nobody asked for would be taken for the next request's.
            if not (reused and protocol.should_close):
                break
            connection.close()
        peer = connection.transport.get_extra_info("peername")
        dial = req.dial if isinstance(req, DialRequest) else Dial()
        dial.address, dial.protocol, dial.reused = str(peer[0]) if peer else None, protocol, reused
        if not reused:
            try:
                self._dialled_guard.check(self._proxy_host or host, dial.address or "")
            except AddressRefused:
                connection.close()
                raise
            if protocol.closed is not None:
                protocol.closed.add_done_callback(partial(self._lost, protocol))
        self._dials[protocol] = dial
        return connection

    def _lost(self, protocol: ResponseHandler, closed: asyncio.Future[None]) -> None:
        # Asked for, so that the loop doesn't report it as an error that nobody saw.
        if not closed.cancelled():
            closed.exception()
        dial = self._dials.get(protocol)
        if dial is not None:
            dial.lost()
