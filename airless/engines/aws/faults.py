"""AWS's errors as the engine's, translated where they are raised; the vendor's is the cause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airless.core.errors import ConfigError, EngineError

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

    from airless.engines.aws.options import AwsOptions

_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "403", "Forbidden"})
# Codes that say what the user has to put right, in words that do.
_TO_PUT_RIGHT = {
    "the AWS credentials have expired; log in again": (
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "TokenRefreshRequired",
    ),
    "AWS doesn't know these credentials; are they whole?": (
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ),
    "the bucket isn't in the region that the engine's URL names": (
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "PermanentRedirect",
    ),
    "the bucket can't have this name; choose another": ("BucketAlreadyExists", "InvalidBucketName"),
    "AWS doesn't take what it was given": ("ValidationException",),
}
_HINTS = {code: hint for hint, codes in _TO_PUT_RIGHT.items() for code in codes}
_READS = frozenset({"GetObject", "HeadObject"})


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """What AWS and the way to it raise inside becomes EngineError ("`doing` failed: …"); what the user has to put
    right (no credentials, no permission, the wrong region) becomes ConfigError, which says how.
    """
    from aiohttp import ClientError as HttpError
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise ConfigError(
            f"{doing}: no AWS credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "AWS_PROFILE, or give the machine or function a role"
        ) from error
    except ClientError as error:
        raise _answered(doing, error) from error
    except (BotoCoreError, HttpError, OSError, TimeoutError) as error:
        raise EngineError(f"{doing} failed: {str(error) or type(error).__name__}") from error


def _answered(doing: str, error: ClientError) -> ConfigError | EngineError:
    code = code_of(error)
    if code in _DENIED:
        # Without the right to list, S3 doesn't tell what isn't there from what isn't to be read.
        hint = " (or s3:ListBucket, if it isn't there)" if error.operation_name in _READS else ""
        return ConfigError(f"{doing} is refused by AWS: allow it to these credentials{hint}: {error}")
    if code in _HINTS:
        return ConfigError(f"{doing}: {_HINTS[code]} ({error})")
    return EngineError(f"{doing} failed: {error}")


def code_of(error: Exception) -> str:
    """The code in a ClientError: ``PreconditionFailed``, ``AWS.SimpleQueueService.NonExistentQueue``…"""
    response = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def is_broken_off(error: Exception) -> bool:
    """Whether an answer broke off in its body: botocore, which has handed it out by then, doesn't ask again."""
    from aiobotocore.response import AioReadTimeoutError
    from aiohttp import ClientPayloadError
    from botocore.exceptions import IncompleteReadError, ResponseStreamingError

    broken = (AioReadTimeoutError, ClientPayloadError, IncompleteReadError, ResponseStreamingError)
    return isinstance(error, broken)


def no_bucket(options: AwsOptions) -> ConfigError:
    """That the bucket isn't there, and how to come by one."""
    return ConfigError(
        f"there is no bucket {options.bucket!r}: make it with 'aws s3 mb s3://{options.bucket} --region "
        f"{options.region}', or let the engine make it (create=yes in its URL), or deploy"
    )
