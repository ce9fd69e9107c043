"""A small project whose crews are played by scripts: no network, no key, the same words every time."""

from __future__ import annotations

from pathlib import Path

FILES = {
    "crews/talk.yaml": """\
description: A writer drafts, a critic approves.
roles: [writer, critic]
planner: planner
plan: {max_tasks: 2}
chat: {stop_when: approved}
models: {default: scripted/scripts/talk.yaml}
""",
    "crews/solo.yaml": """\
roles: [writer]
plan: none
models: {default: scripted/scripts/talk.yaml}
inputs: {city: null}
""",
    "crews/slow.yaml": """\
roles: [writer]
plan: none
models: {default: scripted/scripts/slow.yaml}
""",
    "crews/broken.yaml": """\
roles: [writer]
plan: none
models: {default: {model: scripted/scripts/broken.yaml, attempts: 1}}
""",
    "crews/poor.yaml": """\
roles: [writer, critic]
plan: none
models: {default: scripted/scripts/talk.yaml}
budget: {calls: 1}
""",
    "crews/person.yaml": """\
roles: [guest]
plan: none
models: {default: scripted/scripts/talk.yaml}
""",
    "crews/wrong.yaml": "rolls: [writer]\nroles: [writter]\n",
    "roles/writer.yaml": "role: Writer\ngoal: Write it down.\n",
    "roles/critic.yaml": "role: Critic\ngoal: Find what is wrong.\napproves: true\n",
    "roles/guest.yaml": "role: Guest\ngoal: Say what you think.\nactor: human\n",
    "scripts/talk.yaml": """\
rules:
  - purpose: plan
    json:
      tasks:
        - {id: facts, description: Collect the facts., expected_output: A list., roles: [writer], needs: []}
        - {id: verdict, description: Judge them., expected_output: A verdict., roles: [writer], needs: [facts]}
  - {role: writer, task: facts, stream: ["Lyon has ", "520,774 people.", "\\e[2J\\e]0;owned\\a"]}
  - {role: writer, text: "Lyon is large enough."}
  - {role: critic, text: "Nothing is missing.\\n\\nVerdict: approve"}
  - {purpose: synthesize, text: "Lyon has 520,774 people, which is enough."}
""",
    "scripts/slow.yaml": "rules:\n  - {text: too late, delay: 600}\n",
    "scripts/broken.yaml": "rules:\n  - {error: unavailable}\n",
}


def write_project(folder: Path, **more: str) -> Path:
    """Write the project's files, and `more` (`crews__x__yaml` = crews/x.yaml), into `folder`."""
    extra = {name.replace("__", "/", 1).replace("__", "."): text for name, text in more.items()}
    for name, text in {**FILES, **extra}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder
