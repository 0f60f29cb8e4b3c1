"""The error operator: what was given up lands where it can be queried, and people are told."""

from __future__ import annotations

import re
from typing import Any

from airless.core.failure import utc_text
from airless.operators.context import current
from airless.operators.event import EventOperator
from airless.operators.landing import landing_name, landing_row

_NOTICE_CHARS = 4_000
_ISO_8601 = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]+(Z|[+-]\d\d:?\d\d)?")


class ErrorOperator(EventOperator):
    """Runs on the error topic: lands each report as a row, and publishes a notice by email and to Slack.

    Notices go to the topics that QUEUE_TOPIC_EMAIL_SEND and QUEUE_TOPIC_SLACK_SEND name, where recipients or
    channels are configured too. A report about one of those topics is landed only: telling of it could fail
    the same way.
    """

    async def execute(self, data: dict[str, Any], topic: str) -> None:
        config = self.config
        origin = str(data.get("origin") or topic)
        created_at = str(data.get("created_at"))
        if not _ISO_8601.fullmatch(created_at):
            created_at = utc_text(current().clock.now())
        metadata = data.get("metadata")
        row = landing_row(
            self.message_id,
            origin,
            {key: value for key, value in data.items() if key != "metadata"},
            created_at=created_at,
            metadata=metadata if isinstance(metadata, dict) else {},
        )
        name = landing_name(
            config.error_dataset, config.error_table, created_at=created_at, event_id=self.message_id
        )
        self.put(name, row)
        noticed = {config.topic(t) for t in (config.email_topic, config.slack_topic) if t}
        if config.topic(origin) not in noticed | {config.topic(config.error_topic)}:
            self._notify(data, origin)

    def _notify(self, data: dict[str, Any], origin: str) -> None:
        config = self.config
        subject = f"{origin} | {data.get('event_id', self.message_id)}"
        text = str(data.get("error", ""))
        text = text if len(text) <= _NOTICE_CHARS else f"{text[:_NOTICE_CHARS]}…"
        if config.email_topic and config.email_recipients:
            email: dict[str, Any] = {
                "subject": subject,
                "content": text,
                "recipients": list(config.email_recipients),
                "sender": config.email_sender,
            }
            self.publish(config.email_topic, email)
        if config.slack_topic and config.slack_channels:
            self.publish(
                config.slack_topic, {"channels": list(config.slack_channels), "message": f"{subject}\n{text}"}
            )
