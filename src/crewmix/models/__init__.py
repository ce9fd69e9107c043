"""The one door to every language model."""
