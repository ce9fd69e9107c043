"""Which driver serves a profile. Each is imported only when it is needed."""

from __future__ import annotations

from crewmix.models.profile import Profile
from crewmix.models.types import Model


def driver_for(profile: Profile) -> Model:
    """A new driver for a model that is not itself a Python object."""
    if profile.provider == "offline":
        from crewmix.models.offline.extractive import OfflineModel

        return OfflineModel()
    if profile.protocol == "messages":
        from crewmix.models.drivers.anthropic import AnthropicDriver

        return AnthropicDriver(profile)
    if profile.protocol == "litellm":
        from crewmix.models.drivers.litellm import LiteLLMDriver

        return LiteLLMDriver(profile)
    from crewmix.models.drivers.openai import OpenAIDriver

    return OpenAIDriver(profile)
