"""Effects: performed once, recalled afterwards, never started by a process that lost the run."""

import asyncio
import json

import pytest

from crewmix.errors import FencedError, NotFoundError, RunCancelledError, StorageError
from crewmix.journal.events import EVENTS, Event, ModelCalled, TextDelta, Warned, event_from_dict
from crewmix.journal.redact import Redactor
from crewmix.journal.run import Run
from crewmix.journal.scope import Scope
from crewmix.journal.store import SqliteStore


@pytest.fixture
def store(tmp_path):
    store = SqliteStore(tmp_path / "crewmix.db")
    yield store
    store.close()


async def started(store, run_id="run1") -> Run:
    await store.create_run(run_id, "crew", "goal", {})
    return Run(run_id, store)


async def resumed(store, run_id="run1") -> Run:
    return Run(run_id, store, await store.claim(run_id))


def answering(value, calls):
    async def perform():
        calls.append(value)
        return value

    return perform


async def test_a_resumed_run_gets_answers_from_the_journal(store):
    calls = []
    first = Scope(await started(store)).at("task.a").at("model")
    assert await first.effect("model", {"q": 1}, answering("one", calls)) == ("one", False)
    again = Scope(await resumed(store)).at("task.a").at("model")
    assert await again.effect("model", {"q": 1}, answering("other", calls)) == ("one", True)
    assert calls == ["one"]


async def test_equal_requests_of_one_place_are_told_apart(store):
    calls = []
    first = Scope(await started(store), "here")
    for value in ("first", "second"):
        await first.effect("model", {"q": 1}, answering(value, calls))
    again = Scope(await resumed(store), "here")
    got = [(await again.effect("model", {"q": 1}, answering("new", calls)))[0] for _ in range(3)]
    assert got == ["first", "second", "new"]


async def test_the_same_request_elsewhere_is_another_effect(store):
    calls = []
    await Scope(await started(store), "task.a").effect("model", {"q": 1}, answering("a", calls))
    again = await resumed(store)
    assert await Scope(again, "task.b").effect("model", {"q": 1}, answering("b", calls)) == ("b", False)


async def test_a_retry_after_a_failure_is_found_by_a_resumed_run(store):
    scope = Scope(await started(store), "here")

    async def fails():
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await scope.effect("model", {"q": 1}, fails)
    await scope.effect("model", {"q": 1}, answering("answered", []))
    calls = []
    again = Scope(await resumed(store), "here")
    assert await again.effect("model", {"q": 1}, answering("paid twice", calls)) == ("answered", True)
    assert calls == []


async def test_an_answer_given_in_any_finishing_order_is_recalled_in_its_place(store):
    async def late(value, gate):
        async def perform():
            await gate.wait()
            return value

        return perform

    run, gates = await started(store), [asyncio.Event() for _ in range(3)]
    tasks = [
        asyncio.ensure_future(Scope(run, f"role.{n}").effect("model", {"q": 1}, await late(f"answer {n}", gates[n])))
        for n in range(3)
    ]
    for gate in reversed(gates):
        gate.set()
    await asyncio.gather(*tasks)
    again = await resumed(store)
    got = [await Scope(again, f"role.{n}").effect("model", {"q": 1}, answering("x", [])) for n in range(3)]
    assert got == [(f"answer {n}", True) for n in range(3)]


async def test_a_process_that_lost_the_run_starts_no_call(store):
    zombie = Scope(await started(store), "here")
    await resumed(store)
    calls = []
    with pytest.raises(FencedError, match="taken over"):
        await zombie.effect("model", {"q": 1}, answering("paid", calls))
    assert calls == []


async def test_an_answer_that_was_paid_for_is_kept_even_after_losing_the_run(store):
    run, gate, begun = await started(store), asyncio.Event(), asyncio.Event()

    async def slow():
        begun.set()
        await gate.wait()
        return "paid"

    call = asyncio.ensure_future(Scope(run, "here").effect("model", {"q": 1}, slow))
    await begun.wait()
    epoch = await store.claim("run1")
    gate.set()
    await call
    assert await Scope(Run("run1", store, epoch), "here").effect("model", {"q": 1}, answering("x", [])) == (
        "paid",
        True,
    )


async def test_a_cancelled_run_starts_no_call_but_still_recalls(store):
    first = await started(store)
    await Scope(first, "here").effect("model", {"q": 1}, answering("one", []))
    run = await resumed(store)
    run.cancel()
    assert (await Scope(run, "here").effect("model", {"q": 1}, answering("x", [])))[0] == "one"
    with pytest.raises(RunCancelledError):
        await Scope(run, "here").effect("model", {"q": 2}, answering("x", []))


