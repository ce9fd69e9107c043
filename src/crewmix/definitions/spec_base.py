"""What every definition is made of."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$", max_length=64)]
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
"""What a whole name looks like."""
FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
"""What `package.module:name` looks like."""
Positive = Annotated[int, Field(ge=1)]
Temperature = Annotated[float, Field(ge=0, le=2)]
Text = Annotated[str, Field(min_length=1, max_length=100_000)]


def slug(text: str) -> str:
    """A name made from any text: lower case, letters, digits and underscores, never empty."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:64]
    return name if name and not name[0].isdigit() else f"r_{name}".rstrip("_")


class Spec(BaseModel):
    """Base of everything that is written in YAML."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, str_strip_whitespace=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
