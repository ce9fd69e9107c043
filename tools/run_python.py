"""Runs a Python program in the sandbox."""

from crewmix import ToolResult, tool
from crewmix.tools.sandbox import python_argv, run_program


@tool(risk="exec", timeout=120)
async def run_python(program: str, stdin: str = "") -> str | ToolResult:
    """Run a Python program and return what it prints. Only the standard library is there, no network and no files are.

    Args:
        program: The whole program. Print what you want to know.
        stdin: What the program reads from its standard input.
    """
    ran = await run_program(
        python_argv("program.py"), files={"program.py": program}, stdin=stdin.encode("utf-8", "replace")
    )
    parts = [ran.stdout.rstrip()]
    if ran.stderr.strip():
        parts.append(f"stderr:\n{ran.stderr.rstrip()}")
    if ran.stopped_by:
        parts.append(f"The program was stopped: it went over the limit of {ran.stopped_by}.")
    elif ran.code:
        parts.append(f"The program ended with exit code {ran.code}.")
    text = "\n\n".join(part for part in parts if part) or "The program printed nothing."
    return ToolResult(text, ok=ran.code == 0)
