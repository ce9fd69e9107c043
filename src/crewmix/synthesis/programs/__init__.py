"""Programs and tests are run against each other in the sandbox."""
