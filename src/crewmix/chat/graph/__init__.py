"""Nodes, the ways between them, and the conditions on the ways."""
