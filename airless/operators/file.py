"""Operators of files: they run when a file has come into a bucket."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import unquote_plus

from airless.core.errors import PermanentError
from airless.core.message import Message
from airless.operators.context import CURRENT
from airless.operators.operator import Operator


class FileOperator(Operator):
    """Runs on each file that a message names."""

    input_type: ClassVar[str] = "file"

    @abstractmethod
    def execute(self, bucket: str, filepath: str) -> Any:
        """Do the work on a file. May be ``async def``, or a plain ``def``, which runs in a thread.

        A message that names several files is done when all of them are; a failure has all of them run again.
        """

    async def handle(self, message: Message) -> Any:
        result = None
        for bucket, filepath in named_files(message.data):
            result = await CURRENT.get().call(self.execute, bucket, filepath)
        return result


def named_files(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The bucket and the path of each file that a storage event names.

    Takes ``{bucket, filepath}``, Cloud Storage's ``{bucket, name}`` and S3's event notification structure,
    whose keys are URL-encoded (Amazon S3 User Guide, "Event message structure"). Raises PermanentError for
    anything else.
    """
    records = data.get("Records")
    if isinstance(records, list):
        return [_s3_file(record) for record in records]
    if data.get("Event") == "s3:TestEvent":
        return []
    bucket, path = data.get("bucket"), data.get("filepath", data.get("name"))
    if isinstance(bucket, str) and isinstance(path, str) and bucket and path:
        return [(bucket, path)]
    raise PermanentError(
        "the message names no file: {bucket, filepath}, {bucket, name} or S3 Records were expected, "
        f"not the keys {sorted(data)}"
    )


def _s3_file(record: Any) -> tuple[str, str]:
    try:
        bucket, key = record["s3"]["bucket"]["name"], record["s3"]["object"]["key"]
    except (KeyError, TypeError) as error:
        raise PermanentError("an entry of Records has no s3.bucket.name and s3.object.key") from error
    if not isinstance(bucket, str) or not isinstance(key, str):
        raise PermanentError("s3.bucket.name and s3.object.key of an entry of Records must be strings")
    return bucket, unquote_plus(key)
