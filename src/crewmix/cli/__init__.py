"""The command `crewmix`: thin, and quick to start; what a command needs is imported when it runs."""

from crewmix.cli.app import main

__all__ = ["main"]
