"""Inside the sandbox: runs a program and says what expressions are worth in it. Runs as a script, for `trial_umpire`.

Requests and replies are 8 bytes of length and the content. The first request is the program, the others are expressions; a
reply is `v` and the pickled value, or `e`.
"""

import os
import pickle
import sys
import types


def read(descriptor: int, length: int) -> bytes:
    """Exactly so many bytes; ends the process where the other side is gone."""
    content = b""
    while len(content) < length:
        piece = os.read(descriptor, length - len(content))
        if not piece:
            raise SystemExit
        content += piece
    return content


def settled(value: object) -> object:
    """The value, or what comes of it where it is a coroutine."""
    if not isinstance(value, types.CoroutineType):
        return value
    import asyncio  # not before it is needed: it takes longer to import than most programs run

    return asyncio.run(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def main() -> None:
    """Answer until nobody asks any more."""
    asked, told = int(sys.argv[1]), int(sys.argv[2])
    program = sys.modules["program"] = types.ModuleType("program")
    loaded = False
    while True:
        text = read(asked, int.from_bytes(read(asked, 8))).decode()
        try:
            if loaded:
                reply = b"v" + pickle.dumps(settled(eval(text, program.__dict__)))
            else:
                exec(compile(text, "program", "exec"), program.__dict__)
                reply, loaded = b"v", True
        except BaseException:
            reply = b"e"
        content = len(reply).to_bytes(8) + reply
        while content:
            content = content[os.write(told, content) :]


if __name__ == "__main__":
    main()
