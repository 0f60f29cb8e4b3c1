"""AWS's errors as the engine's, translated where they are raised; the vendor's is the cause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airless.core.errors import ConfigError, EngineError

_DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """What botocore raises inside becomes EngineError ("`doing` failed: …"), ConfigError where access is refused."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except NoCredentialsError as error:
        raise ConfigError(
            "no AWS credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        ) from error
    except ClientError as error:
        if code_of(error) in _DENIED:
            raise ConfigError(f"{doing} is refused by AWS: {error}") from error
        raise EngineError(f"{doing} failed: {error}") from error
    except (BotoCoreError, OSError, TimeoutError) as error:
        raise EngineError(f"{doing} failed: {error}") from error


def code_of(error: Exception) -> str:
    """The code in a ClientError: ``PreconditionFailed``, ``AWS.SimpleQueueService.NonExistentQueue``…"""
    response = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))
