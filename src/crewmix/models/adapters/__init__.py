"""The gateway behind the model interfaces of crewAI and AutoGen."""
