"""The engine on Redis: queue, state and objects on one server, and commits that are one script there."""

from __future__ import annotations

from typing import Self

from airless.core.clock import Clock, SystemClock
from airless.core.ports import Commit
from airless.core.secrets import EnvironmentSecrets
from airless.core.steps import Outbox, SteppedEngine, wrap
from airless.engines.redis.checks import check
from airless.engines.redis.committing import Committing
from airless.engines.redis.objects import RedisObjects
from airless.engines.redis.options import RedisOptions
from airless.engines.redis.queue import RedisQueue
from airless.engines.redis.server import Server
from airless.engines.redis.state import RedisState
