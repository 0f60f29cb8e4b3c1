"""Spiders that use only the public package, as a user's project would."""
