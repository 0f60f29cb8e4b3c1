"""What aiohttp raises, said in our terms, once."""

from __future__ import annotations

import ssl

import aiohttp
from aiohttp.http_exceptions import TransferEncodingError

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
    if isinstance(error, aiohttp.ClientResponseError) and not _words(error):
        # What stopped the parser was no fault of the answer's, which may well be there the next time.
        return ConnectError(f"{what}: the answer could not be read ({_source(error)!r})")
    if isinstance(error, aiohttp.ClientResponseError):
        return ProtocolError(f"{what}: the answer is no valid HTTP: {_line(_words(error))}")
    if isinstance(error, aiohttp.ClientConnectionError | OSError):
        return ConnectError(f"{what}: the connection broke before an answer ({error})")
    return ProtocolError(f"{what}: the request can't be sent: {_line(str(error))}")


def unfinished(what: str, error: Exception) -> FetchError:
    """The error for a fetch of `what` whose body broke off."""
    reason = _words(error) if isinstance(error, aiohttp.ClientResponseError) else str(error)
    return TruncatedBody(f"{what}: the body broke off: {_line(reason)}")


def _handshake(what: str, error: aiohttp.ClientSSLError) -> FetchError:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return TlsError(f"{what}: the certificate was refused ({error.certificate_error})")
    if isinstance(error.os_error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return ConnectError(f"{what}: the connection was closed during the TLS handshake")
    return TlsError(f"{what}: the TLS handshake failed ({error.os_error})")


def _in_a_chunk(error: aiohttp.ClientResponseError) -> bool:
    """Whether the headers were fine and it was the chunked body, come along with them, that broke."""
    # The compiled parser has no class of its own for it: its words before the colon say so, and what it
    # quotes from the answer stands behind. The one in Python has a class, and may say nothing but a quote.
    if isinstance(_source(error), TransferEncodingError):
        return True
    return "chunk" in _words(error).partition(":")[0]


def _words(error: aiohttp.ClientResponseError) -> str:
    """What the parser said, if anything: aiohttp leaves it out where it doesn't know the error's class."""
    # Which it doesn't where a tool has had its modules loaded twice, the compiled parser once.
    return error.message or str(getattr(_source(error), "message", ""))


def _source(error: BaseException) -> BaseException:
    """What was raised in the first place."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _line(text: str) -> str:
    """The first words of a parser's report, which can quote much of what it choked on."""
    return " ".join(text.split())[:200]
