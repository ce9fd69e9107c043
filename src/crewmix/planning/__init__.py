"""A goal becomes a graph of tasks; what that will cost."""
