"""Loaded before all tests."""

import pytest
from hypothesis import strategies


@pytest.fixture(scope="session", autouse=True)
def regular_expressions_are_loaded() -> None:
    """hypothesis loads, and pytest rewrites, a part of itself at first use.

    CPython 3.11 may fail to parse a file while another thread parses one, as a crew does that is loaded in the background.
    """
    strategies.from_regex("a").validate()
