"""Secrets reach nothing that is kept or shown: planted all over a real run, looked for in all that it leaves behind."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crewmix import Crew, Role
from crewmix.definitions.spec import ModelSpec
from crewmix.errors import RunError
from crewmix.journal.redact import MASK, Redactor, StreamRedactor
from support.command import crewmix
from support.fuzz import command
from support.provider import Fault, Provider, Reply
from support.terminal import Terminal

PEM = """-----BEGIN RSA PRIVATE KEY-----
MIIEowIBAAKCAQEAx7Zc3lJ8vQk2bN5dHfU0sYpRtWq1aXeM9gKcVhBnJmLoPiUy
TrEwQaSdFgHjKlZxCvBnM1q2w3e4r5t6y7u8i9o0pAsDfGhJkLzXcVbNmQwErTyU
-----END RSA PRIVATE KEY-----"""
OTHER_PEM = PEM.replace("RSA ", "").replace("MIIEow", "MIIEvQ").replace("TrEwQa", "Zz9xYw")
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"

ENVIRONMENT = {
    "MODEL_DOOR": "door-opener-7731-of-the-house",
    "MY_DB_PASSWORD": 'nq"5 \\ sl/as+h é&<9',
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzPLANTED1",
    "REPOSITORY_PAT": "11ABCDEFG0aBcDeFgHiJkL_planted",
    "REPORTS_DSN": "postgres://bob:hunter2hunter2@db.example.org/reports",
    "CACHE_URL": "redis://:redis-pass-77x@cache.example.org/0",
    "SIGNING_PRIVATE_KEY": PEM,
    "VAULT_PASSPHRASE": "correct horse battery staple",
    "SERVICE_API_KEYS": "first-of-many-keys-1,second-of-many-keys-2",
}
"""What the user's machine holds. `MODEL_DOOR` is a secret only because the crew file uses it as a key."""
BY_ENVIRONMENT = [
    *(value for name, value in ENVIRONMENT.items() if name not in {"CACHE_URL", "SERVICE_API_KEYS"}),
    *("hunter2hunter2", "redis-pass-77x", "first-of-many-keys-1", "second-of-many-keys-2"),
    *("MIIEowIBAAKCAQEAx7Zc3lJ8vQk2bN5dHfU0sYpRtWq1aXeM9gKcVhBnJmLoPiUy",),
]
BY_LOOKS = [
    "sk-proj-Ab12Cd34Ef56Gh78Ij90Kl12",
    "ghp_aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789",
    "AKIAIOSFODNN7PLANTED",
    JWT,
    OTHER_PEM,
    "Zz9xYwSdFgHjKlZxCvBnM1q2w3e4r5t6y7u8i9o0pAsDfGhJkLzXcVbNmQwErTyU",
    "pw-in-an-address-5",
    "bearer-token-0123456789",
    "key-in-a-header-0123456789",
    "key-in-a-query-0123456789",
]
UNKNOWN = f"""keys {BY_LOOKS[0]} and
{BY_LOOKS[1]}, {BY_LOOKS[2]}; {JWT}
{OTHER_PEM}
https://ann:{BY_LOOKS[6]}@example.org/x Authorization: Bearer {BY_LOOKS[7]}
{{"x-api-key": "{BY_LOOKS[8]}"}} https://example.org/x?api_key={BY_LOOKS[9]}&b=1
"""


def told(secret: str) -> list[str]:
    """The ways in which a secret is told."""
    raw = secret.encode()
    coded = [base64.b64encode(before + raw).decode() for before in (b"", b"u:", b"user:", b"ann:")]
    urlsafe = [base64.urlsafe_b64encode(raw).decode()]
    in_json = [json.dumps(secret), json.dumps(json.dumps(secret)), json.dumps(secret, ensure_ascii=False)]
    return [
        secret,
        html.escape(secret),
        repr(secret),
        quote(secret),
        quote(secret, safe=""),
        raw.hex(),
        *coded,
        *urlsafe,
        *in_json,
    ]


