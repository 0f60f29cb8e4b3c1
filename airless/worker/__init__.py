"""Hosts that stay: processes that take crawls and operators' messages from a broker until they are told to stop."""
