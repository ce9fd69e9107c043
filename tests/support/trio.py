"""A project whose crew of three talks to a provider, and the command at work in a process of its own."""

import subprocess
import sys
from pathlib import Path

from support.command import environment

ROLE = "role: {name}\ngoal: Answer\nbackstory: You are brief.\n"
TOOL = '''
from pathlib import Path
from crewmix import tool

@tool
def note(text: str) -> str:
    """Write a line into the notebook."""
    with Path(__file__).with_name("notes.txt").open("a") as book:
        book.write(text + chr(10))
    return "written"
'''


def project(folder: Path, url: str, extra: str = "", tools: str = "") -> Path:
    for kind in ("crews", "roles", "tools"):
        (folder / kind).mkdir(parents=True)
    for name in ("ann", "bob", "cem"):
        (folder / "roles" / f"{name}.yaml").write_text(ROLE.format(name=name) + (tools if name == "ann" else ""))
    (folder / "tools" / "note.py").write_text(TOOL)
    crew = f"roles: [ann, bob, cem]\nplan: none\nmodels: {{default: openai_compatible/m@{url}}}\n{extra}"
    (folder / "crews" / "trio.yaml").write_text(crew)
    return folder


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "crewmix", *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