def written(secret: str) -> set[str]:
    """What would give a secret away."""
    raw = secret.encode()
    ways = {secret, html.escape(secret), repr(secret)[1:-1], quote(secret, safe=""), quote(secret), raw.hex()}
    ways |= {json.dumps(way)[1:-1] for way in (secret, json.dumps(secret), json.dumps(secret, ensure_ascii=False))}
    ways |= {base64.b64encode(raw).decode().rstrip("=")[:-1], base64.urlsafe_b64encode(raw).decode().rstrip("=")[:-1]}
    return ways | {base64.b64encode(b"user:" + raw).decode()[8:-4]}


TOOLS = '''
import base64, json, logging, os, sys, warnings
from urllib.parse import quote

from crewmix import tool

NAMES = <NAMES>
UNKNOWN = <UNKNOWN>


def _everything() -> str:
    values = [os.environ[name] for name in NAMES]
    coded = [base64.b64encode(f"user:{value}".encode()).decode() for value in values]
    return "\\n".join([*values, json.dumps(values), *map(quote, values), *coded, repr(values), UNKNOWN])


@tool
def look(what: str) -> str:
    """Look something up.

    Args:
        what: What to look up.
    """
    print("printed", _everything())
    print("printed", _everything(), file=sys.stderr)
    logging.getLogger("some.tool").error("logged %s", _everything())
    warnings.warn(_everything())
    return _everything()


@tool
def fail(what: str) -> str:
    """Fail to look something up.

    Args:
        what: What to look up.
    """
    raise RuntimeError(f"cannot sign in: {_everything()}")
'''.replace("<NAMES>", repr(list(ENVIRONMENT))).replace("<UNKNOWN>", repr(UNKNOWN))

EVERYTHING = "\n".join([*ENVIRONMENT.values(), *BY_ENVIRONMENT, UNKNOWN])


def pieces(text: str) -> list[str]:
    return [text[place : place + 3] for place in range(0, len(text), 3)]


def leaky(body: dict[str, Any]) -> Reply | Fault:
    """A model that repeats all it can, after a provider's error that does."""
    said = f"I found this:\n{EVERYTHING}"
    if body.get("tools"):
        calls = sum(message["role"] == "tool" for message in body["messages"])
        if calls < 2:
            name = ("look", "fail")[calls]
            return Reply(None, [(name, {"what": EVERYTHING})])
        return Reply(said, pieces=pieces(said))
    if "Fault" in json.dumps(body) and not seen_once(body):
        message = f"Incorrect API key provided: {EVERYTHING}"
        return Fault("status", status=503, body={"error": {"message": message}}, headers={"retry-after-ms": "1"})
    return Reply(said, pieces=pieces(said))


_seen: set[str] = set()


def seen_once(body: dict[str, Any]) -> bool:
    key = json.dumps(body["messages"])
    known = key in _seen
    _seen.add(key)
    return known


@dataclass
class Remains:
    """All that the program left behind: name of the artefact -> its text."""

    folder: Path
    found: dict[str, str] = field(default_factory=dict)

    def take(self, *arguments: str, **environment: str) -> str:
        """Run a command in a process of its own and keep what it said."""
        done = crewmix(*arguments, cwd=self.folder, env={**ENVIRONMENT, **environment})
        return self._keep(arguments, done.stdout, done.stderr)

    def take_quickly(self, *arguments: str) -> str:
        """The same in this process."""
        with mock.patch.dict(os.environ, ENVIRONMENT):
            said = command(arguments, self.folder)
        assert said.code == 0, said
        return self._keep(arguments, said.stdout, said.stderr)

    def _keep(self, arguments: tuple[str, ...], stdout: str, stderr: str) -> str:
        name = " ".join(arguments)[:40]
        self.found[f"{name}: stdout"], self.found[f"{name}: stderr"] = stdout, stderr
        return stdout

    def take_files(self) -> None:
        """Keep the bytes of every file that the program has written."""
        for path in self.folder.rglob("*"):
            kept_by_user = path.suffix in {".yaml", ".py", ".md"} or path.name.startswith("knowledge.db")
            if path.is_file() and not kept_by_user and "__pycache__" not in path.parts:
                self.found[str(path.relative_to(self.folder))] = path.read_bytes().decode("utf-8", "replace")


