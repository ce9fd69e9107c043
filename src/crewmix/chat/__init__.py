"""Patterns: who speaks next, what they see, when it ends. On an AutoGen group chat."""
