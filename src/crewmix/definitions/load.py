"""Definition files in, a checked crew out, or every mistake of all files involved at once."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from crewmix.definitions.check import check_crew
from crewmix.definitions.check_files import check_files
from crewmix.definitions.check_models import model_uses
from crewmix.definitions.check_settings import check_task
from crewmix.definitions.definition import CrewDefinition
from crewmix.definitions.explain import validate
from crewmix.definitions.names import nearest
from crewmix.definitions.nodes import Node, SourceFile, from_data
from crewmix.definitions.parts import Member, Parts, Work
from crewmix.definitions.placeholders import expand_env, variables
from crewmix.definitions.project import YAML_SUFFIXES, Project, files_of, library_root
from crewmix.definitions.reader import Reader
from crewmix.definitions.spec import CrewSpec, ModelSpec, Role, Spec, Task
from crewmix.definitions.tool_names import ToolSource, entry_point_tools, find_tools, sanitize_tool_name
from crewmix.errors import DefinitionError, NotFoundError, Problem, UsageError

Models = Mapping[str, str | ModelSpec]
S = TypeVar("S", bound=Spec)


def load_crew(
    name_or_path: str | Path,
    project: Project,
    *,
    extra_tools: Collection[str] = (),
    models: Models | None = None,
    inputs: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> CrewDefinition:
    """Read a crew and everything it names.

    Args:
        name_or_path: A crew's name, or a path to its file.
        project: Where names are looked for, before the built-in library.
        extra_tools: Names of tools that are given in Python.
        models: Models that replace or join the crew's, by name.
        inputs: Values for the crew's `inputs`.
        environ: Where `${NAME}` is looked up.

    Raises:
        NotFoundError: There is no such crew; the hint names the nearest.
        DefinitionError: Mistakes in the files, all of them.
        UsageError: A model or input is given that the crew does not know.
    """
    name = str(name_or_path)
    path = project.locate("crews", name)
    if path is None:
        hint = None if name.endswith(YAML_SUFFIXES) else nearest(name, project.names("crews"))
        raise NotFoundError(f"there is no crew {name!r}", hint=hint)
    loader = _Loader(project, extra_tools, environ)
    return loader.finish(loader.crew(loader.reader.read("crews", path), path, models, inputs))


def define_crew(
    spec: CrewSpec,
    project: Project,
    *,
    extra_tools: Collection[str] = (),
    models: Models | None = None,
    inputs: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> CrewDefinition:
    """Check a crew that was built in Python, as `load_crew` checks a file; its problems have no line."""
    loader = _Loader(project, extra_tools, environ)
    source = SourceFile(f"crew `{spec.name or 'crew'}`")
    node = from_data(spec.model_dump(mode="json", exclude_unset=True), source)
    node.fields.setdefault("name", Node(spec.name or "crew", source))
    return loader.finish(loader.crew(loader.reader.extended("crews", node, ()), None, models, inputs))


def check_project(
    project: Project,
    *,
    library: bool = False,
    extra_tools: Collection[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> list[Problem]:
    """Every mistake in every crew, role, task and tool file of a project.

    Args:
        project: The project.
        library: Whether to check the built-in library too.
        extra_tools: Names of tools that are given in Python.
        environ: Where `${NAME}` is looked up.

    Returns:
        The problems by file and line; none when all is right.
    """
    loader = _Loader(project, extra_tools, environ)
    roots = dict.fromkeys((project.root, library_root()) if library else (project.root,))
    for root in roots:
        for path in files_of(root, "crews").values():
            loader.crew(loader.reader.read("crews", path), path)
        for path in files_of(root, "roles").values():
            loader.role(path)
        for path in files_of(root, "tasks").values():
            loader.task(path)
        loader.reader.add(loader.tools(root)[1])
        loader.reader.add(check_files(root))
    return loader.reader.sorted_problems()


class _Loader:
    """Puts crews together from what one reader reads."""

    def __init__(self, project: Project, extra_tools: Collection[str], environ: Mapping[str, str]) -> None:
        self.project = project
        self.environ = environ
        self.reader = Reader(project)
        self._extra_tools = {sanitize_tool_name(name) for name in extra_tools}
        self._tools: dict[Path, tuple[dict[str, ToolSource], list[Problem]]] = {}
        self._roles: dict[Path, tuple[Role | None, Node]] = {}
        self._tasks: dict[Path, tuple[Task | None, Node]] = {}

    def finish(self, definition: CrewDefinition | None) -> CrewDefinition:
        """The definition, unless there is a problem."""
        problems = self.reader.sorted_problems()
        if problems or definition is None:
            raise DefinitionError(problems)
        return definition

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

    def crew(
        self,
        node: Node | None,
        path: Path | None,
        models: Models | None = None,
        inputs: Mapping[str, str] | None = None,
    ) -> CrewDefinition | None:
        """The crew that a tree describes; None, or incomplete, when there are problems."""
        if node is None:
            return None
        spec, node = self._validated(CrewSpec, self.reader.with_inline_roles(node, path))
        if spec is None:
            self._visit_named(node)
            return None
        roles = [self._member(entry, node.at("roles", place)) for place, entry in enumerate(spec.roles)]
        planner = self._member(spec.planner, node.at("planner"))
        synthesizer = self._member(spec.synthesizer, node.at("synthesizer"))
        tasks = [self._work(place, entry, node.at("tasks", place)) for place, entry in enumerate(spec.tasks)]
        given = {name: _full(model) for name, model in (models or {}).items()}
        parts = Parts(
            spec,
            node,
            roles=tuple(filter(None, roles)),
            others=tuple(filter(None, (planner, synthesizer))),
            tasks=tuple(filter(None, tasks)),
            models={name: _full(model) for name, model in spec.models.items()} | given,
            given=frozenset(given),
            complete=all(roles) and all(tasks),
        )
        self.reader.add(check_crew(parts, self.environ))
        knowledge = tuple(self._knowledge(spec.knowledge, node))
        direct = {name: ModelSpec(model=name) for name, _ in model_uses(parts) if name not in parts.models}
        _refuse_unknown("model", given, {*spec.models, *direct, *(name for name, _ in model_uses(parts))})
        _refuse_unknown("input", inputs or {}, spec.inputs)
        if planner is None or synthesizer is None:
            return None
        return CrewDefinition(
            name=spec.name,
            description=spec.description,
            path=path,
            root=self.project.root,
            roles=tuple(member.role for member in parts.roles),
            planner=planner.role,
            synthesizer=synthesizer.role,
            plan=None if spec.plan == "none" or spec.tasks else spec.plan,
            tasks=tuple(work.task for work in parts.tasks),
            chat=spec.chat,
            synthesis=spec.synthesis,
            models={**parts.models, **direct},
            knowledge=knowledge,
            inputs={**spec.inputs, **(inputs or {})},
            budget=spec.budget,
            on_task_failure=spec.on_task_failure,
            approve=spec.approve,
            files=tuple(self.reader.files),
        )

    def _validated(self, kind: type[S], node: Node | None) -> tuple[S | None, Node]:
        if node is None:
            return None, Node(None, SourceFile(""))
        spec, node, problems = validate(kind, node)
        self.reader.add(problems)
        return spec, node

    def _member(self, entry: str | Role, where: Node) -> Member | None:
        if isinstance(entry, Role):
            return Member(self._with_tools(entry, where), where, where)
        path = self.project.locate("roles", entry)
        if path is None:
            hint = nearest(entry, self.project.names("roles"))
            self.reader.add([where.problem("unknown_role", f"there is no role `{entry}`", hint=hint)])
            return None
        role, node = self.role(path)
        return role and Member(role, node, where)

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
        for where in (*node.at("roles").items, node.at("planner"), node.at("synthesizer")):
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


def _refuse_unknown(what: str, given: Collection[str], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            raise UsageError(f"the crew has no {what} `{name}`", hint=nearest(name, known))
