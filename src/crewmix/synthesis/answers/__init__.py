"""Closed answers in drafts: where they stand, and which are the same."""
