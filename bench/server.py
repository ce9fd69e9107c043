"""The provider that benchmarks talk to, in a process of its own so that its CPU is not counted.

It answers every chat request with the same 60 words after a fixed latency. A request that offers tools, and in which nobody has
said anything yet, is answered by a call of the first tool.
"""

import argparse
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TEXT = "Sixty plain words of an answer. " * 10


def answer(body: dict[str, Any]) -> Any:
    """The reply to a request body."""
    from support.provider import Reply

    begun = any(m["role"] == "tool" or TEXT.strip() in (m["content"] or "") for m in body["messages"])
    if body.get("tools") and not begun:
        name = body["tools"][0]["function"]["name"]
        return Reply(tool_calls=[(name, {"text": "how many words"})])
    return Reply(text=TEXT)


@contextmanager
def provider(latency: float) -> Iterator[str]:
    """Start the server; gives its base address, e.g. `http://127.0.0.1:40123/v1`."""
    command = [sys.executable, "-m", "bench.server", "--latency", str(latency)]
    with Popen(command, stdout=PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    from support.provider import Provider

    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.2)
    print(Provider(answer, latency=parser.parse_args().latency).start().url, flush=True)
    threading.Event().wait(600)
