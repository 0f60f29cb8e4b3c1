"""Objects beside a broker, which needn't hold what is large: in a folder that all workers share, or in a bucket of S3.

What speaks as S3 does for it too. Region, endpoint and credentials of a bucket come from the environment, as all of
AWS's own tools have them: ``AWS_REGION``, ``AWS_ENDPOINT_URL_S3``, ``AWS_ACCESS_KEY_ID``, and so on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from airless.core.errors import ConfigError
from airless.core.ports import Objects
from airless.engines.files import FileObjects

if TYPE_CHECKING:
    from airless.engines.aws.clients import AwsClients

FORM = "file:///FOLDER or s3://BUCKET[/FOLDER]"
_FOLDERS, _BUCKETS = "file://", "s3://"
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_REGION = "us-east-1"


def check_place(url: str) -> None:
    """Raises ConfigError where the URL names no place for objects."""
    if url.startswith(_FOLDERS):
        FileObjects.parse(url)
        return
    parts = urlsplit(url)
    if not url.startswith(_BUCKETS) or not parts.netloc or parts.query or parts.fragment:
        raise ConfigError(f"{url!r} is no place for objects: write {FORM}")


class Outside:
    """The things of one `prefix` in such a place. Nothing is asked of it before something is asked of `objects`."""

    def __init__(self, url: str, prefix: str, environment: Mapping[str, str] = os.environ) -> None:
        """Raises ConfigError."""
        check_place(url)
        self._url = url
        self._prefix = quote(prefix, safe="")
        self._environment = environment
        self._files: list[FileObjects] = []
        self._clients: AwsClients | None = None

    def objects(self, folder: str) -> Objects:
        """Those of a folder, apart from those of others."""
        if self._url.startswith(_FOLDERS):
            self._files.append(FileObjects(FileObjects.parse(self._url).root / self._prefix / folder))
            return self._files[-1]
        from airless.engines.aws.objects import S3Objects

        clients = self._aws()
        return S3Objects(clients, clients.options, folder)

    async def aclose(self) -> None:
        for files in self._files:
            await files.aclose()
        if self._clients is not None:
            await self._clients.aclose()

    def _aws(self) -> AwsClients:
        from airless.engines.aws.clients import AwsClients
        from airless.engines.aws.options import AwsOptions

        if self._clients is None:
            parts = urlsplit(self._url)
            folders = [parts.path.strip("/"), self._prefix]
            self._clients = AwsClients(
                AwsOptions(
                    self._first(_REGIONS) or _REGION,
                    parts.netloc,
                    "/".join(folder for folder in folders if folder),
                    self._first(_ENDPOINTS),
                )
            )
        return self._clients

    def _first(self, names: tuple[str, ...]) -> str | None:
        return next((value for name in names if (value := self._environment.get(name))), None)
