"""A crew of more than sixty effects of every kind, whose words are drawn from what it is asked, and a bill of what it did.

Planner, three tasks, picked speakers; a crewAI role with a reading and a writing tool that asks for consent, a role worked by a
layered crew, a person; judged drafts, a final synthesis. Equal requests get equal answers, in every process, so whatever a
resumed run asks differently shows in its output.
"""

import asyncio
import hashlib
import json
import os
from collections import Counter
from pathlib import Path

from crewmix import Crew, Role, tool
from crewmix.models.types import ModelReply, ToolCall, Usage

PAIR = """\
roles:
  - {name: left, role: Left, goal: Say what speaks for it.}
  - {name: right, role: Right, goal: Say what speaks against it.}
plan: none
chat: {pattern: layers, layers: 3, proposers: [left, right]}
"""
TASKS = [
    {"id": "costs", "description": "What does it cost?", "roles": ["clerk", "pair"], "needs": []},
    {"id": "people", "description": "Who wants it?", "roles": ["clerk", "guest", "thinker"], "needs": []},
    {"id": "verdict", "description": "Is it worth it?", "roles": ["clerk", "thinker"], "needs": ["costs", "people"]},
]


class Bill:
    """What was done, by all processes together: a file to which each line is one write, so a killed process loses none."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, *words: object) -> None:
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{' '.join(map(str, words))}\n".encode())
        os.close(file)

    def count(self) -> Counter[str]:
        """How often what was asked for: `model <digest>`, `tool <arguments>`, `human <digest>`, `approval <arguments>`."""
        return Counter(line for line in self._lines() if not line.startswith("answered "))

    def tokens(self) -> int:
        """What the provider counted for all requests, also for those whose answer never arrived."""
        return sum(int(line.split()[1]) for line in self._lines() if line.startswith("answered "))

    def _lines(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []


def digest(*parts: object) -> str:
    return hashlib.sha1(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]


class Words:
    """A model whose answers are drawn from the request. Counts before it thinks: whoever asked has to pay."""

    def __init__(self, bill: Bill, seconds: float = 0.0) -> None:
        self.bill = bill
        self.seconds = seconds

    async def complete(self, request, on_delta=None):
        key = digest({**request.identity(), "tools": [], "messages": [m.content for m in request.messages]})
        reply = _answer(request, key)
        used = len(str(request.messages)) // 4 + len(reply.text) // 4 + 1
        self.bill.note("model", key)
        self.bill.note("answered", used)
        await asyncio.sleep(self.seconds * int(key[:2], 16) / 255)
        return ModelReply(reply.text, tool_calls=reply.tool_calls, usage=Usage(used - 1, 1))


def _answer(request, key):
    brief = request.brief
    match brief.purpose:
        case "plan":
            return ModelReply(json.dumps({"tasks": [{**task, "expected_output": ""} for task in TASKS]}))
        case "select":
            members = [name for name in brief.candidates if name != "end"]
            return ModelReply(json.dumps({"speaker": members[(brief.round - 1) % len(members)], "reason": key}))
        case "judge":
            marks = [{"criterion": c, "score": 1 + int(digest(key, c)[:4], 16) % 10} for c in brief.criteria]
            return ModelReply(json.dumps({"scores": marks, "reason": f"Because of {key}."}))
    done = sum(message.role == "tool" for message in request.messages)
    if request.tools and done < 2:
        name = "look" if done == 0 else "note"
        return ModelReply("", tool_calls=(ToolCall(f"c{done}", name, json.dumps({"text": key})),))
    return ModelReply(f"{brief.role or brief.purpose} says {key}.")


def write_project(folder: Path) -> Path:
    """The files of the crew's project."""
    (folder / "crews").mkdir(parents=True)
    (folder / "crews" / "pair.yaml").write_text(PAIR)
    return folder


def make_crew(
    folder: Path, *, bill: Bill | None = None, model: object = None, seconds: float = 0.0, budget: dict | None = None
) -> tuple[Crew, dict]:
    """The crew, working in `folder`, and how it reaches people.

    Args:
        folder: The project's folder.
        bill: Where it is noted what was done; None = beside the project's files.
        model: The model; None = `Words`.
        seconds: The longest time a call takes.
        budget: The run's budget.
    """
    bill = bill or Bill(folder / "bill.txt")

    @tool
    def look(text: str) -> str:
        """Look something up."""
        bill.note("tool", "look", text)
        return f"found {digest(text)}"

    @tool(risk="write")
    def note(text: str) -> str:
        """Write something down."""
        bill.note("tool", "note", text)
        return f"wrote {digest(text)}"

    async def ask(question):
        key = digest(question.text)
        bill.note("human", key)
        return f"I would say {key}."

    async def approve(context, tool, arguments):
        bill.note("approval", tool.name, arguments["text"])
        return True

    roles = [
        Role(name="clerk", role="Clerk", goal="Look it up and write it down.", tools=("look", "note")),
        Role(name="pair", role="Pair", goal="Weigh it.", crew="pair"),
        Role(name="guest", role="Guest", goal="Say what you want.", actor="human"),
        Role(name="thinker", role="Thinker", goal="Draw conclusions."),
    ]
    crew = Crew(
        name="house",
        roles=roles,
        plan={"max_tasks": 3},
        chat={"pattern": "selector", "max_turns": 3, "select": {"allow_repeat": True}},
        synthesis={"method": "judge", "rankings": 2},
        models={"default": model or Words(bill, seconds)},
        tools=[look, note],
        budget=budget,
        project=folder,
    )
    return crew, {"ask": ask, "approve": approve}


def told(result) -> dict:
    """Everything in a result that must not depend on how often the run was killed."""
    tasks = [
        {
            "id": t.id,
            "output": t.output,
            "status": t.status,
            "drafts": [(d.role, d.text) for d in t.drafts],
            "messages": [(m.role, m.round, m.text, m.failure) for m in t.messages],
            "dissent": list(t.dissent),
        }
        for t in result.tasks
    ]
    return json.loads(json.dumps({"output": result.output, "status": result.status, "tasks": tasks}))
