"""`tested`: real programs, really run in the sandbox, held against the judge's tests."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crewmix import ModelReply, Role
from crewmix.definitions.spec import SynthesisSpec
from crewmix.errors import ModelUnavailableError, QuorumError, SandboxUnavailableError
from crewmix.journal.events import Event, Warned
from crewmix.journal.run import Run
from crewmix.journal.scope import Scope
from crewmix.journal.store import SqliteStore
from crewmix.models.gateway import Gateway
from crewmix.models.resolve import resolve
from crewmix.synthesis.base import Answer, Desk, Draft, Question, Synthesis
from crewmix.synthesis.methods import make_synthesis
from crewmix.synthesis.programs.trial import Trial, try_program
from crewmix.tools import sandbox
from crewmix.tools.sandbox import unavailable
from support.models import FunctionModel

WORKS = pytest.mark.skipif(unavailable() is not None, reason=f"no sandbox: {unavailable()}")
JUDGE = Role(name="judge", role="Judge", goal="Judge", llm="default", temperature=0.3, max_output_tokens=333)
QUESTION = Question(goal="Write inc(x), which adds one.", task="Write inc(x), which adds one.", expected_output="")
GOOD = "```python\ndef inc(x):\n    return x + 1\n```"
ALSO_GOOD = "Another way:\n```python\ndef inc(x):\n    return -(-x - 1)\n```"
STUB = "```python\ndef inc(x):\n    pass\n```"
OFF = "```python\ndef inc(x):\n    return x + 2\n```"
TESTS = "```python\nassert inc(1) == 2\nassert inc(-1) == 0\nassert inc(10) == 11\n```"


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Callable[[], Any]]:
    """Start the run; called again, resume it as another process would."""
    stores: list[SqliteStore] = []

    async def begin() -> tuple[Scope, list[Event]]:
        stores.append(store := SqliteStore(tmp_path / "journal.db"))
        epoch = len(stores)
        if epoch == 1:
            await store.create_run("r1", "crew", "goal", {})
        else:
            assert await store.claim("r1") == epoch
        run = Run("r1", store, epoch)
        events: list[Event] = []
        run.listen(events.append)
        return Scope(run, "task.1/synthesis", task="1"), events

    yield begin
    for store in stores:
        store.close()


async def synthesis(model: FunctionModel, root: Path, **spec: Any) -> Synthesis:
    profiles = await resolve({"default": "offline/extractive"}, folder=root)
    gateway = Gateway(profiles, drivers={"default": model})
    return make_synthesis(SynthesisSpec(method="tested", **spec), Desk(gateway, JUDGE, JUDGE, root))


def drafts(*texts: str) -> tuple[Draft, ...]:
    return tuple(Draft(f"solver#{n}", text, role="solver") for n, text in enumerate(texts, 1))


def asking(tests: str = TESTS) -> FunctionModel:
    return FunctionModel(lambda request: tests)


@WORKS
async def test_the_program_that_others_and_the_tests_agree_with_wins(start: Any, tmp_path: Path) -> None:
    scope, events = await start()
    answer = await (await synthesis(asking(), tmp_path)).merge(
        scope, QUESTION, drafts(STUB, OFF, ALSO_GOOD, STUB, GOOD, STUB)
    )
    assert (answer.text, answer.chosen, answer.method) == (ALSO_GOOD, "solver#3", "tested")
    assert answer.confidence == pytest.approx(2 / 6)
    assert [score.value for score in answer.scores] == [0, 0, 3, 0, 3, 0]
    assert [bool(ballot.choice) for ballot in answer.ballots] == [False, False, True, False, True, False]
    assert answer.ballots[2].choice == answer.ballots[4].choice
    assert any("solver#1" in line and "0 of 3" in line for line in answer.dissent)
    assert not [event for event in events if isinstance(event, Warned)]


@WORKS
async def test_tests_are_asked_for_together_with_the_judges_settings_and_without_the_programs(
    start: Any, tmp_path: Path
) -> None:
    model = asking()
    model.gate = asyncio.Event()
    merger = await synthesis(model, tmp_path, tests=3)
    merging = asyncio.create_task(merger.merge((await start())[0], QUESTION, drafts(GOOD, OFF)))
    while model.in_flight < 3:
        await asyncio.wait({merging}, timeout=0.01)
        assert not merging.done()
    model.gate.set()
    await merging
    asked = model.asked("test")
    assert sorted(request.sample for request in asked) == [0, 1, 2]
    assert {(r.temperature, r.max_output_tokens, r.brief.role, r.brief.question) for r in asked} == {
        (0.3, 333, "judge", QUESTION.task)
    }
    text = asked[0].messages[1].content
    assert "inc(x)" in text and "return" not in text
    stages = merger.stages(QUESTION, drafts(GOOD, OFF), worst=True)
    assert [len(stage) for stage in stages] == [3] and stages[0][0].role is JUDGE
    sent = sum(len(message.content) for message in asked[0].messages)
    assert stages[0][0].input_tokens == sent // 4


async def test_one_draft_is_the_answer_and_costs_nothing(start: Any, tmp_path: Path) -> None:
    model = asking()
    merger = await synthesis(model, tmp_path)
    assert await merger.merge((await start())[0], QUESTION, drafts("just text")) == Answer("just text")
    assert not model.requests and merger.stages(QUESTION, drafts("x"), worst=True) == ()


@WORKS
async def test_answers_without_programs_are_an_error_before_anything_is_paid(start: Any, tmp_path: Path) -> None:
    model = asking()
    with pytest.raises(QuorumError, match="no draft holds a Python program"):
        await (await synthesis(model, tmp_path)).merge((await start())[0], QUESTION, drafts("I cannot.", "Nor can I."))
    assert not model.requests


@WORKS
async def test_programs_of_equal_evidence_are_told_as_a_tie(start: Any, tmp_path: Path) -> None:
    scope, events = await start()
    synthesizer = await synthesis(asking("assert add(1, 2) == 3\nassert add(1, 2) == 4"), tmp_path)
    one, other = "def add(a, b):\n    return a + b", "def add(a, b):\n    return a + b + 1"
    answer = await synthesizer.merge(scope, QUESTION, drafts(one, other, "no idea"))
    assert (answer.chosen, [ballot.weight for ballot in answer.ballots]) == ("solver#1", [1, 1, 0])
    assert [event.message for event in events if isinstance(event, Warned) and event.code == "tie"] == [
        "solver#1 and solver#2 have equal evidence for different behaviour; solver#1 was given first"
    ]


@WORKS
async def test_a_ballot_weighs_as_much_as_its_program_passes(start: Any, tmp_path: Path) -> None:
    passes_one, passes_all = "def add(a, b):\n    return 3", "def add(a, b):\n    return a + b"
    synthesizer = await synthesis(
        asking("assert add(1, 2) == 3\nassert add(0, 2) == 2\nassert add(5, 2) == 7"), tmp_path
    )
    answer = await synthesizer.merge((await start())[0], QUESTION, drafts(passes_one, passes_one, passes_all))
    assert (answer.chosen, [ballot.weight for ballot in answer.ballots]) == ("solver#3", [1, 1, 3])


@WORKS
async def test_a_broken_program_or_none_cannot_win_and_is_named(start: Any, tmp_path: Path) -> None:
    crashing = "```python\ndef inc(x):\n    return x + 1\nraise RuntimeError\n```"
    answer = await (await synthesis(asking(), tmp_path)).merge(
        (await start())[0], QUESTION, drafts("no code", crashing, "```python\ndef inc(x:\n```", GOOD)
    )
    assert answer.chosen == "solver#4"
    assert "solver#1, solver#3: no program" in answer.dissent


@WORKS
@pytest.mark.parametrize(
    "reply", [TESTS.replace("inc", "nothing_like_it"), "I have no idea.", "```python\nassert inc( ==\n```"]
)
async def test_without_evidence_the_first_that_starts_is_taken_and_it_is_said(
    start: Any, tmp_path: Path, reply: str
) -> None:
    scope, events = await start()
    crashing = "```python\ndef inc(x):\n    return x\nraise RuntimeError\n```"
    answer = await (await synthesis(asking(reply), tmp_path)).merge(scope, QUESTION, drafts(crashing, STUB, GOOD))
    assert (answer.chosen, answer.confidence) == ("solver#2", 0.0)
    assert [event.code for event in events if isinstance(event, Warned)].count("tested") == 1


@WORKS
async def test_tests_of_the_task_come_first_even_against_agreement(start: Any, tmp_path: Path) -> None:
    task = "Write inc(x).\n```python\nassert inc(1) == 3\n```"
    question = Question(task, task, "")
    answer = await (await synthesis(asking(), tmp_path)).merge(
        (await start())[0], question, drafts(GOOD, ALSO_GOOD, OFF, GOOD)
    )
    assert answer.chosen == "solver#3"
    assert any("the chosen program fails 3 of 4 tests, first `assert inc(1) == 2`" in line for line in answer.dissent)


@WORKS
async def test_a_failed_call_for_tests_is_said_and_the_others_count(start: Any, tmp_path: Path) -> None:
    scope, events = await start()
    model = FunctionModel(lambda r: ModelUnavailableError("down") if r.sample == 1 else TESTS)
    answer = await (await synthesis(model, tmp_path)).merge(scope, QUESTION, drafts(OFF, GOOD))
    assert answer.chosen == "solver#2"
    assert [event.message for event in events if isinstance(event, Warned) and event.code == "tested"] == [
        "a call for test cases failed: down"
    ]
    asked = len(model.requests)
    again, _ = await start()
    healthy = asking()
    assert await (await synthesis(healthy, tmp_path)).merge(again, QUESTION, drafts(OFF, GOOD)) == answer
    assert not healthy.requests and asked > 3


@WORKS
async def test_no_tests_at_all_is_the_models_failure_unless_the_task_gives_some(start: Any, tmp_path: Path) -> None:
    scope, _ = await start()
    down = FunctionModel(lambda r: ModelUnavailableError("down"))
    with pytest.raises(ModelUnavailableError):
        await (await synthesis(down, tmp_path)).merge(scope, QUESTION, drafts(OFF, GOOD))
    task = "Write inc(x).\n```python\nassert inc(1) == 2\n```"
    answer = await (await synthesis(down, tmp_path)).merge(
        scope.at("again"), Question(task, task, ""), drafts(OFF, GOOD)
    )
    assert answer.chosen == "solver#2"


@WORKS
async def test_a_resumed_run_asks_and_runs_nothing_again(
    start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await (await synthesis(asking(), tmp_path)).merge(
        (await start())[0], QUESTION, drafts(OFF, GOOD, STUB, GOOD)
    )

    async def forbidden(*_: object, **__: object) -> object:
        raise AssertionError("a program ran again")

    monkeypatch.setattr("crewmix.synthesis.programs.trial.run_program", forbidden)
    model = FunctionModel(lambda request: ModelReply(text="other tests"))
    scope, _ = await start()
    assert await (await synthesis(model, tmp_path)).merge(scope, QUESTION, drafts(OFF, GOOD, STUB, GOOD)) == first
    assert not model.requests


@WORKS
async def test_equal_programs_run_once(start: Any, tmp_path: Path) -> None:
    scope, _ = await start()
    await (await synthesis(asking(), tmp_path)).merge(scope, QUESTION, drafts(GOOD, f"Mine:\n{GOOD}", OFF))
    assert scope.run.performed == 3 + 2


async def test_without_a_sandbox_nothing_is_asked_or_run(
    start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "_tried", lambda: "bubblewrap cannot be found")
    model = asking()
    with pytest.raises(SandboxUnavailableError, match="bubblewrap cannot be found"):
        await (await synthesis(model, tmp_path)).merge((await start())[0], QUESTION, drafts(GOOD, OFF))
    assert not model.requests


async def trial(start: Any, program: str, *tests: str) -> Trial:
    scope, _ = await start()
    return await try_program(scope, textwrap.dedent(program), tests)


FOUR = (
    "assert inc(1) == 2",
    "assert inc(-1) == 0",
    "assert abs(inc(1.5) - 2.5) < 1e-9",
    "assert 3 == inc(2) and not inc(4) != 5",
)


@WORKS
async def test_an_honest_program_passes(start: Any) -> None:
    assert await trial(start, "def inc(x): return x + 1", *FOUR) == Trial(True, (True,) * 4)


CHEATS = {
    "leaves early": "import sys\nsys.exit(0)",
    "leaves when asked": "import os\ndef inc(x): os._exit(0)",
    "equals everything": """
        class Yes:
            def __eq__(self, other): return True
            def __sub__(self, other): return self
            def __abs__(self): return self
            def __lt__(self, other): return True
            def __bool__(self): return True
            def __reduce__(self): return (Yes, ())
        def inc(x): return Yes()
    """,
    "is a number only by name": """
        class Number(int):
            def __eq__(self, other): return True
            __hash__ = int.__hash__
        def inc(x): return Number(99)
    """,
    "patches the built-ins": """
        import builtins
        builtins.abs = lambda x: 0
        builtins.AssertionError = Exception
        def inc(x): return 99
    """,
    "prints verdicts": """
        import os, sys
        for n in range(5):
            print('loaded 1'); print(n, 1)
            os.write(1, b'0 1\\n1 1\\n')
        def inc(x): return 99
    """,
    "writes verdicts to every descriptor": """
        import os
        def inc(x):
            for n in range(3, 64):
                try: os.write(n, b'0 1\\n1 1\\n2 1\\n3 1\\n')
                except OSError: pass
            return 99
    """,
    "writes to the output of other processes": """
        import glob
        def inc(x):
            for path in glob.glob('/proc/[0-9]*/fd/[0-9]*'):
                try: open(path, 'w').write('\\n0 1\\n1 1\\n2 1\\n3 1\\nx 0 1\\n')
                except OSError: pass
            return 99
    """,
    "replaces the scripts": """
        for name in ('trial_umpire.py', 'trial_contestant.py'):
            open(name, 'w').write('print(1)')
        def inc(x): return 99
    """,
    "sends code instead of data": """
        class Code:
            def __reduce__(self): return (eval, ('True',))
        def inc(x): return Code()
    """,
    "forks": "import os\ndef inc(x):\n    while True: os.fork()",
    "kills everything": "import os\ndef inc(x): os.kill(-1, 9)",
    "kills its parent": "import os\ndef inc(x): os.kill(os.getppid(), 9)",
    "eats memory": "def inc(x): return len(bytearray(1 << 34))",
    "answers endlessly": "def inc(x): return 'x' * (1 << 28)",
    "recurses": "def inc(x): return inc(x)",
    "is a stub": "def inc(x): ...",
    "defines nothing": "x = 1",
}


@WORKS
@pytest.mark.parametrize("cheat", CHEATS)
async def test_no_trick_passes_a_test(start: Any, cheat: str) -> None:
    assert not any((await trial(start, CHEATS[cheat], *FOUR)).passed)


@WORKS
async def test_a_program_can_read_neither_the_tests_nor_the_judging_process(start: Any) -> None:
    program = """
        import glob, os
        def seen():
            found = []
            for path in glob.glob('/proc/[0-9]*/*') + glob.glob('/workspace/*'):
                if path.split('/')[2:3] == [str(os.getpid())] or not os.path.basename(path) in ('mem', 'environ', 'maps'):
                    if not path.startswith('/workspace'): continue
                try: text = open(path, 'rb').read(1000000)
                except OSError: continue
                if b'expected-secret' in text: found.append(path)
            return found
        def parent():
            try: return len(os.listdir(f'/proc/{os.getppid()}/fd'))
            except OSError as error: return error.strerror
    """
    tests = ("assert seen() == [] != 'expected-secret'", "assert parent() == 'Permission denied'")
    assert await trial(start, program, *tests) == Trial(True, (True, True))


@WORKS
async def test_a_program_that_hangs_fails_only_where_it_hangs(start: Any) -> None:
    program = "def inc(x):\n    while x == 7: pass\n    return x + 1"
    tests = ("assert inc(1) == 2", "assert inc(7) == 8", "assert inc(2) == 3")
    assert (await trial(start, program, *tests)).passed == (True, False, True)


@WORKS
async def test_a_program_that_hangs_at_once_is_not_loaded(start: Any) -> None:
    assert await trial(start, "while True: pass", "assert f() == 1") == Trial(False, (False,))


@WORKS
async def test_values_of_many_kinds_are_compared(start: Any) -> None:
    program = """
        from __future__ import annotations
        import asyncio, collections, dataclasses, datetime, decimal, enum, fractions
        def same(x): return x
        def floats(): return [float('inf'), -0.0, 1e300]
        def sets(): return {1, 2}, frozenset({3}), set()
        def counts(): return collections.Counter('aab'), collections.OrderedDict(a=1), collections.deque([1])
        def exact(): return decimal.Decimal('1.10'), fractions.Fraction(1, 3), datetime.date(2024, 2, 29)
        def many(n):
            for i in range(n): yield i
        @dataclasses.dataclass
        class Stack:
            items: list[int] = dataclasses.field(default_factory=list)
            def push(self, x): self.items.append(x); return self
            def pop(self): return self.items.pop()
        def fails(): raise ValueError
    """
    tests = (
        "assert same((1, 'ä', b'x', None, True, 1j, {'a': [1]})) == (1, 'ä', b'x', None, True, 1j, {'a': [1]})",
        "assert floats() == [float('inf'), 0.0, 1e300]",
        "assert sets() == ({1, 2}, frozenset({3}), set())",
        "assert counts()[0] == {'a': 2, 'b': 1}",
        "assert list(many(3)) == [0, 1, 2]",
        "assert list(many(3)) == [i for i in range(3)]",
        "assert sorted(same([2, 1])) == [1, 2] and len(same('ab')) == 2",
        "assert Stack().push(1).push(2).pop() == 2",
        "assert all(same(n) == n for n in range(5))",
        "assert math.isclose(same(0.1) + same(0.2), 0.3)",
        "assert same(None) is None",
        "assert isinstance(same(1), int)",
        f"assert str(exact()[0]) == {str(Decimal('1.10'))!r}",
    )
    assert (await trial(start, program, *tests)).passed == (True,) * len(tests)
    wrong = (
        "assert fails() == 1",
        "assert same(1) == 2",
        "assert missing() == 1",
        "assert 10 ** 10 ** 10 == same(1)",
        "assert max(1, 2) == 2",
    )
    scope, _ = await start()
    assert not any((await try_program(scope.at("wrong"), textwrap.dedent(program), wrong)).passed)


@WORKS
async def test_what_an_asynchronous_program_promises_is_waited_for(start: Any) -> None:
    program = "async def double(n):\n    return 2 * n\nclass Twice:\n    async def of(self, n):\n        return 2 * n"
    tests = ("assert double(2) == 4", "assert double(2) == 5", "assert Twice().of(3) == 6")
    assert (await trial(start, program, *tests)).passed == (True, False, True)


@WORKS
async def test_a_program_may_define_what_python_has(start: Any) -> None:
    assert (await trial(start, "def max(a, b): return a", "assert max(3, 1) == 3", "assert max(1, 3) == 3")).passed == (
        True,
        False,
    )


@WORKS
async def test_forty_programs_and_a_hundred_tests(start: Any, tmp_path: Path) -> None:
    tests = "```python\n" + "\n".join(f"assert inc({n}) == {n + 1}" for n in range(150)) + "\n```"
    texts = [f"```python\ndef inc(x):\n    return x + {n % 3}  # {n}\nK = {n}\n```" for n in range(40)]
    answer = await (await synthesis(asking(tests), tmp_path, tests=1)).merge(
        (await start())[0], QUESTION, drafts(*texts)
    )
    assert answer.text == texts[1] and answer.scores[1].value == 100
    assert answer.confidence == pytest.approx(13 / 40)


def test_recorded_programs_are_chosen_better_than_by_majority() -> None:
    code = pytest.importorskip("bench.recorded_code")
    if not (code.DATA / code.TABLE).exists():
        pytest.skip("the recorded answers are not on this machine")
    shares = {row.method: row.share for row in code.humaneval(samples=10, draws=5)}
    assert shares["one at random"] < shares["tested"] < shares["oracle"]
    assert shares["tested"] > shares["majority, exact"] + 0.08
