"""A crew and everything it names, put together from its files."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from crewmix.definitions.check import check_crew
from crewmix.definitions.check_models import model_uses
from crewmix.definitions.check_settings import check_task
from crewmix.definitions.definition import CrewDefinition, missing_inputs
from crewmix.definitions.explain import validate
from crewmix.definitions.names import nearest
from crewmix.definitions.nodes import Node, SourceFile
from crewmix.definitions.parts import Member, Parts, Work
from crewmix.definitions.placeholders import expand_env, variables
from crewmix.definitions.project import Project, shown
from crewmix.definitions.reader import Reader
from crewmix.definitions.spec import CrewSpec, ModelSpec, Role, Task
from crewmix.definitions.spec_base import Spec
from crewmix.definitions.tool_names import ToolSource, entry_point_tools, find_tools, sanitize_tool_name
from crewmix.errors import Problem

Models = Mapping[str, str | ModelSpec]
S = TypeVar("S", bound=Spec)


class Loader:
    """Puts crews together from what one reader reads.

    Args:
        project: Where names are looked for.
        extra_tools: Names of tools that are given in Python.
        environ: Where `${NAME}` is looked up.
        models: Models that replace those of the same names in every crew.
    """

    def __init__(
        self, project: Project, extra_tools: Collection[str], environ: Mapping[str, str], models: Models | None = None
    ) -> None:
        self.project = project
        self.environ = environ
        self.reader = Reader(project)
        self.models = {name: _full(model) for name, model in (models or {}).items()}
        self.known_models: set[str] = set()
        """Names of models in all crews so far."""
        self._crews: dict[Path, CrewDefinition | None] = {}
        self._open: list[Path] = []
        """The crews that are being put together, each within the one before."""
        self._extra_tools = {sanitize_tool_name(name) for name in extra_tools}
        self._tools: dict[Path, tuple[dict[str, ToolSource], list[Problem]]] = {}
        self._roles: dict[Path, tuple[Role | None, Node]] = {}
        self._tasks: dict[Path, tuple[Task | None, Node]] = {}

    def role(self, path: Path) -> tuple[Role | None, Node]:
        """The role in a file, checked by itself, and where it is written."""
        if path not in self._roles:
            role, node = self._validated(Role, self.reader.read("roles", path))
            self._roles[path] = (role and self._with_tools(role, node), node)
        return self._roles[path]

    def task(self, path: Path) -> tuple[Task | None, Node]:
        """The task in a file, checked by itself, and where it is written."""
        if path not in self._tasks:
            task, node = self._validated(Task, self.reader.read("tasks", path))
            self._tasks[path] = (task, node)
            self.reader.add(check_task(task, node) if task else ())
        return self._tasks[path]

    def tools(self, root: Path) -> tuple[dict[str, ToolSource], list[Problem]]:
        """The tools of one folder's `tools/`, and what is wrong with its files."""
        if root not in self._tools:
            self._tools[root] = find_tools(root / "tools")
        return self._tools[root]

    def crew_file(self, path: Path) -> CrewDefinition | None:
        """The crew in a file; None, or incomplete, when there are problems."""
        if path not in self._crews:
            self._open.append(path)
            self._crews[path] = self.crew(self.reader.read("crews", path), path)
            self._open.pop()
        return self._crews[path]

    def crew(self, node: Node | None, path: Path | None) -> CrewDefinition | None:
        """The crew that a tree describes; None, or incomplete, when there are problems."""
        if node is None:
            return None
        spec, node = self._validated(CrewSpec, self.reader.with_inline_roles(node, path))
        if spec is None:
            self._visit_named(node)
            return None
        roles = [self._member(entry, node.at("roles", place), team=True) for place, entry in enumerate(spec.roles)]
        planner = self._member(spec.planner, node.at("planner"))
        synthesizer = self._member(spec.synthesizer, node.at("synthesizer"))
        judge = self._member(spec.judge, node.at("judge"))
        tasks = [self._work(place, entry, node.at("tasks", place)) for place, entry in enumerate(spec.tasks)]
        members = tuple(filter(None, roles))
        crews = {member.role.crew: self._team(member) for member in members if member.role.crew}
        parts = Parts(
            spec,
            node,
            roles=members,
            others=tuple(filter(None, (planner, synthesizer, judge))),
            tasks=tuple(filter(None, tasks)),
            models={name: _full(model) for name, model in spec.models.items()},
            given=frozenset(self.models),
            root=self.project.root,
            complete=all(roles) and all(tasks) and all(node.at(f).size for f in ("roles", "tasks") if f in node.fields),
        )
        named = self._named_models(parts)
        self.known_models |= named.keys()
        parts = replace(parts, models={**parts.models, **{n: m for n, m in self.models.items() if n in named}})
        self.reader.add(check_crew(parts, self.environ))
        knowledge = tuple(self._knowledge(spec.knowledge, node))
        if planner is None or synthesizer is None or judge is None:
            return None
        return CrewDefinition(
            name=spec.name,
            description=spec.description,
            path=path,
            root=self.project.root,
            roles=tuple(member.role for member in parts.roles),
            planner=planner.role,
            synthesizer=synthesizer.role,
            judge=judge.role,
            plan=None if spec.plan == "none" or spec.tasks else spec.plan,
            tasks=tuple(work.task for work in parts.tasks),
            chat=spec.chat,
            synthesis=spec.synthesis,
            models={name: parts.models.get(name) or ModelSpec(model=name) for name in named},
            knowledge=knowledge,
            inputs=dict(spec.inputs),
            budget=spec.budget,
            on_task_failure=spec.on_task_failure,
            review=spec.review,
            approve=spec.approve,
            crews={name: crew for name, crew in crews.items() if crew is not None},
            files=tuple(self.reader.files),
        )

    def _named_models(self, parts: Parts) -> dict[str, None]:
        """The models the crew has or names, and those that the ones given at the start lead to."""
        known = {**parts.models, **self.models}
        found: dict[str, None] = {}
        waiting = deque([*parts.spec.models, *(name for name, _ in model_uses(replace(parts, models={})))])
        while waiting:
            name = waiting.popleft()
            if name in known and name not in found:
                waiting += known[name].fallback
                waiting += [known[name].model] if known[name].model in known else []
            found[name] = None
        return found

    def _team(self, member: Member) -> CrewDefinition | None:
        """The crew that works a role; None when there is a problem, which is told at the role or in that crew's files."""
        name, where = member.role.crew or "", member.node.at("crew")
        path = self.project.locate("crews", name)
        if path is None:
            hint = nearest(name, self.project.names("crews"))
            self.reader.add([where.problem("unknown_crew", f"there is no crew `{name}`", hint=hint)])
            return None
        if path in self._open:
            circle = [step.stem for step in (*self._open[self._open.index(path) :], path)]
            message = f"a crew cannot work within itself: {' -> '.join(circle)}"
            self.reader.add([where.problem("crew_cycle", message)])
            return None
        crew = self.crew_file(path)
        missing = missing_inputs(crew, ()) if crew else ()
        if missing:
            message = (
                f"nobody could give the crew `{name}` its input `{missing[0]}`: as a role it is told its goal only"
            )
            hint = f"give `{missing[0]}` a default in {shown(path)}"
            self.reader.add([where.problem("senseless", message, hint=hint)])
        return crew

    def _validated(self, kind: type[S], node: Node | None) -> tuple[S | None, Node]:
        if node is None:
            return None, Node(None, SourceFile(""))
        spec, node, problems = validate(kind, node)
        self.reader.add(problems)
        return spec, node

    def _member(self, entry: str | Role, where: Node, *, team: bool = False) -> Member | None:
        """A role of the crew; `team`: a name that is no role may be a crew's."""
        if isinstance(entry, Role):
            return Member(self._with_tools(entry, where), where, where)
        path = self.project.locate("roles", entry)
        if path is None and team and self.project.locate("crews", entry):
            return Member(self._as_role(entry), where, where)
        if path is None:
            hint = nearest(entry, {*self.project.names("roles"), *(self.project.names("crews") if team else ())})
            self.reader.add([where.problem("unknown_role", f"there is no role `{entry}`", hint=hint)])
            return None
        role, node = self.role(path)
        return role and Member(role, node, where)

    def _as_role(self, name: str) -> Role:
        path = self.project.locate("crews", name)
        node = path and self.reader.read("crews", path)
        about = node.at("description").text if node else None
        return Role(name=name, role=f"Crew {name}", goal=about or f"Do the work of the crew {name}.", crew=name)

    def _work(self, place: int, entry: str | Task, where: Node) -> Work | None:
        if isinstance(entry, Task):
            task = entry if entry.id else entry.model_copy(update={"id": f"task_{place + 1}"})
            self.reader.add(check_task(task, where))
            return Work(task, where, where)
        path = self.project.locate("tasks", entry)
        if path is None:
            hint = nearest(entry, self.project.names("tasks"))
            self.reader.add([where.problem("unknown_task", f"there is no task `{entry}`", hint=hint)])
            return None
        task, node = self.task(path)
        return task and Work(task, node, where)

    def _visit_named(self, node: Node) -> None:
        """Check the files that a broken crew names, so that their mistakes are shown with its own."""
        for where in (*node.at("roles").items, node.at("planner"), node.at("synthesizer"), node.at("judge")):
            if where.text:
                self._member(where.text, where)
        for place, where in enumerate(node.at("tasks").items):
            if where.text:
                self._work(place, where.text, where)

    def _with_tools(self, role: Role, node: Node) -> Role:
        """The role with its tools' names in the form that all engines use; unknown tools become problems."""
        if not role.tools:
            return role
        names = [sanitize_tool_name(name) for name in role.tools]
        known = self._extra_tools.union(*(self.tools(root)[0] for root in self.project.roots))
        if not known.issuperset(names):
            known.update(entry_point_tools())
        for place, name in enumerate(names):
            if name not in known:
                message, hint = f"there is no tool `{role.tools[place]}`", nearest(role.tools[place], known)
                self.reader.add([node.at("tools", place).problem("unknown_tool", message, hint=hint)])
                for root in self.project.roots:
                    self.reader.add(self.tools(root)[1])
        return role.model_copy(update={"tools": tuple(dict.fromkeys(names))})

    def _knowledge(self, entries: Iterable[str], node: Node) -> Iterable[Path]:
        for place, entry in enumerate(entries):
            where = node.at("knowledge", place)
            unset = [name for name in variables(entry) if not self.environ.get(name)]
            if unset:
                message = f"the environment variable `{unset[0]}` is not set"
                self.reader.add([where.problem("unset_variable", message)])
                continue
            path = (self.project.root / expand_env(entry, self.environ)).resolve()
            if not path.exists():
                hint = f"paths are relative to the project, {self.project.root}"
                self.reader.add([where.problem("no_such_path", f"there is no file or folder {entry!r}", hint=hint)])
            yield path


def _full(model: str | ModelSpec) -> ModelSpec:
    return ModelSpec(model=model) if isinstance(model, str) else model