async def test_accepted_failures_are_remembered_until_the_run_is_retried(store):
    scope = Scope(await started(store), "here")
    assert scope.recorded("failure", {"round": 1}) is None
    await scope.accept_failure({"round": 1}, StorageError("broken"))
    again = Scope(await resumed(store), "here")
    assert again.recorded("failure", {"round": 1}) == {"code": "storage", "message": "broken", "hint": None}
    epoch = await store.claim("run1", forget=("failure",))
    assert Scope(Run("run1", store, epoch), "here").recorded("failure", {"round": 1}) is None


async def test_events_are_numbered_across_a_resume_and_come_back_as_they_were(store):
    heard: list[Event] = []
    run = await started(store)
    run.listen(heard.append)
    scope = Scope(run, "task.a")
    called = scope.emit(ModelCalled(role="r", purpose="speak", model="m", input_tokens=1, output_tokens=2, cost=0.1))
    scope.emit(TextDelta(role="r", text="not kept"))
    again = await resumed(store)
    Scope(again, "task.b").emit(Warned(code="c", message="m"))
    await store.flush()
    kept = [event_from_dict(data) for data in store.events("run1")]
    assert kept[0] == called == heard[0]
    assert [(e.seq, e.scope, e.type) for e in kept] == [(1, "task.a", "ModelCalled"), (2, "task.b", "Warned")]
    assert [e.type for e in heard] == ["ModelCalled", "TextDelta"]


def test_every_kind_of_event_is_known_once_by_its_name():
    assert len(set(EVENTS.values())) == len(EVENTS)
    assert all(issubclass(kind, Event) and kind.__name__ == name for name, kind in EVENTS.items())
    assert EVENTS["Warned"] is Warned and "Event" not in EVENTS


async def test_secrets_reach_neither_events_nor_the_journal(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "plain-secret-value-123")
    store = SqliteStore(tmp_path / "crewmix.db")
    run = await started(store)
    heard: list[Event] = []
    run.listen(heard.append)
    scope = Scope(run, "here")
    key = "sk-" + "a1B2" * 10
    await scope.effect("tool", {"header": f"Bearer {key}"}, answering({"echo": "plain-secret-value-123"}, []))
    scope.emit(Warned(code="c", message=f"failed with {key} and plain-secret-value-123"))
    await store.flush()
    store.close()
    everything = b"".join(path.read_bytes() for path in tmp_path.iterdir()).decode("utf-8", "replace") + repr(heard)
    assert key not in everything and "plain-secret-value-123" not in everything


async def test_runs_are_found_by_id_prefix_or_as_the_last_one(store):
    for run_id in ("aa1", "aa2", "bb1"):
        await started(store, run_id)
    assert store.run("bb").run_id == "bb1"
    assert store.run("aa2").run_id == "aa2"
    assert store.run("last").run_id == "bb1"
    for unknown in ("aa", "zz", "%", "_a1"):
        with pytest.raises(NotFoundError):
            store.run(unknown)


async def test_a_thousand_writes_at_once_are_all_kept(store):
    run = await started(store)
    await asyncio.gather(*(Scope(run, f"s{n}").effect("model", n, answering(n, [])) for n in range(1000)))
    assert sorted(json.loads(r.response) for r in store.recordings("run1")) == list(range(1000))


async def test_a_locked_database_is_a_clear_error_and_not_a_hang(tmp_path):
    import sqlite3

    path = tmp_path / "crewmix.db"
    store = SqliteStore(path)
    run = await started(store)
    store._db.execute("pragma busy_timeout=50")
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("begin exclusive")
        with pytest.raises(StorageError, match="locked"):
            await Scope(run, "here").effect("model", 1, answering("x", []))
        other.execute("rollback")
    other.close()
    assert (await Scope(run, "here").effect("model", 1, answering("x", [])))[0] == "x"
    store.close()


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path):
    path = tmp_path / "crewmix.db"
    path.write_text("this is no database, it is a text file that is long enough to be looked at")
    with pytest.raises(StorageError, match="cannot be opened"):
        SqliteStore(path)


async def test_a_secret_with_quotes_and_line_breaks_is_hidden_too(store):
    secret = 'pass"word\nwith \\ everything'
    await store.create_run("run1", "crew", "goal", {})
    run = Run("run1", store, redactor=Redactor([secret]))
    await Scope(run, "here").effect("tool", {"a": secret}, answering({"b": secret}, []))
    shown = Scope(run, "here").emit(Warned(code="c", message=f"<{secret}>"))
    await store.flush()
    assert shown.message == "<[redacted]>"
    assert store.events("run1")[0]["message"] == "<[redacted]>"
    assert [json.loads(r.response) for r in store.recordings("run1")] == [{"b": "[redacted]"}]
