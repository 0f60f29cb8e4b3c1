"""A stack of CloudFormation: made, changed, compared and removed through the API, waiting for its end."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airless.deploy.aws.deployment import Json
from airless.deploy.errors import DeployFailed
from airless.engines.aws.clients import AwsClients
from airless.engines.aws.faults import code_of, translated

# What a template may have inside of a request; a larger one is read from S3.
_BODY_BYTES = 51_200
_NO_CHANGE = ("No updates are to be performed", "didn't contain changes", "No updates to be performed")
# A stack that never came to be can't be updated, only removed.
_NEVER_WAS = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "REVIEW_IN_PROGRESS"})
_DONE = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE"})

Staging = Callable[[bytes], Awaitable[str]]
"""Puts a template that is too large for a request onto S3, and gives its URL."""


@dataclass(frozen=True, slots=True)
class StackEvent:
    """One step of an operation, as CloudFormation tells it."""

    at: str
    status: str
    kind: str
    resource: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What would happen to a resource: Add, Modify or Remove; `replaced` is True, False or Conditional."""

    action: str
    kind: str
    resource: str
    replaced: str = ""


class Stack:
    """One stack by its name. `tell` hears of each event; `poll_s` is how often AWS is asked how it goes."""

    def __init__(
        self,
        clients: AwsClients,
        name: str,
        *,
        tell: Callable[[StackEvent], None] = lambda event: None,
        poll_s: float = 2.0,
    ) -> None:
        self.name = name
        self._clients = clients
        self._tell = tell
        self._poll_s = poll_s

    async def status(self) -> str | None:
        """None where there is no such stack."""
        described = await self._described(self.name)
        return None if described is None else str(described["StackStatus"])

    async def outputs(self) -> dict[str, str]:
        described = await self._described(self.name)
        found = described.get("Outputs", ()) if described else ()
        return {output["OutputKey"]: output["OutputValue"] for output in found}

    async def resources(self) -> list[tuple[str, str]]:
        """The type and the physical id of each resource that the stack has."""
        client = await self._clients.client("cloudformation")
        found = []
        with translated(f"listing the stack {self.name}"):
            async for page in client.get_paginator("list_stack_resources").paginate(StackName=self.name):
                for entry in page["StackResourceSummaries"]:
                    if entry["ResourceStatus"] != "DELETE_COMPLETE":
                        found.append((entry["ResourceType"], entry.get("PhysicalResourceId", "")))
        return found

    async def apply(self, template: Json, parameters: Mapping[str, str], *, staging: Staging) -> bool:
        """Make the stack or change it, and wait. False where nothing was to be changed.

        Raises DeployFailed with the reason of the first resource that failed; AWS has put back what was then.
        """
        status = await self.status()
        if status in _NEVER_WAS:
            await self.delete()
            status = None
        client = await self._clients.client("cloudformation")
        token = uuid.uuid4().hex
        request = await self._request(template, parameters, staging)
        request |= {"StackName": self.name, "ClientRequestToken": token}
        with translated(f"deploying the stack {self.name}"):
            if status is None:
                answer = await client.create_stack(**request)
            else:
                try:
                    answer = await client.update_stack(**request)
                except client.exceptions.ClientError as error:
                    if code_of(error) == "ValidationError" and _says(error, _NO_CHANGE):
                        return False
                    raise
        await self._wait(answer["StackId"], token)
        return True

    async def delete(self) -> None:
        """Remove the stack, and wait. Raises DeployFailed."""
        described = await self._described(self.name)
        if described is None:
            return
        client = await self._clients.client("cloudformation")
        token = uuid.uuid4().hex
        with translated(f"removing the stack {self.name}"):
            await client.delete_stack(StackName=self.name, ClientRequestToken=token)
        await self._wait(described["StackId"], token)

    async def changes(
        self, template: Json, parameters: Mapping[str, str], *, staging: Staging
    ) -> list[Change]:
        """What `apply` would do to the stack that there is; nothing is changed."""
        client = await self._clients.client("cloudformation")
        name = f"airless-{uuid.uuid4().hex}"
        request = await self._request(template, parameters, staging)
        with translated(f"comparing the stack {self.name}"):
            made = await client.create_change_set(
                StackName=self.name, ChangeSetName=name, ChangeSetType="UPDATE", **request
            )
            try:
                return await self._compared(client, made["Id"])
            finally:
                await client.delete_change_set(ChangeSetName=made["Id"])

    async def _compared(self, client: Any, change_set: str) -> list[Change]:
        found, page = [], await client.describe_change_set(ChangeSetName=change_set)
        while page["Status"] not in {"CREATE_COMPLETE", "FAILED"}:
            await asyncio.sleep(self._poll_s)
            page = await client.describe_change_set(ChangeSetName=change_set)
        if page["Status"] == "FAILED":
            reason = page.get("StatusReason", "")
            if any(text in reason for text in _NO_CHANGE):
                return []
            raise DeployFailed(f"the stack {self.name} can't be changed so: {reason}")
        while True:
            for entry in page.get("Changes", ()):
                change = entry["ResourceChange"]
                found.append(
                    Change(
                        change["Action"],
                        change["ResourceType"],
                        change["LogicalResourceId"],
                        change.get("Replacement", ""),
                    )
                )
            if not page.get("NextToken"):
                return found
            page = await client.describe_change_set(ChangeSetName=change_set, NextToken=page["NextToken"])

    async def _request(self, template: Json, parameters: Mapping[str, str], staging: Staging) -> Json:
        body = json.dumps(template, separators=(",", ":"), ensure_ascii=False)
        if len(body.encode()) <= _BODY_BYTES:
            place = {"TemplateBody": body}
        else:
            place = {"TemplateURL": await staging(body.encode())}
        return {
            **place,
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value}
                for key, value in parameters.items()
                if key in template.get("Parameters", {})
            ],
            # The roles have no names of their own, so that this is all that has to be acknowledged.
            "Capabilities": ["CAPABILITY_IAM"],
        }

    async def _described(self, name: str) -> dict[str, Any] | None:
        client = await self._clients.client("cloudformation")
        with translated(f"asking for the stack {name}"):
            try:
                answer = await client.describe_stacks(StackName=name)
            except client.exceptions.ClientError as error:
                if code_of(error) == "ValidationError" and _says(error, ["does not exist"]):
                    return None
                raise
        found: dict[str, Any] = answer["Stacks"][0]
        return None if found["StackStatus"] == "DELETE_COMPLETE" and name == self.name else found

    async def _wait(self, stack_id: str, token: str) -> None:
        told: set[str] = set()
        failure: StackEvent | None = None
        while True:
            described = await self._described(stack_id)
            status = "DELETE_COMPLETE" if described is None else str(described["StackStatus"])
            for id_, event in await self._events(stack_id, token):
                if id_ in told:
                    continue
                told.add(id_)
                self._tell(event)
                cancelled = "cancelled" in event.reason.lower()
                if failure is None and event.status.endswith("_FAILED") and not cancelled:
                    failure = event
            if not status.endswith("_IN_PROGRESS"):
                break
            await asyncio.sleep(self._poll_s)
        if status in _DONE:
            return
        if failure is not None:
            raise DeployFailed(
                f"{failure.resource} ({failure.kind}) failed: {failure.reason or failure.status}"
            )
        reason = described.get("StackStatusReason", "") if described else ""
        raise DeployFailed(f"the stack {self.name} ended as {status}: {reason}".rstrip(": "))

    async def _events(self, stack_id: str, token: str) -> list[tuple[str, StackEvent]]:
        """The events of one operation, oldest first. They come newest first, those of others behind them."""
        client = await self._clients.client("cloudformation")
        found = []
        with translated(f"asking how the stack {self.name} does"):
            async for page in client.get_paginator("describe_stack_events").paginate(StackName=stack_id):
                mine = [entry for entry in page["StackEvents"] if entry.get("ClientRequestToken") == token]
                found += mine
                if len(mine) < len(page["StackEvents"]):
                    break
        return [
            (
                entry["EventId"],
                StackEvent(
                    entry["Timestamp"].strftime("%H:%M:%S"),
                    entry["ResourceStatus"],
                    entry["ResourceType"],
                    entry["LogicalResourceId"],
                    entry.get("ResourceStatusReason", ""),
                ),
            )
            for entry in reversed(found)
        ]


def _says(error: Exception, texts: Sequence[str]) -> bool:
    return any(text in str(error) for text in texts)
