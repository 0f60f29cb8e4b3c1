"""What the environment says, as one value. Nothing is read on import."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from airless.core.errors import ConfigError

_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Config:
    """The settings that hosts and operators share; each field's variable is named in `from_env`.

    A dry run is `dry_run` and nothing else: operators run, but what they publish and write is only logged.
    """

    env: str | None = None
    log_level: str = "INFO"
    operator_import: str | None = None
    gcp_project: str | None = None
    gcp_region: str | None = None
    landing_bucket: str | None = None
    error_topic: str = "error"
    email_topic: str | None = None
    slack_topic: str | None = None
    error_dataset: str = "airless"
    error_table: str = "error"
    email_sender: str | None = None
    email_recipients: tuple[str, ...] = ()
    slack_channels: tuple[str, ...] = ()
    secret_smtp: str | None = None
    max_hops: int = 100
    dry_run: bool = False

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Config:
        """The configuration that a mapping such as ``os.environ`` holds; an empty variable counts as not set.

        Lists are a JSON array or separated by commas. Raises ConfigError, which names the variable.
        """
        default = cls()

        def text(name: str) -> str | None:
            return environ.get(name, "").strip() or None

        return cls(
            env=text("ENV"),
            log_level=_level(text("LOG_LEVEL") or default.log_level),
            operator_import=text("OPERATOR_IMPORT"),
            gcp_project=text("GCP_PROJECT"),
            gcp_region=text("GCP_REGION"),
            landing_bucket=text("GCS_BUCKET_LANDING_ZONE"),
            error_topic=text("QUEUE_TOPIC_ERROR") or default.error_topic,
            email_topic=text("QUEUE_TOPIC_EMAIL_SEND"),
            slack_topic=text("QUEUE_TOPIC_SLACK_SEND"),
            error_dataset=_folder("ERROR_DATASET", text("ERROR_DATASET") or default.error_dataset),
            error_table=_folder("ERROR_TABLE", text("ERROR_TABLE") or default.error_table),
            email_sender=text("EMAIL_SENDER_ERROR"),
            email_recipients=_list("EMAIL_RECIPIENTS_ERROR", text("EMAIL_RECIPIENTS_ERROR")),
            slack_channels=_list("SLACK_CHANNELS_ERROR", text("SLACK_CHANNELS_ERROR")),
            secret_smtp=text("SECRET_SMTP"),
            max_hops=_count("AIRLESS_MAX_HOPS", text("AIRLESS_MAX_HOPS"), default.max_hops),
            dry_run=_switch("AIRLESS_DRY_RUN", environ.get("AIRLESS_DRY_RUN", "")),
        )

    def topic(self, name: str) -> str:
        """A topic's name on the engine: ``{env}-{name}`` where ENV is set and the name hasn't got it yet."""
        if self.env is None or name.startswith(f"{self.env}-"):
            return name
        return f"{self.env}-{name}"


def _level(value: str) -> str:
    levels = logging.getLevelNamesMapping()
    if value.upper() not in levels:
        raise ConfigError(f"LOG_LEVEL is {value!r}; it must be one of {', '.join(sorted(levels))}")
    return value.upper()


def _folder(name: str, value: str) -> str:
    if value.strip("/") != value or ".." in value.split("/"):
        raise ConfigError(
            f"{name} is {value!r}; it must be a plain name, without '/' at its ends or '..' in it"
        )
    return value


def _list(name: str, value: str | None) -> tuple[str, ...]:
    if value is None:
        return ()
    if not value.startswith("["):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    try:
        entries = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{name} starts like a JSON array but is none: {error}") from error
    if not all(isinstance(entry, str) for entry in entries):
        raise ConfigError(f"{name} must be a JSON array of strings")
    return tuple(entries)


def _count(name: str, value: str | None, default: int) -> int:
    if value is None:
        return default
    if not value.isdecimal() or int(value) < 1:
        raise ConfigError(f"{name} is {value!r}; it must be a whole number from 1 up")
    return int(value)


def _switch(name: str, value: str) -> bool:
    word = value.strip().lower()
    if word not in _YES | _NO:
        raise ConfigError(f"{name} is {value!r}; write 1 or 0")
    return word in _YES
