"""Texts in the user's editor."""

from __future__ import annotations

import asyncio
import os
import shlex
import tempfile
from pathlib import Path

from crewmix.errors import UsageError


async def edit(text: str, name: str) -> str:
    """Let the user change a text in `$VISUAL` or `$EDITOR`, else in vi.

    Args:
        text: What to begin with.
        name: The file's name; its ending tells the editor what it is.

    Raises:
        UsageError: There is no such editor, it failed, or what it wrote is no UTF-8.
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="crewmix-") as folder:
        file = Path(folder, name)
        await asyncio.to_thread(file.write_text, text, encoding="utf-8")
        await _run(editor, file)
        try:
            return await asyncio.to_thread(file.read_text, encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"what the editor {editor!r} wrote cannot be read: {error}") from error


async def _run(editor: str, file: Path) -> None:
    hint = "set VISUAL or EDITOR to a program that waits until the text is saved"
    try:
        # Its screen is stderr: stdout may be a file that takes the answer.
        program = await asyncio.create_subprocess_exec(*shlex.split(editor), str(file), stdout=2)
    except (OSError, ValueError) as error:
        raise UsageError(f"the editor {editor!r} cannot be run: {error}", hint=hint) from error
    try:
        code = await program.wait()
    finally:
        if program.returncode is None:
            program.terminate()
    if code:
        raise UsageError(f"the editor {editor!r} failed with exit code {code}", hint=hint)
