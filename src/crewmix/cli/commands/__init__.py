"""The commands, a few to a file."""
