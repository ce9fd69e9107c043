"""Weights learnt from questions whose answers are known: equals stay equal, and a member that dominates is not outvoted."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crewmix import Record, learn_record
from crewmix.errors import UsageError


def world(skills, size=300, seed=3, wrong=20, copies=()):
    """Ballots of members that are right so often; `copies` repeat the mistakes of the first of them."""
    chance = random.Random(seed)
    ballots = []
    for _ in range(size):
        ballot = {m: "right" if chance.random() < s else f"wrong {chance.randrange(wrong)}" for m, s in skills.items()}
        for name in copies:
            ballot[name] = ballot[copies[0]]
        ballots.append(ballot)
    return ballots, ["right"] * size


def accuracy(record, ballots, gold):
    weights = record.vote_weights()

    def winner(ballot):
        sums = {}
        for name, choice in ballot.items():
            if choice:
                sums[choice] = sums.get(choice, 0) + weights[name]
        return max(sums, key=sums.get, default="")

    return sum(winner(ballot) == truth for ballot, truth in zip(ballots, gold, strict=True)) / len(gold)


def test_a_dominating_member_is_not_outvoted_by_members_that_share_their_mistakes():
    skills = {"best": 0.9, **{f"copy{n}": 0.35 for n in range(5)}}
    copies = tuple(f"copy{n}" for n in range(5))
    record = learn_record(*world(skills, copies=copies))
    ballots, gold = world(skills, seed=4, copies=copies)
    alone = sum(b["best"] == g for b, g in zip(ballots, gold, strict=True)) / len(gold)
    assert accuracy(record, ballots, gold) >= alone > 0.85
    assert record.weights["best"] > sum(w for name, w in record.weights.items() if name != "best")


def test_the_others_stand_in_where_the_dominating_member_gives_no_answer():
    ballots, gold = world({"best": 0.95, "a": 0.3, "b": 0.3, "c": 0.3, "d": 0.3}, copies=("a", "b", "c", "d"))
    record = learn_record(ballots, gold)
    silent = [{**ballot, "best": ""} for ballot in ballots]
    assert 0.2 < accuracy(record, silent, gold) < 0.4


def test_good_members_together_beat_the_best_of_them():
    skills = {f"m{n}": 0.6 for n in range(7)}
    record = learn_record(*world(skills))
    ballots, gold = world(skills, seed=4)
    best = max(sum(b[name] == "right" for b in ballots) / len(gold) for name in skills)
    assert accuracy(record, ballots, gold) > best + 0.1


def test_it_counts_answers_given_and_right_ones():
    record = learn_record([{"a": "1", "b": ""}, {"a": "2", "b": "3"}], ["1", "3"])
    assert {n: (c.right, c.asked) for n, c in record.members.items()} == {"a": (1, 2), "b": (1, 1)}


def test_a_record_is_the_same_when_learnt_again_and_when_read_from_its_file(tmp_path):
    ballots, gold = world({"a": 0.8, "b": 0.5, "c": 0.6})
    record = learn_record(ballots, gold)
    assert learn_record(ballots, gold) == record
    record.save(tmp_path / "r.json")
    assert Record.load(tmp_path / "r.json") == record


def test_without_learnt_weights_the_counts_decide_and_more_choices_make_agreement_worth_more():
    record = Record.model_validate({"members": {"a": {"right": 50, "asked": 100}, "b": {"right": 0, "asked": 0}}})
    two, many = record.vote_weights(2), record.vote_weights(5)
    assert two["a"] == two["b"] == 0 < many["a"]


@pytest.mark.parametrize(("ballots", "gold"), [([], []), ([{}], ["1"]), ([{"a": "1"}], [])])
def test_nothing_to_learn_from_is_an_error(ballots, gold):
    with pytest.raises(UsageError):
        learn_record(ballots, gold)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from("abc"), st.sampled_from(["1", "2", ""]), min_size=1),
            st.sampled_from(["1", "2", "3"]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_any_ballots_give_usable_weights(rows):
    record = learn_record([ballot for ballot, _ in rows], [truth for _, truth in rows])
    weights = record.vote_weights()
    assert set(weights) == {name for ballot, _ in rows for name in ballot}
    assert all(0 <= weight < 100 for weight in weights.values())