@pytest.fixture(scope="module")
def remains(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remains]:
    folder = tmp_path_factory.mktemp("project")
    told_without_crew = EVERYTHING.replace(ENVIRONMENT["MODEL_DOOR"], "")
    with Provider(leaky) as provider:
        model = f"{{model: {provider.model}, api_key: '${{MODEL_DOOR}}', cache: true, price: [1, 2]}}"
        files = {
            "crews/leaky.yaml": f"""
roles: [worker, talker]
plan: none
models: {{default: {model}}}
knowledge: [documents]
approve: [{{tools: '*', by: always}}]
""",
            "crews/talk.yaml": f"roles: [talker]\nplan: none\nmodels: {{default: {model}}}\n",
            "roles/worker.yaml": "role: Worker\ngoal: Look things up.\ntools: [look, fail]\n",
            "roles/talker.yaml": "role: Talker\ngoal: Say what Fault there is.\n",
            "tools/leaks.py": TOOLS,
            "tools/broken.py": f"raise RuntimeError({told_without_crew!r})\nfrom crewmix import tool\n@tool\ndef never(): ...\n",
            "documents/notes.md": f"# Notes\n\nLyon has 520,774 people.\n\n{EVERYTHING}\n",
        }
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        yield work(folder)


def work(folder: Path) -> Remains:
    left = Remains(folder)
    left.take("run", "leaky", f"What is known? {EVERYTHING}", "-v", CREWMIX_DEBUG="1")
    left.take("run", "leaky", "Which Fault?", "--json", "-v")
    left.take("run", "talk", "Which Fault is it?", "-q")
    with Terminal("run", "talk", "Is there a Fault?", cwd=folder, env=ENVIRONMENT) as terminal:
        assert terminal.end() == 0
        left.found["terminal"] = terminal.shown
    left.take("replay", "last")
    left.take_quickly("estimate", "leaky", f"What is known? {EVERYTHING}")
    left.take_quickly("tools")
    for run in json.loads(left.take_quickly("runs", "--json")):
        for options in ((), ("--events",), ("--drafts",), ("--json",), ("--cost",)):
            left.take_quickly("show", run["run_id"], *options)
        left.take_quickly("export", run["run_id"], "-o", "-")
        left.take_quickly("resume", run["run_id"])
    left.take_files()
    return left


def test_planted_secrets_are_in_nothing_that_is_kept_or_shown(remains: Remains) -> None:
    leaks = []
    for artefact, text in remains.found.items():
        shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
        unwrapped = re.sub(r"\s*\n\s*", "", shown)
        for secret in [*BY_ENVIRONMENT, *BY_LOOKS]:
            for way in written(secret):
                if any(way in each for each in (text, shown, unwrapped)):
                    leaks.append(f"{artefact}: {way[:60]!r}")
    assert not leaks, "\n".join(sorted(set(leaks)))


def test_the_run_did_meet_the_secrets(remains: Remains) -> None:
    database = "".join(text for name, text in remains.found.items() if "crewmix.db" in name)
    assert database.count(MASK) > 100
    shown = {name: text for name, text in remains.found.items() if MASK in text}
    assert {"terminal", "run talk Which Fault is it? -q: stdout", "tools: stdout"} <= set(shown)
    logs = "".join(text for name, text in shown.items() if name.endswith("stderr"))
    events = remains.found["run leaky Which Fault? --json -v: stdout"]
    assert "logged" in logs
    assert "printed" in logs
    assert "cannot sign in" in events
    assert "ModelRetried" in events


