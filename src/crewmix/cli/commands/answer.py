"""`answer`: says what a waiting run was to be told."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crewmix.cli.options import JsonOption, ProjectOption, RunArgument, find_project
from crewmix.cli.text import clean
from crewmix.errors import DefinitionError, UsageError

if TYPE_CHECKING:
    from crewmix.runs.waiting import OpenQuestion
    from crewmix.tools.people import Consent


def answer(
    run: RunArgument,
    text: Annotated[
        str | None,
        typer.Argument(
            help="What to say: a text, why not, or the plan as YAML; - reads it from stdin.", show_default=False
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Allow the tool call, or accept the plan.")] = False,
    no: Annotated[bool, typer.Option("--no", help="Refuse the tool call; TEXT may say why.")] = False,
    always: Annotated[
        bool, typer.Option("--always", help="Allow the tool call, and all of this tool in this run.")
    ] = False,
    edit: Annotated[bool, typer.Option("--edit", help="Change the plan in $VISUAL or $EDITOR.")] = False,
    question: Annotated[
        int | None, typer.Option("--question", "-n", metavar="NUMBER", help="Which question, where there are several.")
    ] = None,
    as_json: JsonOption = False,
    project: ProjectOption = None,
) -> None:
    """Answer what a waiting run asks; without an answer, show what it asks."""
    from crewmix.cli.output import say, say_json
    from crewmix.runs.waiting import answer as give
    from crewmix.runs.waiting import open_questions

    home = find_project(project)
    asked = open_questions(home, run)
    if text is None and not (yes or no or always or edit):
        if as_json:
            say_json([_data(one) for one in asked])
        else:
            say(question_lines(run, asked))
        return
    meant = [one for one in asked if question in (None, one.number)]
    if edit:
        said = _edited(meant, run)
    else:
        said = _said(meant, sys.stdin.read() if text == "-" else text, yes=yes, no=no, always=always)
    chosen = give(home, run, said, number=question)
    left = [one for one in asked if one.number != chosen.number]
    if as_json:
        say_json({"answered": chosen.number, "open": [_data(one) for one in left]})
        return
    say(["Answered.", *question_lines(run, left)])


def question_lines(run: str, asked: Sequence[OpenQuestion]) -> Iterator[str]:
    """What a run asks, and how to answer."""
    if not asked:
        yield f"Nobody is waited for: `crewmix resume {run}` goes on."
    for one in asked:
        yield f"Question {one.number}{_HOW[one.kind][0].format(role=clean(one.role or 'the crew'))}"
        yield from (f"  {line}" for line in clean(one.text).splitlines())
        number = f" --question {one.number}" if len(asked) > 1 else ""
        yield f"`crewmix answer {run}{number} {_HOW[one.kind][1]}"


_HOW = {
    "turn": (", your turn as {role}:", 'TEXT` speaks; TEXT "" skips the turn.'),
    "question": (", by {role}:", "TEXT` answers."),
    "approval": (", consent:", "--yes` allows it, `--always` all calls of this tool, `--no [WHY]` refuses."),
    "plan": (", the plan:", "--yes` accepts it, `--edit` changes it, `- < plan.yaml` reads another one."),
}


def _said(
    meant: Sequence[OpenQuestion], text: str | None, *, yes: bool, no: bool, always: bool
) -> str | bool | Consent:
    """The answer that the options stand for."""
    from crewmix.tools.people import Consent

    if yes + no + always > 1 or (text is not None and (yes or always)):
        raise UsageError("these are several answers at once", hint="give a TEXT, --yes, --always or --no [TEXT]")
    if text is not None and not no and any(one.kind == "approval" for one in meant):
        raise UsageError("a text does not tell whether the tool may run", hint="give --yes, --always or --no [TEXT]")
    if always:
        if meant and not any(one.kind == "approval" for one in meant):
            raise UsageError(
                "--always answers whether a tool may run, which is not asked", hint="see `crewmix answer RUN`"
            )
        return Consent.ALWAYS
    return yes if text is None else text


def _edited(meant: Sequence[OpenQuestion], run: str) -> str:
    """The plan as the user's editor leaves it, as YAML."""
    from crewmix.cli.editing import edit
    from crewmix.cli.output import warn
    from crewmix.cli.person import is_there
    from crewmix.loop import wait_for
    from crewmix.planning.review import plan_text, read_plan

    plan = next((one.plan for one in meant if one.plan is not None), None)
    if plan is None:
        raise UsageError(f"run {run} has no plan to edit", hint=f"`crewmix answer {run}` shows what it asks")
    text = plan_text(plan)
    while True:
        text = wait_for(edit(text, "plan.yaml"))
        try:
            read_plan(plan, text, "plan.yaml")
        except DefinitionError as error:
            if not is_there():
                raise
            warn(clean(str(error)))
            if not typer.confirm("Edit it again?", default=True, err=True):
                raise
        else:
            return text


def _data(one: OpenQuestion) -> dict[str, Any]:
    names = ("number", "kind", "role", "task", "text", "request")
    return {name: getattr(one, name) for name in names}
