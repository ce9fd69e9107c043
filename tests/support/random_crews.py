"""Crews drawn at random, and a model whose answers are drawn from the request: the same request, the same answer."""

import hashlib
import json
import random
from collections import Counter

from crewmix import Role
from crewmix.chat.graph.fields import made_up
from crewmix.errors import ContentFilteredError

NAMES = ("ann", "bob", "cem", "dan")
METHODS = ("aggregate", "critique_combine", "majority", "weighted", "similarity", "rank", "judge")


class Moody:
    """Members that agree or not, judges of all opinions, reviewers who approve or not; some requests are always refused.

    Args:
        seed: Another seed, other answers.
        refusing: The share of requests that are refused.
    """

    def __init__(self, seed, refusing=0.0):
        self.seed = seed
        self.refusing = refusing
        self.answered = Counter()

    def __call__(self, request):
        key = hashlib.sha1(json.dumps(request.identity(), sort_keys=True, default=str).encode()).hexdigest()
        draw = random.Random(f"{self.seed}/{key}")
        if draw.random() < self.refusing:
            return ContentFilteredError("refused")
        self.answered[key] += 1
        return _answer(request, draw)


def _answer(request, draw):
    brief = request.brief
    match brief.purpose:
        case "rank":
            order = draw.sample(brief.candidates, len(brief.candidates))
            return "I cannot say." if draw.random() < 0.1 else json.dumps({"ranking": order, "reason": "So."})
        case "judge":
            marks = [{"criterion": name, "score": draw.randint(1, 10)} for name in brief.criteria]
            return json.dumps({"scores": marks, "reason": "So."})
        case "select":
            return json.dumps({"speaker": draw.choice([*brief.candidates, "nobody"]), "reason": "So."})
        case "speak":
            return _said(request, draw)
        case _:
            return f"{brief.purpose} {draw.random()}"


def _said(request, draw):
    brief = request.brief
    if request.schema is not None:
        return json.dumps({name: _field(value, draw) for name, value in made_up(request.schema).items()})
    if brief.approves:
        return f"Remark {draw.random()}.\nVerdict: {draw.choice(['approve', 'revise'])}"
    passing = f"\nPass to: {draw.choice(brief.candidates)}" if brief.candidates and draw.random() < 0.8 else ""
    return f"{draw.choice(['The same', f'Text {draw.random()}'])}.\nAnswer: {draw.randint(1, 3)}{passing}"


def _field(value, draw):
    match value:
        case bool():
            return draw.random() < 0.5
        case list():
            return [f"item {n}" for n in range(draw.randint(0, 5))]
        case int() | float():
            return draw.randint(0, 10)
        case _:
            return value


def random_crew(draw):
    """Fields of a crew, which may be one that `crewmix check` refuses. Its models are `default` and perhaps `spare`."""
    names = list(NAMES[: draw.randint(2, 4)])
    pattern = draw.choice(["round_robin", "selector", "handoff", "layers", "vote", "debate", "graph"])
    critics = ["critic"] if pattern not in {"layers", "vote"} and draw.random() < 0.5 else []
    chat = {"pattern": pattern, **_CHATS[pattern](draw, names, critics)}
    if critics and pattern != "graph" and draw.random() < 0.7:
        chat["stop_when"] = "approved"
    for field, value in {"retries": draw.randint(0, 2), "replacement": "spare", "quorum": draw.randint(1, 2)}.items():
        if draw.random() < 0.3:
            chat[field] = value
    roles = [Role(name=n, role=n, goal="Answer.", approves=n == "critic") for n in names + critics]
    method = "aggregate" if pattern == "handoff" else draw.choice(METHODS)
    return {"roles": roles, "chat": chat, "synthesis": _synthesis(draw, method), "plan": "none"}


def _synthesis(draw, method):
    spec = {"method": method}
    if method in {"majority", "weighted"}:
        spec["ties"] = draw.choice(["record", "first", "aggregate"])
    if method == "weighted":
        spec["weights"] = draw.choice(["confidence", {"ann": 2, "bob": 1}])
    if method == "rank":
        spec |= {"compare": draw.choice(["listwise", "pairwise"]), "count": draw.choice(["borda", "condorcet"])}
    if method in {"rank", "judge"}:
        spec["rankings"] = draw.randint(1, 2)
    return spec


def _in_turn(draw, names, critics):
    return {"max_turns": draw.randint(2, 8)} if draw.random() < 0.5 else {}


def _handoff(draw, names, critics):
    ways = {n: [to for to in names + critics if to != n and draw.random() < 0.6] for n in names if draw.random() < 0.5}
    return {"handoffs": ways, **_in_turn(draw, names, critics)}


def _proposers(draw, names):
    return [draw.choice([n, {"role": n, "count": draw.randint(1, 2)}, {"role": n, "llm": "spare"}]) for n in names]


def _layers(draw, names, critics):
    count = draw.randint(2, 4)
    chat = {"layers": count, "shuffle": draw.random() < 0.5, "samples": draw.randint(1, 2)}
    if draw.random() < 0.4:
        chat["per_layer"] = [{"proposers": _proposers(draw, names), "quorum": 1} for _ in range(count - 1)]
    return chat


def _vote(draw, names, critics):
    chat = {"samples": draw.randint(1, 3)}
    if draw.random() < 0.4:
        chat["proposers"] = _proposers(draw, names)
    if draw.random() < 0.6:
        chat["stop"] = {"agree": draw.randint(2, 4), **draw.choice([{}, {"similarity": 0.8}])}
    return chat


def _debate(draw, names, critics):
    chat = _vote(draw, names, critics) | {"samples": 1}
    return chat | {"rounds": draw.randint(1, 3), "accept": draw.choice(["judged", "always"])}


def _graph(draw, names, critics):
    who = names + critics + [draw.choice(names) for _ in range(draw.randint(0, 2))]
    draw.shuffle(who)
    nodes = {}
    for place, role in enumerate(who):
        node = nodes[f"n{place}"] = {"role": role, "limit": draw.randint(1, 3)}
        lists = [f"{name}.parts" for name, other in nodes.items() if "parts" in other.get("fields", ())]
        if lists and draw.random() < 0.4:
            node |= {"each": draw.choice(lists), "max_items": draw.randint(1, 4)}
        if role != "critic" and draw.random() < 0.5:
            node["fields"] = {"good": "boolean", "parts": "list", "score": "number"}
        node["next"] = [_way(draw, node, place, to) for to in range(len(who)) if draw.random() < _chance(place, to)]
    return {"nodes": nodes}


def _chance(place, to):
    return 0.9 if to == place + 1 else 0.3 if to > place else 0.15


def _way(draw, node, place, to):
    conditions = [{"verdict": "approve"}, {"verdict": "revise"}] if node["role"] == "critic" else []
    if "fields" in node:
        conditions += [{"good": True}, {"good": False}, {"score": ">= 5"}, {"score": "< 5"}]
    conditional = conditions and (to <= place or draw.random() < 0.6)
    return {"to": f"n{to}", "when": draw.choice(conditions)} if conditional else f"n{to}"


_CHATS = {
    "round_robin": _in_turn,
    "selector": _in_turn,
    "handoff": _handoff,
    "layers": _layers,
    "vote": _vote,
    "debate": _debate,
    "graph": _graph,
}
