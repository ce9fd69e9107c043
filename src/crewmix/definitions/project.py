"""A project: the folder with `crews/`, `roles/`, `tasks/` and `tools/`, laid over the built-in library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crewmix.definitions.names import Kind

YAML_SUFFIXES = (".yaml", ".yml")


def library_root() -> Path:
    """The folder with the built-in crews, roles, tasks and tools.

    In an installed wheel it is `crewmix/library`; in a checkout it is the repository's own top folder.
    """
    package = Path(__file__).resolve().parents[1]
    installed = package / "library"
    return installed if installed.is_dir() else package.parents[1]


@dataclass(frozen=True)
class Project:
    """A project's folder. Its own definitions win over the built-in ones of the same name."""

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Project:
        """The project that `start` lies in.

        Args:
            start: A folder, or a file in it; None = the current folder.

        Returns:
            The nearest folder at or above `start` with a `crews/` or `.crewmix/` folder. The home folder and the file
            system's root are only taken when they are `start` itself. Without such a folder: `start`.
        """
        here = (start or Path.cwd()).resolve()
        if here.is_file():
            here = here.parent
        never = {Path(here.anchor), _home()}
        for folder in (here, *here.parents):
            if (folder == here or folder not in never) and _is_project(folder):
                return cls(folder)
        return cls(here)

    @property
    def state(self) -> Path:
        """Where crewmix keeps its files: `.crewmix` in the project."""
        return self.root / ".crewmix"

    @property
    def database(self) -> Path:
        """The project's journal, an SQLite file."""
        return self.state / "crewmix.db"

    @property
    def roots(self) -> tuple[Path, ...]:
        """Where definitions are looked for, in this order."""
        library = library_root()
        return (self.root,) if self.root == library else (self.root, library)

    def locate(self, kind: Kind, name: str) -> Path | None:
        """The file that `name` stands for.

        Args:
            kind: Which folder to look in.
            name: The name of a definition, a tool's name, or a path to a `.yaml` file: absolute, or relative to the
                current folder or to the project.

        Returns:
            The file, the project's before the library's; None when there is none.
        """
        if kind == "tools":
            return self.names(kind).get(name)
        return next(iter(self.candidates(kind, name)), None)

    def candidates(self, kind: Kind, name: str, beside: Path | None = None) -> tuple[Path, ...]:
        """Every file that `name` can stand for, best first. `beside`: a folder that relative paths may start from too."""
        if "\0" in name or not name:
            return ()
        if name.endswith(YAML_SUFFIXES):
            bases = (*((beside,) if beside else ()), Path.cwd(), self.root)
            paths = [base / name for base in bases]
        elif "/" in name or "\\" in name:
            return ()
        else:
            paths = [root / kind / f"{name}{suffix}" for root in self.roots for suffix in YAML_SUFFIXES]
        return tuple(dict.fromkeys(path.resolve() for path in paths if _exists(path)))

    def names(self, kind: Kind) -> dict[str, Path]:
        """Everything of a kind by name, the project's laid over the library's. For `tools`: the files that define them."""
        merged: dict[str, Path] = {}
        for root in reversed(self.roots):
            merged |= files_of(root, kind)
        return dict(sorted(merged.items()))


def files_of(root: Path, kind: Kind) -> dict[str, Path]:
    """The definitions of one kind in one folder's `crews/`, `roles/`, `tasks/` or `tools/`, by name."""
    folder = root / kind
    if kind == "tools":
        from crewmix.definitions.tool_names import find_tools

        return {name: source.path for name, source in find_tools(folder)[0].items()}
    found: dict[str, Path] = {}
    for suffix in reversed(YAML_SUFFIXES):
        # A link that leads nowhere keeps its own name: that is where it can be mended.
        found |= {path.stem: path.resolve() if _exists(path) else path for path in folder.glob(f"*{suffix}")}
    return dict(sorted(found.items()))


def shown(path: Path) -> str:
    """The path as people know it: relative to the current folder when it lies below it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def _is_project(folder: Path) -> bool:
    return (folder / "crews").is_dir() or (folder / ".crewmix").is_dir()


def _home() -> Path | None:
    try:
        return Path.home().resolve()
    except RuntimeError:
        return None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
