"""The one error tree.

AirlessError
├── ConfigError            an option, a setting or an engine URL that can't be used; says what to write instead
├── MessageError
│   ├── UndecodableMessage bytes that are no JSON object; `raw` holds them whole
│   └── MessageTooLarge    over what the engine takes
├── EngineError            the engine failed; the vendor's exception is the cause
│   ├── Conflict           a compare-and-set lost: somebody else committed first
│   ├── LeaseLost          a message settled here has gone to another consumer
│   ├── StorageFull        the engine's disk or quota is full
│   └── Locked             another process holds what was asked for
├── OperatorError
│   ├── PermanentError     trying again can't help
│   └── RetryableError     trying again may help, after `after_s` where the source says so
├── FetchError             (airless.crawl.errors) a page that could not be had
└── OutputError            items can't be delivered where the user wants them
"""

from __future__ import annotations


class AirlessError(Exception):
    """Anything that airless raises on purpose."""


class ConfigError(AirlessError):
    """An option, a setting or a URL that can't be used."""


class MessageError(AirlessError):
    """A message that can't be carried."""


class UndecodableMessage(MessageError):
    """Bytes that are no JSON object. `raw` holds them whole, so that nothing is lost."""

    def __init__(self, reason: str, raw: bytes) -> None:
        super().__init__(reason)
        self.raw = raw


class MessageTooLarge(MessageError):
    """A message over what the engine takes."""


class EngineError(AirlessError):
    """The engine failed; the vendor's exception is the cause."""


class Conflict(EngineError):
    """A compare-and-set lost: `key` was at another version than expected."""

    def __init__(self, key: str) -> None:
        super().__init__(f"state {key!r} was changed by somebody else")
        self.key = key


class LeaseLost(EngineError):
    """A message settled here is no longer leased to this consumer; nothing of the commit was applied."""


class StorageFull(EngineError):
    """The engine's disk or quota is full; nothing of the commit was applied."""


class Locked(EngineError):
    """Another process holds what was asked for."""


class OperatorError(AirlessError):
    """What an operator raises to say how its failure is to be treated."""


class PermanentError(OperatorError):
    """Trying again can't help: the message goes to the error topic at once."""


class RetryableError(OperatorError):
    """Trying again may help, not before `after_s` seconds where the source said so."""

    def __init__(self, message: str = "", *, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s


class OutputError(AirlessError):
    """Items can't be delivered where the user wants them; they are kept by the engine."""
