"""A model reads the drafts and writes the answer."""
