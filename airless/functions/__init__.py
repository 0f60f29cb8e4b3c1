"""Hosts that are called: a cloud's event in, an invocation, the cloud's answer out."""
