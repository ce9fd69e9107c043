"""Definition files as trees, with what they extend laid under them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from crewmix.definitions.merge import merge
from crewmix.definitions.names import nearest
from crewmix.definitions.nodes import Node
from crewmix.definitions.project import Project
from crewmix.definitions.spec_base import NAME, slug
from crewmix.definitions.yaml_tree import read_yaml
from crewmix.errors import Problem

YamlKind = Literal["crews", "roles", "tasks"]


class Reader:
    """Reads each file once and gathers every mistake.

    Args:
        project: Where the names after `extends` are looked for.
    """

    def __init__(self, project: Project) -> None:
        self.files: dict[Path, Node | None] = {}
        """Every file that was read, in order, with its own tree."""
        self._project = project
        self._problems: dict[Problem, None] = {}

    def add(self, problems: Iterable[Problem]) -> None:
        """Remember problems, each once."""
        self._problems.update(dict.fromkeys(problems))

    def sorted_problems(self) -> list[Problem]:
        """All problems so far, by file and line."""
        return sorted(self._problems, key=lambda problem: (problem.file, problem.line, problem.column))

    def read(self, kind: YamlKind, path: Path) -> Node | None:
        """The tree of a file with what it extends; its name is the file's unless it says otherwise."""
        node = self._own(path)
        if node is None:
            return None
        merged = self.extended(kind, node, (path,))
        field = "id" if kind == "tasks" else "name"
        stem = path.stem if NAME.fullmatch(path.stem) else slug(path.stem)
        return replace(merged, value={field: Node(stem, node.source), **merged.fields})

    def extended(self, kind: YamlKind, node: Node, chain: tuple[Path, ...]) -> Node:
        """A tree laid over the one that its `extends` names.

        Args:
            kind: What the tree describes; tasks have no `extends`.
            node: The tree.
            chain: The files that led here, the tree's own last; empty for a tree without a file.

        Returns:
            The whole tree; of size 0 when what it extends is not to be had, so that nothing is said to be missing.
        """
        target = node.fields.get("extends")
        if target is None or kind == "tasks":
            return node
        path = self._parent(kind, target, chain)
        parent = path and self._own(path)
        if path is None or parent is None:
            return replace(merge(replace(node, value={}), node), size=0)
        whole = self.extended(kind, parent, (*chain, path))
        merged = merge(whole, node)
        return merged if whole.size else replace(merged, size=0)

    def with_inline_roles(self, crew: Node, path: Path | None) -> Node:
        """A crew's tree whose written-out roles are laid over what they extend."""
        chain = (path,) if path else ()

        def full(role: Node) -> Node:
            return self.extended("roles", role, chain) if role.fields else role

        fields = dict(crew.fields)
        for field in ("planner", "synthesizer", "judge"):
            if field in fields:
                fields[field] = full(fields[field])
        if crew.at("roles").items:
            fields["roles"] = replace(fields["roles"], value=[full(role) for role in fields["roles"].items])
        return replace(crew, value=fields)

    def _own(self, path: Path) -> Node | None:
        if path not in self.files:
            self.files[path], problems = read_yaml(path)
            self.add(problems)
        return self.files[path]

    def _parent(self, kind: YamlKind, target: Node, chain: tuple[Path, ...]) -> Path | None:
        """The file that `extends` means: the nearest of that name which is not the file itself."""
        name = target.text
        if not name:
            self.add([target.problem("wrong_type", "`extends` must be one name or path")])
            return None
        found = self._project.candidates(kind, name, chain[-1].parent if chain else None)
        path = next((candidate for candidate in found if candidate not in chain[-1:]), None)
        if path is None and not found:
            one, hint = kind.removesuffix("s"), nearest(name, self._project.names(kind))
            self.add([target.problem(f"unknown_{one}", f"there is no {one} `{name}` to extend", hint=hint)])
        elif path is None or path in chain:
            circle = " -> ".join(step.stem for step in (*chain, path or chain[-1]))
            self.add([target.problem("extends_cycle", f"`extends` leads in a circle: {circle}")])
            return None
        return path
