"""A Python function or class as a pattern of one's own."""

import sys

import pytest

from crewmix.agents.base import Contribution
from crewmix.chat.base import Choose, Done, Judge, Revision, Ruling, Speakers, Transcript, View
from crewmix.chat.hold import hold
from crewmix.chat.patterns import make_pattern
from crewmix.definitions.spec_chat import ChatSpec
from crewmix.errors import QuorumError, UsageError
from crewmix.journal.events import Warned
from support.chat_parts import dead, member, play, roles, running, texts

ABC = ("a", "b", "c")

MINE = """
from crewmix.chat.base import View

def in_pairs(chat):
    return [["a", "b"], "c", None][chat.round]

class Blind:
    def next(self, chat):
        return "a" if chat.round < 2 else None
    def view(self, chat, role):
        return View(ask=f"{role}, go on blindly")
    def drafts(self, chat):
        return chat.spoken[:1]

class Names:
    def __init__(self, names, again=1):
        self.names, self.again = names, again
    def next(self, chat):
        return self.names if chat.round < self.again else None

made = Names(("b",), 2)
wrong = 5

class Nothing:
    pass

class Broken:
    def __init__(self):
        raise ValueError("no")
    def next(self, chat):
        return None
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "my_patterns.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_patterns", None)


def named(name, names=ABC, critics=(), **fields):
    return make_pattern(ChatSpec(pattern=f"my_patterns:{name}", **fields), roles(*names, critics=critics))


def given(code, names=ABC, critics=(), **fields):
    return make_pattern(ChatSpec(**fields), roles(*names, critics=critics), own=code)


def tagged(name, number, view):
    return f"{name}{number}<{' '.join(texts(view.messages))}>"


@pytest.mark.usefixtures("mine")
def test_a_function_says_who_speaks_next():
    played = play(named("in_pairs"), ABC, tagged)
    assert played.rounds == [("a", "b"), ("c",)]
    assert texts(played.chat.messages) == ["a1<>", "b1<>", "c2<a1<> b1<>>"]
    assert texts(named("in_pairs").drafts(played.chat)) == ["a1<>", "b1<>", "c2<a1<> b1<>>"]


@pytest.mark.usefixtures("mine")
def test_a_class_may_say_what_is_seen_and_what_counts():
    pattern, asked = named("Blind"), []
    played = play(pattern, ABC, lambda n, r, v: asked.append(v.ask) or tagged(n, r, v))
    assert asked == ["a, go on blindly"] * 2
    assert texts(pattern.drafts(played.chat)) == ["a1<>"]


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(("name", "rounds"), [("Names", [ABC]), ("made", [("b",), ("b",)])])
def test_a_class_gets_the_members_and_an_object_is_taken_as_it_is(name, rounds):
    assert play(named(name), ABC, tagged).rounds == rounds


@pytest.mark.parametrize(
    ("said", "step"),
    [
        ("b", Speakers(("b",))),
        (["c", "a"], Speakers(("c", "a"))),
        (Speakers(("a", "b"), 2), Speakers(("a", "b"), 2)),
        (Choose(("a", "b")), Choose(("a", "b"))),
        (Done("enough", "but"), Done("enough", "but")),
        (None, Done("the pattern ended the chat")),
    ],
)
def test_what_a_pattern_may_say(said, step):
    assert given(lambda chat: said).next(Transcript(ABC)) == step


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("zoe", "named 'zoe', who is not in this chat"),
        (["a", "zoe"], "named 'zoe'"),
        ([1], "named 1"),
        ([], "named nobody"),
        (["a", "a"], "named one role twice"),
        (Choose(("zoe",)), "named 'zoe'"),
        (Choose(()), "named nobody"),
        (7, "returned 7"),
        ({"a", "b"}, "returned {"),
        (True, "returned True"),
    ],
)
def test_anything_else_is_told_with_the_name_of_the_function(said, wrong):
    def my_own(chat):
        return said

    with pytest.raises(UsageError, match=r"the pattern `.*my_own` ") as caught:
        given(my_own).next(Transcript(ABC))
    assert wrong in caught.value.message
    assert caught.value.hint


async def later(chat):
    return "a"


def broken(chat):
    return 1 / 0


class Odd:
    def __init__(self, view=(), drafts=()):
        self.shown, self.offered = view, drafts

    def next(self, chat):
        return "a"

    def view(self, chat, role):
        return self.shown

    def drafts(self, chat):
        return self.offered


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: given(later).next(Transcript(ABC)), "must not be `async`"),
        (lambda: given(broken).next(Transcript(ABC)), "failed: ZeroDivisionError: division by zero"),
        (lambda: given(Odd("text")).view(Transcript(ABC), "a"), "`view` of the pattern `.*Odd` returned 'text'"),
        (lambda: given(Odd((), ["text"])).drafts(Transcript(ABC)), "`drafts` of the pattern `.*Odd` returned"),
        (lambda: given(object()), "is no chat pattern"),
    ],
)
def test_code_that_is_wrong_is_told_without_a_traceback(use, message):
    with pytest.raises(UsageError, match=message):
        use()


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "names no function"),
        ("wrong", "`my_patterns:wrong` is no chat pattern"),
        ("Nothing", "the class `my_patterns:Nothing` has no method `next`"),
        ("Broken", "the pattern `my_patterns:Broken` failed: ValueError: no"),
    ],
)
def test_a_name_that_leads_nowhere_is_told(name, message):
    with pytest.raises(UsageError, match=message):
        named(name)


def test_a_module_that_is_not_there_is_told():
    with pytest.raises(UsageError, match="cannot be imported"):
        make_pattern(ChatSpec(pattern="no_such_module:x"), roles("a"))


def test_messages_are_shown_as_given_and_drafts_are_one_of_each():
    chat = Transcript(ABC).with_round((Contribution("a", "a1"), Contribution("b", "b1")))
    chat = chat.with_round((Contribution("a", "a2"), dead("c")))
    first, second, third, fourth = chat.messages
    assert given(Odd([first])).view(chat, "a") == View((first,))
    assert given(Odd(View(drafts=(second,)))).view(chat, "a") == View(drafts=(second,))
    assert given(Odd(drafts=[second, third])).drafts(chat) == (second, third)
    with pytest.raises(UsageError, match="two messages of one role"):
        given(Odd(drafts=(first, third))).drafts(chat)
    with pytest.raises(UsageError, match="a failed turn of 'c'"):
        given(Odd(drafts=(fourth,))).drafts(chat)


@pytest.mark.parametrize(("fields", "turns", "limit"), [({}, 50, "50 rounds"), ({"max_turns": 4}, 4, "4 turns")])
def test_a_pattern_that_never_ends_is_cut_and_says_so(fields, turns, limit):
    played = play(given(lambda chat: "a", **fields), ABC, lambda n, r, v: f"{n}{r}")
    assert len(played.rounds) == turns
    assert played.done.reason == limit
    assert f"cut after {limit}" in played.done.warning
    assert play(given(lambda chat: "a" if chat.round < 4 else None, max_turns=4), ABC, tagged).done.warning == ""


class Judged:
    """Two drafts of one role, the second only if it is better."""

    def __init__(self, asks):
        self.asks = asks

    def next(self, chat):
        revision = chat.round == 2 and Revision("a", *chat.messages)
        if revision and len(chat.rulings) < self.asks:
            return Judge((revision,))
        return None if revision else "a"


@pytest.mark.parametrize("better", [True, False])
async def test_a_pattern_may_have_revisions_judged(engine, better):
    async def rule(revision, scope):
        return better

    async with running() as here:
        pattern = make_pattern(ChatSpec(pattern="x:y", max_turns=2), roles(*ABC), own=Judged(1))
        members = {name: member() for name in ABC}
        talk = await hold(here.scope, pattern, members, reviser=rule, engine=engine)
    assert talk.transcript.rulings == (Ruling("a", 2, better),)
    assert talk.reason == "the pattern ended the chat"


def test_rulings_that_are_there_are_not_asked_for_again():
    pattern = make_pattern(ChatSpec(pattern="x:y"), roles(*ABC), own=Judged(2))
    chat = Transcript(ABC)
    for text in ("first", "second"):
        chat = chat.with_round((Contribution("a", text),))
    assert isinstance(pattern.next(chat), Judge)
    with pytest.raises(UsageError, match="asks again for rulings it has"):
        pattern.next(chat.with_rulings((Ruling("a", 2, True),)))


def test_approval_ends_it_where_that_is_asked_for():
    def turn_about(chat):
        return "a" if chat.round % 2 == 0 else "c"

    pattern = given(turn_about, ("a",), critics=["c"], stop_when="approved")
    played = play(pattern, ("a", "c"), lambda n, r, v: Contribution(n, n, "approve" if n == "c" else None))
    assert (played.rounds, played.done.reason) == ([("a",), ("c",)], "c approved")
    assert [m.role for m in pattern.drafts(played.chat)] == ["a"]


async def test_a_pattern_may_leave_the_choice_to_who_picks(engine):
    async def chooser(chat, choice, scope):
        return None if chat.round == 2 else choice.candidates[-1]

    async with running() as here:
        pattern = given(lambda chat: Choose(("a", "b")))
        talk = await hold(here.scope, pattern, {n: member() for n in ABC}, chooser=chooser, engine=engine)
    assert texts(talk.transcript.messages) == ["b@1<>", "b@2<b1>"]
    assert talk.reason == "no further speaker was picked"


async def test_a_cut_is_a_warning_of_the_run_and_no_draft_an_error(engine):
    async with running() as here:
        members = {n: member() for n in ABC}
        await hold(here.scope, given(lambda chat: "a", max_turns=2), members, engine=engine)
        [warning] = here.said(Warned)
        assert warning.message.startswith("the talk was cut after 2 turns; `")
        with pytest.raises(QuorumError, match="had no turn"):
            await hold(here.scope.at("2"), given(lambda chat: None), members, engine=engine)
