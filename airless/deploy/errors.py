"""What goes wrong while something is deployed."""

from __future__ import annotations

from airless.core.errors import AirlessError


class DeployFailed(AirlessError):
    """A package that can't be built, or a stack that didn't come to be what it was to become."""
