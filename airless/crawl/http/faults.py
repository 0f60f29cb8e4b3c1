"""What aiohttp raises, said in our terms, once."""

from __future__ import annotations

import ssl

import aiohttp

from airless.crawl.errors import (
    ConnectError,
    FetchError,
    FetchTimeout,
    ProtocolError,
    ResolveError,
    TlsError,
    TruncatedBody,
)


def unanswered(what: str, error: Exception) -> FetchError:
    """The error for a fetch of `what` that failed before the answer's headers were in."""
    if isinstance(error, TimeoutError):
        return FetchTimeout(f"{what}: connecting took too long")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return ResolveError(f"{what}: the host has no address ({error.os_error})")
    if isinstance(error, aiohttp.ClientSSLError):
        return _handshake(what, error)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return ConnectError(f"{what}: the proxy refused a tunnel with {error.status} {error.message}")
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return ConnectError(f"{what}: no connection to the proxy ({error.os_error})")
    if isinstance(error, aiohttp.ClientConnectorError):
        return ConnectError(f"{what}: no connection ({error.os_error})")
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return ConnectError(f"{what}: the connection was closed before an answer")
    if isinstance(error, aiohttp.ClientResponseError) and _in_a_chunk(error):
        return unfinished(what, error)
    if isinstance(error, aiohttp.ClientResponseError):
        return ProtocolError(f"{what}: the answer is no valid HTTP: {_line(error.message)}")
    if isinstance(error, aiohttp.ClientConnectionError | OSError):
        return ConnectError(f"{what}: the connection broke before an answer ({error})")
    return ProtocolError(f"{what}: the request can't be sent: {_line(str(error))}")


def unfinished(what: str, error: Exception) -> FetchError:
    """The error for a fetch of `what` whose body broke off."""
    reason = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    return TruncatedBody(f"{what}: the body broke off: {_line(reason)}")


def _handshake(what: str, error: aiohttp.ClientSSLError) -> FetchError:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return TlsError(f"{what}: the certificate was refused ({error.certificate_error})")
    if isinstance(error.os_error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return ConnectError(f"{what}: the connection was closed during the TLS handshake")
    return TlsError(f"{what}: the TLS handshake failed ({error.os_error})")


def _in_a_chunk(error: aiohttp.ClientResponseError) -> bool:
    """Whether the headers were fine and it was the chunked body, come along with them, that broke."""
    # The parser has no class of its own for it. What it quotes from the answer stands behind the colon.
    return "chunk" in error.message.partition(":")[0]


def _line(text: str) -> str:
    """The first words of a parser's report, which can quote much of what it choked on."""
    return " ".join(text.split())[:200]
