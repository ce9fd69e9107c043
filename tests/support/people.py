"""Crews with a person in them."""

import json

from crewmix import Crew, Role
from support.models import FunctionModel, speaking

ANNA = Role(name="anna", role="Owner", goal="Decide.", actor="human")
ZOE = Role(name="zoe", role="Zoe", goal="Answer.")
PLANNED = {
    "tasks": [
        {"id": "facts", "description": "Find facts", "expected_output": "", "roles": ["zoe"], "needs": []},
        {"id": "report", "description": "Report", "expected_output": "", "roles": ["zoe"], "needs": ["facts"]},
    ]
}


def talking(request):
    return json.dumps(PLANNED) if request.brief.purpose == "plan" else speaking(request)


def crew(tmp_path, model=None, **fields):
    model = model or FunctionModel(talking)
    return Crew(models={"default": model}, project=tmp_path, **{"roles": [ZOE], "plan": "none", **fields})


def texts(result, role):
    return [message.text for message in result.messages if message.role == role]
