"""Putting a project into a cloud: its package, its template, and the stack made of them."""
