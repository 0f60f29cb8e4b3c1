"""AWS's errors as the engine's, translated where they are raised; the vendor's is the cause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airless.core.errors import ConfigError, EngineError

if TYPE_CHECKING:
    from airless.engines.aws.options import AwsOptions

_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "403", "Forbidden"})
_UNKNOWN = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "UnrecognizedClientException", "InvalidClientTokenId"}
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_ELSEWHERE = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)


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
        code = code_of(error)
        if code in _EXPIRED:
            raise ConfigError(f"{doing}: the AWS credentials have expired; log in again ({error})") from error
        if code in _UNKNOWN:
            raise ConfigError(
                f"{doing}: AWS doesn't know these credentials; are they whole? ({error})"
            ) from error
        if code in _DENIED:
            reading = error.operation_name in {"GetObject", "HeadObject"}
            hint = (
                "; S3 says so, too, of what isn't there, unless s3:ListBucket is allowed" if reading else ""
            )
            raise ConfigError(
                f"{doing} is refused by AWS: allow it to these credentials{hint} ({error})"
            ) from error
        if code in _ELSEWHERE:
            raise ConfigError(
                f"{doing}: the bucket isn't in the region that the engine's URL names ({error})"
            ) from error
        if code in {"BucketAlreadyExists", "InvalidBucketName"}:
            raise ConfigError(
                f"{doing}: the bucket can't have this name; choose another ({error})"
            ) from error
        raise EngineError(f"{doing} failed: {error}") from error
    except (BotoCoreError, HttpError, OSError, TimeoutError) as error:
        raise EngineError(f"{doing} failed: {error or type(error).__name__}") from error


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
