"""Deploying: the package goes into the bucket, the template becomes a stack."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from airless.core.errors import ConfigError
from airless.deploy.aws.bucket import DeployBucket
from airless.deploy.aws.deployment import Deployment, default_bucket
from airless.deploy.aws.others import functions_on, queue_url
from airless.deploy.aws.stack import Change, Stack, Staging
from airless.deploy.aws.template import bucket_template, template
from airless.deploy.package import Package
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.faults import translated


@dataclass(frozen=True, slots=True)
class Planned:
    """What an apply would do; `new` where there is no stack yet."""

    new: bool
    changes: list[Change]


def package_key(deployment: Deployment, package: Package) -> str:
    """The package's key in the bucket: other bytes, another key."""
    return f"{package_folder(deployment.prefix, deployment.stack)}{package.digest[:16]}.zip"


def package_folder(prefix: str, stack: str) -> str:
    return f"{prefix}/deploy/{stack}/"


class Deployer:
    """Makes one deployment what its template says; `say` hears in a line what is done."""

    def __init__(
        self,
        clients: AwsClients,
        stack: Stack,
        deployment: Deployment,
        package: Package,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._clients = clients
        self._stack = stack
        self._package = package
        self._deployment = replace(deployment, package_key=package_key(deployment, package))
        self._say = say

    async def apply(self) -> bool:
        """Create the stack or update it, and wait. False where nothing was to be changed. Raises DeployFailed."""
        deployment = await self._among_others()
        bucket = DeployBucket(self._clients, await self._bucket_name())
        if deployment.bucket_name not in deployment.shared and not await bucket.exists():
            # The package has to lie somewhere before the function can be made of it.
            self._say(f"making the bucket {bucket.name}")
            await self._stack.apply(bucket_template(deployment), {}, staging=self._staging(bucket))
        self._say(f"uploading the package, {len(self._package.data) / 1e6:,.1f} MB")
        await bucket.put(deployment.package_key, self._package.data)
        changed = await self._stack.apply(
            template(deployment), self._parameters(bucket), staging=self._staging(bucket)
        )
        # Until here the former package was needed: a stack that fails goes back to it.
        await bucket.clear(package_folder(deployment.prefix, deployment.stack), but=deployment.package_key)
        return changed

    async def plan(self) -> Planned:
        """What `apply` would do. Nothing is changed, and the package stays here."""
        deployment = await self._among_others()
        bucket = DeployBucket(self._clients, await self._bucket_name())
        if await self._stack.status() is None:
            resources = template(deployment)["Resources"]
            return Planned(True, [Change("Add", entry["Type"], name) for name, entry in resources.items()])
        changes = await self._stack.changes(
            template(deployment), self._parameters(bucket), staging=self._staging(bucket)
        )
        return Planned(False, changes)

    def _parameters(self, bucket: DeployBucket) -> dict[str, str]:
        return {"CodeBucket": bucket.name, "CodeKey": self._deployment.package_key}

    def _staging(self, bucket: DeployBucket) -> Staging:
        async def put(body: bytes) -> str:
            folder = package_folder(self._deployment.prefix, self._deployment.stack)
            key = f"{folder}{sha256(body).hexdigest()[:16]}.json"
            await bucket.put(key, body)
            return bucket.url(key)

        return put

    async def _among_others(self) -> Deployment:
        """The deployment, with what others have made already of what it uses."""
        deployment = self._deployment
        own = {name.rpartition("/")[2] for _, name in await self._own_resources()}
        bucket = await self._bucket_name()
        names = [deployment.queue(use, dead=dead) for use in deployment.queues() for dead in (False, True)]
        urls = await asyncio.gather(*(queue_url(self._clients, name) for name in names))
        there = {name: url for name, url in zip(names, urls, strict=True) if url and name not in own}
        for use in deployment.queues():
            url = there.get(deployment.queue(use)) if use.consumed else None
            users = {*await functions_on(self._clients, url)} - {deployment.stack} if url else set()
            if users:
                raise ConfigError(
                    f"{min(users)} works on the queue {deployment.queue(use)} already, and two functions would take "
                    "messages from each other: give another --prefix, or destroy it first"
                )
        shared = {*there}
        if bucket not in own and await DeployBucket(self._clients, bucket).exists():
            shared.add(deployment.bucket_name)
        for name in sorted(shared):
            self._say(
                f"{bucket if name == deployment.bucket_name else name} is there already, and used as it is"
            )
        return replace(deployment, shared=frozenset(shared))

    async def _own_resources(self) -> list[tuple[str, str]]:
        return [] if await self._stack.status() is None else await self._stack.resources()

    async def _bucket_name(self) -> str:
        if self._deployment.bucket is not None:
            return self._deployment.bucket
        return await bucket_of_account(self._clients, self._deployment.prefix)


async def bucket_of_account(clients: AwsClients, prefix: str) -> str:
    """The name of the bucket that a deployment makes where none was named."""
    client = await clients.client("sts")
    with translated("asking for the account"):
        account = (await client.get_caller_identity())["Account"]
    return default_bucket(prefix, account, clients.options.region)
