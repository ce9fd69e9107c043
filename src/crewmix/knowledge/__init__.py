"""Documents: load, chunk, index, search, cite."""
