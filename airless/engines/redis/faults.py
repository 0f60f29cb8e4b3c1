"""The server's errors as the engine's, translated where they are raised; the vendor's is the cause."""

from __future__ import annotations

import ssl

from redis import exceptions

from airless.core.errors import AirlessError, ConfigError, EngineError, MessageTooLarge, StorageFull

_REFUSED = (
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
    exceptions.AuthenticationWrongNumberOfArgsError,
)
# What a server says that is only just starting, or is not the one that may write at the moment.
_PASSING = ("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY ", "FAILOVER")


def may_pass(error: Exception) -> bool:
    """Whether the same call may succeed in a moment: the server is away, or not ready yet."""
    if isinstance(error, _REFUSED) or _of_certificate(error) is not None:
        return False
    if isinstance(error, exceptions.ResponseError):
        return _said(error).startswith(_PASSING)
    return isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError | OSError)


def translate(error: Exception, place: str) -> AirlessError:
    """What an exception of the client means to who called."""
    if isinstance(error, AirlessError):
        return error
    said = _said(error)
    if isinstance(error, _REFUSED) or said.startswith(("NOAUTH", "WRONGPASS", "NOPERM")):
        return ConfigError(f"{place} refuses these credentials: put right ones into the URL ({said})")
    if (certificate := _of_certificate(error)) is not None:
        return ConfigError(f"the certificate of {place} is not trusted: {certificate}; see the option ca")
    if isinstance(error, UnicodeEncodeError):
        return EngineError(f"a name that can't be stored: {error}")
    if said.startswith(("OOM", "MISCONF")):
        return StorageFull(
            f"{place}: no room to write, nothing was applied: give it more memory (maxmemory) or disk ({said})"
        )
    if said.startswith(("MOVED", "ASK", "CROSSSLOT")):
        return ConfigError(
            f"{place} is a node of a cluster that doesn't hold this prefix: name the one that does ({said})"
        )
    if "invalid bulk length" in said or "string exceeds maximum allowed size" in said:
        return MessageTooLarge(f"{place}: a value is larger than the server takes ({said})")
    return EngineError(f"{place}: {said or type(error).__name__}")


def _said(error: Exception) -> str:
    """An error's text, with its code in front, which the client takes away from some."""
    said = str(error)
    codes = {
        exceptions.BusyLoadingError: "LOADING",
        exceptions.ReadOnlyError: "READONLY",
        exceptions.OutOfMemoryError: "OOM",
        exceptions.MasterDownError: "MASTERDOWN",
        exceptions.ClusterDownError: "CLUSTERDOWN",
        exceptions.TryAgainError: "TRYAGAIN",
        exceptions.MovedError: "MOVED",
        exceptions.AskError: "ASK",
        exceptions.ClusterCrossSlotError: "CROSSSLOT",
        exceptions.NoPermissionError: "NOPERM",
    }
    code = codes.get(type(error))
    return f"{code} {said}" if code and not said.startswith(code) else said


def _of_certificate(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error
