"""One file per kind of provider: one attempt at one call, no retries, no accounting."""
