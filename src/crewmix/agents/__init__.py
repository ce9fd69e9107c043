"""A role at work."""
