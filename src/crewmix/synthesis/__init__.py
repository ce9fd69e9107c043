"""Drafts become one answer."""
