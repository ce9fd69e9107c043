"""The commands' table of contents, and how every one of them ends: its exit code and its errors."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import typer

from crewmix.cli.commands.about import doctor, models, tools, version
from crewmix.cli.commands.again import diff, fork, replay
from crewmix.cli.commands.answer import answer
from crewmix.cli.commands.define import check, init, schema
from crewmix.cli.commands.files import export, import_file
from crewmix.cli.commands.run import estimate, resume, run
from crewmix.cli.commands.runs import runs, show
from crewmix.cli.output import BROKEN_PIPE, discard, prepare, say_json, stdout_kept, warn
from crewmix.cli.text import clean
from crewmix.errors import CrewmixError

UNEXPECTED, INTERRUPTED = 1, 130

Command = Callable[..., int | None]


def guarded(command: Command) -> Callable[..., None]:
    """`command` as typer calls it: errors become a message on stderr and an exit code, never a traceback."""

    @functools.wraps(command)
    def guard(*args: Any, **kwargs: Any) -> None:
        try:
            with stdout_kept():
                code = command(*args, **kwargs)
        except CrewmixError as error:
            code = _explain(error, bool(kwargs.get("as_json")))
        except BrokenPipeError:
            code = BROKEN_PIPE
        except KeyboardInterrupt:
            code = INTERRUPTED
        except Exception as error:
            code = _confess(error)
        raise typer.Exit(code or 0)

    return guard


def _explain(error: CrewmixError, as_json: bool) -> int:
    from crewmix.journal.redact import Redactor

    redactor = Redactor()
    if as_json:
        say_json({"type": "Error", **redactor.data(error.as_dict())}, indent=None)
    warn(f"crewmix: {clean(redactor.text(str(error)))}")
    return error.exit_code


def _confess(error: Exception) -> int:
    from crewmix.journal.redact import Redactor

    if os.environ.get("CREWMIX_DEBUG"):
        warn(clean(Redactor().text("".join(traceback.format_exception(error)))))
        return UNEXPECTED
    what = clean(Redactor().text(f"{type(error).__name__}: {error}".splitlines()[0]))
    warn(f"crewmix: unexpected error: {what}\n  hint: this is a defect of crewmix; CREWMIX_DEBUG=1 shows the traceback")
    return UNEXPECTED


app = typer.Typer(
    name="crewmix",
    help="Crews of role-playing agents that work on a goal together and merge their drafts into one answer.",
    epilog="Exit codes: 0 ok, 1 the run failed, 2 wrong input, 3 stopped by its budget, 4 waits for a person, 130 interrupted.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
_COMMANDS: dict[str, Command] = {
    "init": init,
    "check": check,
    "estimate": estimate,
    "run": run,
    "resume": resume,
    "answer": answer,
    "runs": runs,
    "show": show,
    "replay": replay,
    "fork": fork,
    "diff": diff,
    "export": export,
    "import": import_file,
    "schema": schema,
    "models": models,
    "tools": tools,
    "doctor": doctor,
    "version": version,
}
for _name, _command in _COMMANDS.items():
    app.command(_name)(guarded(_command))


def run_app(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. `arguments` None = those of the process."""
    prepare()
    try:
        app(args=arguments, prog_name="crewmix")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def main() -> NoReturn:
    """The console script `crewmix`."""
    code = run_app()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            discard(stream)
    # The journal is written, and nothing else is worth waiting for: a tool may hang in its thread, and a framework that is
    # still being imported in the background would abort the process at Python's ordinary exit.
    os._exit(code)
