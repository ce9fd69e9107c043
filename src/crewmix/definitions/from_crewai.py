"""crewAI's `agents.yaml` and `tasks.yaml` -> roles and a crew with a fixed plan, and a list of what could not be kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from crewmix.definitions.explain import validate
from crewmix.definitions.nodes import Node, SourceFile
from crewmix.definitions.placeholders import placeholders
from crewmix.definitions.project import YAML_SUFFIXES, Project
from crewmix.definitions.spec import Role, Task
from crewmix.definitions.spec_base import Spec, slug
from crewmix.definitions.tool_names import entry_point_tools, sanitize_tool_name
from crewmix.definitions.write import header, write_project, yaml_text
from crewmix.definitions.yaml_tree import read_yaml
from crewmix.errors import DefinitionError, NotFoundError, Problem

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_\-]*)\}")
"""What crewAI fills in; ours has no hyphen."""

_REASONS = {
    "verbose": "what is shown is decided at the start (`crewmix run -v`)",
    "allow_delegation": "roles talk in the task's chat instead of delegating",
    "memory": "roles of a run share the chat; there is no memory between runs",
    "cache": "caching is a setting of the model: `models: {default: {model: …, cache: true}}`",
    "max_rpm": "a rate limit is a setting of the model: `models: {default: {model: …, rpm: …}}`",
    "max_execution_time": "write `budget: {seconds: …}` into the role",
    "human_input": "put a role with `actor: human` into the crew",
    "async_execution": "tasks that do not need each other run at the same time anyway",
    "guardrail": "write a rule in words under `guardrails` of the role",
    "guardrails": "write rules in words under `guardrails` of the role",
    "output_json": "answers are text; describe the shape in `expected_output`",
    "output_pydantic": "answers are text; describe the shape in `expected_output`",
    "knowledge_sources": "name folders under `knowledge` of the crew",
    "allow_code_execution": "crewAI has taken code execution out itself",
}
_HARMLESS: dict[str, Any] = {
    "allow_delegation": False,
    "verbose": False,
    "async_execution": False,
    "human_input": False,
}


@dataclass(frozen=True)
class ConversionReport:
    """What a conversion wrote and what it lost."""

    crew: str
    """The new crew's name."""
    written: tuple[Path, ...]
    losses: tuple[Problem, ...]
    """What could not be carried over: where it stood, what it was and why."""

    def __str__(self) -> str:
        lines = [f"wrote {path}" for path in self.written]
        lines += [f"not carried over: {loss}" for loss in self.losses]
        return "\n".join(lines)


def convert(folder: Path, target: Path) -> ConversionReport:
    """Turn a crewAI project's YAML into a crewmix project.

    Args:
        folder: Where `agents.yaml` and `tasks.yaml` lie: the folder itself, its `config/`, or `src/NAME/config/`.
        target: The project to write `roles/` and `crews/` into.

    Returns:
        The files written, which pass `check_project`, and everything that was lost.

    Raises:
        NotFoundError: No `agents.yaml` or no `tasks.yaml`.
        DefinitionError: The files are broken, or an agent or task lacks what crewAI demands as well.
        UsageError: A file to be written exists already.
    """
    config = _config_folder(folder)
    agents, agent_problems = read_yaml(_yaml_file(config, "agents"))
    tasks, task_problems = read_yaml(_yaml_file(config, "tasks"))
    if agents is not None and not agents.fields:
        agent_problems.append(agents.problem("empty", "the file names no agent"))
    if agents is None or tasks is None or agent_problems or task_problems:
        raise DefinitionError([*agent_problems, *task_problems])
    converter = _Converter(Project(target.resolve()))
    roles = converter.convert_all(agents, Role, converter.role)
    works = converter.convert_all(tasks, Task, converter.task)
    if converter.fatal:
        raise DefinitionError(converter.fatal)
    name = slug(folder.resolve().name if config == folder else _project_name(config))
    crew: dict[str, Any] = {
        "description": f"Converted from the crewAI project {folder.resolve().name}.",
        "roles": [role["name"] for role in roles],
        "models": {"default": "auto"},
        "inputs": dict.fromkeys(sorted(converter.inputs)),
        "tasks": works,
    }
    files = {f"roles/{role.pop('name')}.yaml": header("role") + yaml_text(role) for role in roles}
    kept = {key: value for key, value in crew.items() if value}
    written = write_project(target, {**files, f"crews/{name}.yaml": header("crew") + yaml_text(kept)})
    return ConversionReport(name, tuple(written), (*converter.losses, *_code_losses(config)))


@dataclass
class _Converter:
    project: Project
    losses: list[Problem] = field(default_factory=list[Problem])
    fatal: list[Problem] = field(default_factory=list[Problem])
    inputs: set[str] = field(default_factory=set[str])
    _names: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    """New names by old ones, by model."""
    _known_tools: Collection[str] | None = None

    def convert_all(
        self, top: Node, kind: type[Role] | type[Task], one: Callable[[Node, int], dict[str, Node]]
    ) -> list[dict[str, Any]]:
        """Every entry of a file as plain data that our own model accepts."""
        names = self._names.setdefault(kind.__name__, {})
        for old, node in top.fields.items():
            new = slug(old) if slug(old) not in names.values() else slug(f"{old}_{len(names) + 1}")
            if old != new:
                self._lose(node, f"the name `{old}` became `{new}`", on_key=True)
            names[old] = new
        done: list[dict[str, Any]] = []
        for old, node in top.fields.items():
            if not node.fields:
                self.fatal.append(node.problem("wrong_type", f"`{old}` must be a mapping", on_key=True))
                continue
            fields = {"name" if kind is Role else "id": Node(names[old], node.source), **one(node, len(done))}
            done.append(self._accepted(kind, Node(fields, node.source, node.line, node.column, node.key)))
        return done

    def role(self, agent: Node, place: int) -> dict[str, Node]:
        """Turn a crewAI agent into the fields of a role."""
        fields: dict[str, Node] = {}
        for key, node in agent.fields.items():
            if key in {"role", "goal", "backstory"}:
                fields[key] = self._text(node)
            elif key == "llm":
                fields |= self._llm(node)
            elif key == "tools":
                fields[key] = Node(self._tools(node), node.source, node.line, node.column, node.key)
            elif key in {"max_iter", "temperature"}:
                fields[key] = node
            elif key == "max_tokens":
                fields["max_output_tokens"] = node
            else:
                self._drop(key, node)
        return fields

    def task(self, task: Node, place: int) -> dict[str, Node]:
        """Turn a crewAI task into the fields of a task; without `context` it sees all tasks before it, as in crewAI."""
        fields: dict[str, Node] = {}
        for key, node in task.fields.items():
            if key in {"description", "expected_output"}:
                fields[key] = self._text(node)
            elif key == "agent":
                fields["roles"] = self._references([node], "Role", node)
            elif key == "context":
                fields["needs"] = self._references(node.items, "Task", node)
            elif key == "output_file":
                fields |= self._output_file(node)
            elif key != "name":
                self._drop(key, node)
        earlier = list(self._names["Task"].values())[:place]
        if "context" not in task.fields and earlier:
            fields["needs"] = Node([Node(name, task.source) for name in earlier], task.source)
        return fields

    def _accepted(self, kind: type[Spec], node: Node) -> dict[str, Any]:
        """The fields our model accepts; what it refuses is lost, what is missing is fatal."""
        _, kept, problems = validate(kind, node)
        for problem in problems:
            (self.fatal if problem.code == "missing_key" else self.losses).append(problem)
        return {key: value for key, value in kept.plain().items() if value != []}

    def _text(self, node: Node) -> Node:
        if node.text is None:
            return node
        for name in dict.fromkeys(_PLACEHOLDER.findall(node.text)):
            if "-" in name:
                self._lose(node, f"the placeholder `{{{name}}}` became `{{{name.replace('-', '_')}}}`")
        text = _PLACEHOLDER.sub(lambda match: f"{{{match.group(1).replace('-', '_')}}}", node.text.strip())
        self.inputs |= {name for name in placeholders(text) if name != "goal"}
        return Node(text, node.source, node.line, node.column, node.key)

    def _llm(self, node: Node) -> dict[str, Node]:
        if node.fields:
            fields = self._llm(node.fields["model"]) if "model" in node.fields else {}
            names = {"temperature": "temperature", "max_tokens": "max_output_tokens"}
            for key, value in node.fields.items():
                if key in names:
                    fields[names[key]] = value
                elif key != "model":
                    self._lose(value, f"`llm.{key}`: write it into the crew's `models`", on_key=True)
            return fields
        if node.text and "/" not in node.text:
            self._lose(
                node, f"`llm: {node.text}` names no provider; it became `openai/{node.text}`, as crewAI reads it"
            )
            return {"llm": Node(f"openai/{node.text}", node.source, node.line, node.column, node.key)}
        return {"llm": node}

    def _tools(self, node: Node) -> list[Node]:
        if self._known_tools is None:
            self._known_tools = {*self.project.names("tools"), *entry_point_tools()}
        kept: list[Node] = []
        for tool in node.items:
            if tool.text and sanitize_tool_name(tool.text) in self._known_tools:
                kept.append(tool)
            else:
                self._lose(
                    tool, f"the tool {tool.plain()!r} is not known here; write it into `tools/` and name it again"
                )
        return kept

    def _references(self, nodes: list[Node], kind: str, whole: Node) -> Node:
        names = self._names.get(kind, {})
        found: list[Node] = []
        for node in nodes:
            if node.text in names:
                found.append(Node(names[node.text], node.source, node.line, node.column))
            else:
                what = "agent" if kind == "Role" else "task"
                self._lose(node, f"there is no {what} {node.plain()!r}")
        return Node(list(found), whole.source, whole.line, whole.column, whole.key)

    def _output_file(self, node: Node) -> dict[str, Node]:
        path = PurePosixPath(node.text or "")
        if not node.text or path.is_absolute() or ".." in path.parts:
            self._lose(node, "`output_file` must lie inside the project")
            return {}
        return {"output_file": Node(str(path), node.source, node.line, node.column, node.key)}

    def _drop(self, key: str, node: Node) -> None:
        if key not in _HARMLESS or node.value != _HARMLESS[key]:
            reason = _REASONS.get(key, "there is no such setting here")
            self._lose(node, f"`{key}`: {reason}", on_key=True)

    def _lose(self, node: Node, message: str, *, on_key: bool = False) -> None:
        self.losses.append(node.problem("not_carried_over", message, on_key=on_key))


def _config_folder(folder: Path) -> Path:
    for config in (folder, folder / "config", *sorted(folder.glob("src/*/config"))):
        if any((config / f"agents{suffix}").is_file() for suffix in YAML_SUFFIXES):
            return config
    raise NotFoundError(
        f"there is no agents.yaml in {folder}", hint="name the folder of a crewAI project or its `config/`"
    )


def _yaml_file(config: Path, stem: str) -> Path:
    for suffix in YAML_SUFFIXES:
        if (config / f"{stem}{suffix}").is_file():
            return config / f"{stem}{suffix}"
    raise NotFoundError(f"there is no {stem}.yaml in {config}")


def _project_name(config: Path) -> str:
    return config.resolve().parent.name


def _code_losses(config: Path) -> list[Problem]:
    code = config.resolve().parent / "crew.py"
    if not code.is_file():
        return []
    message = "Python code is not read: its process, tools, memory and callbacks must be written anew"
    return [SourceFile(str(code)).problem("not_carried_over", message)]
