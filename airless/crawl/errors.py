"""Why a page could not be had. Each error has a `reason`, under which the accounting counts it.

FetchError
├── ConnectError       refused, reset, unreachable, or closed before an answer (retried)
│   └── ResolveError   the name has no address (retried)
├── FetchTimeout       connecting, or the whole fetch, took too long (retried)
├── TruncatedBody      fewer bytes than the headers or the encoding promised (retried)
├── ProtocolError      no valid HTTP, or a content coding that can't be undone (not retried)
├── TlsError           the certificate or the handshake was refused (not retried)
├── BodyTooLarge       over the cap, decompressed (not retried)
└── AddressRefused     the address is not global and nobody asked for it (not retried)
"""

from __future__ import annotations

from airless.core.errors import AirlessError


class FetchError(AirlessError):
    """A page that could not be had."""

    reason = "fetch"
    retryable = False


class ConnectError(FetchError):
    reason = "connect"
    retryable = True


class ResolveError(ConnectError):
    reason = "dns"


class FetchTimeout(FetchError):
    reason = "timeout"
    retryable = True


class TruncatedBody(FetchError):
    reason = "truncated"
    retryable = True


class ProtocolError(FetchError):
    reason = "protocol"


class TlsError(FetchError):
    reason = "tls"


class BodyTooLarge(FetchError):
    reason = "too_large"


class AddressRefused(FetchError):
    reason = "address"