def test_secrets_that_arrive_in_pieces_are_hidden_in_the_stream(remains: Remains) -> None:
    lines = [json.loads(line) for line in remains.found["run leaky Which Fault? --json -v: stdout"].splitlines()]
    streamed = "".join(line["text"] for line in lines if line["type"] == "TextDelta")
    assert MASK in streamed
    assert "I found this:" in streamed
    for secret in [*BY_ENVIRONMENT, *BY_LOOKS]:
        assert secret not in streamed


def test_a_key_written_into_a_crew_file_is_refused_without_repeating_it(tmp_path: Path) -> None:
    (tmp_path / "crews").mkdir()
    text = "roles: [x]\nmodels: {default: {model: openai/gpt-5-mini, api_key: planted-in-the-file}}\nrols: 1\n"
    (tmp_path / "crews/c.yaml").write_text(text, encoding="utf-8")
    for arguments in (("check",), ("check", "--json"), ("run", "c", "Why?"), ("run", "c", "Why?", "--json")):
        done = crewmix(*arguments, cwd=tmp_path, check=2)
        assert "planted" not in done.stdout + done.stderr
        assert "a key must not stand in the file" in done.stdout + done.stderr


def test_errors_and_events_given_to_python_hold_no_key(tmp_path: Path) -> None:
    key = "given-in-python-0451"
    seen: list[str] = []

    def echo(body: dict[str, Any]) -> Fault:
        sent = provider.requests[-1].headers["authorization"]
        return Fault("status", status=401, body={"error": {"message": f"{sent!r} is wrong: {PEM} {UNKNOWN}"}})

    with Provider(echo) as provider, mock.patch.dict(os.environ, ENVIRONMENT):
        crew = Crew(
            roles=[Role(role="Analyst", goal="Answer.")],
            plan="none",
            models={"default": ModelSpec(model=provider.model, api_key=key)},
            project=tmp_path,
        )
        with pytest.raises(RunError) as failed:
            crew.run(f"Why? {key}", on_event=lambda event: seen.append(repr(event)))
    told = "\n".join([*seen, *traceback.format_exception(failed.value), repr(failed.value.as_dict())])
    assert f"is wrong: {MASK}" in told
    for secret in [key, PEM, *BY_LOOKS]:
        assert not [way for way in written(secret) if way in told]


# -- what is hidden and what is not ---------------------------------------------------------------------------------------


SECRETS = [value for value in BY_ENVIRONMENT if value != PEM] + [PEM]


def redactor() -> Redactor:
    return Redactor(BY_ENVIRONMENT)


@given(st.text(), st.sampled_from([*SECRETS, UNKNOWN]), st.text())
@settings(deadline=None)
def test_hiding_twice_changes_nothing(before: str, secret: str, after: str) -> None:
    once = redactor().text(before + secret + after)
    assert redactor().text(once) == once


PLAIN = [
    *("the task-12345678901234567890 and risk-assessment-of-2024-in-detail", "skip_if_not_installed_anywhere_at_all"),
    *("d41d8cd98f00b204e9800998ecf8427e", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
    *("0b2f3c7e-5f0a-4c52-9a5e-1d2b3c4d5e6f", "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    *(
        'password = getpass("Password: ")',
        "api_key=os.environ['OPENAI_API_KEY']",
        'headers["x-api-key"] = self.api_key',
    ),
    *("f'postgres://{user}:{password}@{host}/db'", "https://$USER:$TOKEN@example.org", "http://127.0.0.1:8000/v1"),
    *("Bearer authentication is required", "the bearer of bad news arrived yesterday", "Authorization: required"),
    *('"-----BEGIN PRIVATE KEY-----" is how a key begins, and then comes the rest.', "git@github.com:a/b.git"),
    *(
        '<div class="sk-fading-circle-container">',
        "SG.nothing",
        "AKIA is a prefix",
        "https://example.org/?key=short&b=2",
    ),
    *("ann@example.org, tel:+49-30-123456", "hf_hub_download_of_everything", "eyJ is how JSON begins in base64"),
]


@pytest.mark.parametrize("text", PLAIN)
def test_ordinary_text_and_code_stay(text: str) -> None:
    if "BEGIN" in text:
        assert redactor().text(text).endswith(" is how a key begins, and then comes the rest.")
    else:
        assert redactor().text(text) == text


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="@?&")))
@settings(deadline=None, max_examples=300)
def test_text_without_secrets_is_unchanged(text: str) -> None:
    assert Redactor().text(text) == text


