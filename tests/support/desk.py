"""A desk at which the offline model works as a crew does: real documents, the real tools, no engine around it."""

import asyncio
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from crewmix.knowledge.index import Index
from crewmix.models.offline.extractive import OfflineModel
from crewmix.models.types import Brief, ChatMessage, ModelReply, ModelRequest
from crewmix.tools.base import Tool, ToolContext


@dataclass
class Desk:
    """Asks the offline model for turns, plans and merges."""

    project: Path
    index: Index
    tools: dict[str, Tool]
    model: OfflineModel = field(default_factory=OfflineModel)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def complete(self, brief: Brief, messages: tuple[ChatMessage, ...] = (), **fields: Any) -> ModelReply:
        return asyncio.run(self.model.complete(ModelRequest("m", messages, brief=brief, **fields)))

    def speak(self, question: str, *tools: str, **brief: Any) -> str:
        """A turn with as many tool calls as the model wants."""
        said = [ChatMessage("user", question)]
        filled = Brief(purpose="speak", role=brief.pop("role", "researcher"), question=question, goal=question, **brief)
        context = ToolContext(scope=cast("Any", None), project=self.project, index=self.index)
        for _ in range(6):
            reply = self.complete(filled, tuple(said), tools=tuple(self.tools[name].spec for name in tools))
            if not reply.tool_calls:
                return reply.text
            said.append(ChatMessage("assistant", reply.text, reply.tool_calls))
            for call in reply.tool_calls:
                arguments = json.loads(call.arguments)
                self.asked.append(arguments)
                tool = self.tools[call.name]
                result = tool(**arguments, context=context) if call.name == "knowledge_search" else tool(**arguments)
                said.append(ChatMessage("tool", getattr(result, "text", result), tool_call_id=call.id, name=call.name))
        raise AssertionError("the model never stops calling tools")

    def research(self, question: str, **brief: Any) -> str:
        return self.speak(question, "knowledge_search", **brief)

    def merge(self, question: str, *drafts: str, **brief: Any) -> str:
        return self.complete(Brief(purpose="synthesize", goal=question, question=question, drafts=drafts, **brief)).text

    def at(self, folder: Path) -> "Desk":
        """The same desk with other documents."""
        return replace(self, project=folder, index=Index.open([folder], folder, None), asked=[])

    def at_same_place(self) -> "Desk":
        """The same desk with an empty list of calls."""
        return replace(self, asked=[])
