"""Both engines."""

import pytest

from crewmix.chat import autogen_chat, native


@pytest.fixture(params=[native.converse, autogen_chat.converse], ids=["native", "autogen"])
def engine(request):
    return request.param