def test_real_prose_and_code_are_unchanged() -> None:
    root = Path(__file__).resolve().parents[1]
    for path in [*root.glob("docs/*.md"), *root.glob("src/crewmix/models/*.py"), *root.glob("crews/*.yaml")]:
        text = path.read_text(encoding="utf-8")
        assert Redactor().text(text) == text, path


@given(st.sampled_from(SECRETS), st.sampled_from([" ", "\n", '"', ", ", "", "("]), st.text(max_size=5))
@settings(deadline=None)
def test_a_known_secret_is_found_however_it_is_written(secret: str, before: str, after: str) -> None:
    for way in told(secret):
        text = redactor().text(f"said{before}{way}{after}")
        data = json.dumps(redactor().data({way: [f"{before}{way}{after}"]}))
        assert not [form for form in written(secret) if form in text or form in data]


@given(st.text(max_size=20), st.sampled_from([*SECRETS, *BY_LOOKS[:5], UNKNOWN]), st.text(max_size=20), st.data())
@settings(deadline=None, max_examples=300)
def test_a_stream_hides_what_the_whole_hides(before: str, secret: str, after: str, data: st.DataObject) -> None:
    text = f"{before} {secret} {after}"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=40)))
    stream = StreamRedactor(redactor())
    parts = [stream.feed(text[start:end]) for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert "".join([*parts, stream.end()]) == redactor().text(text)


def test_a_stream_shows_ordinary_words_as_they_come() -> None:
    stream = StreamRedactor(redactor())
    assert [stream.feed(piece) for piece in ("Lyon ", "has 520", ",774 peo", "ple.\n")] == [
        "Lyon ",
        "has ",
        "520,774 ",
        "people.\n",
    ]
    assert stream.end() == ""


def test_a_stream_without_blanks_is_not_held_back_for_ever() -> None:
    stream = StreamRedactor(redactor())
    text = "{'a':1}," * 10_000
    shown = [stream.feed(text[start : start + 50]) for start in range(0, len(text), 50)]
    assert len("".join(shown)) > len(text) - 10_000
    assert "".join(shown) + stream.end() == text


def test_the_environment_says_what_is_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = {
        "X_TOKEN": "tok-en-1",
        "X_SECRET_KEY_BASE": "base-of-it",
        "APIKEY": "api-key-1",
        "PGPASSWORD": "post-gres",
    }
    secret["MYSQL_PWD"] = "my-sql-pw"
    plain = {
        "MONKEYS_HOUSE": "monkey-house",
        "KEYBOARD": "querty-layout",
        "MAX_TOKENS": "100000000",
        "EDITOR": "some-editor",
    }
    paths = {"SSH_KEY_FILE": str(tmp_path), "PWD": os.getcwd()}
    for name, value in {**secret, **plain, **paths}.items():
        monkeypatch.setenv(name, value)
    shown = Redactor().text(" ".join([*secret.values(), *plain.values(), *paths.values()]))
    assert shown == " ".join([*[MASK] * len(secret), *plain.values(), *paths.values()])


def test_a_megabyte_takes_no_time_to_speak_of() -> None:
    text = (Path(__file__).read_text(encoding="utf-8").replace("-----", "") + "https://example.org/a?b=c ") * 100
    quick = min(_timed(text[:1_000_000]) for _ in range(3))
    print(f"1 MB of text with many secrets: {quick * 1000:.0f} ms")
    assert MASK in redactor().text(text[:1_000_000])


def _timed(text: str) -> float:
    hide, started = redactor(), time.perf_counter()
    hide.text(text)
    return time.perf_counter() - started
