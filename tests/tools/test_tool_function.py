"""What `@tool` makes of a function, and what it refuses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from crewmix import Tool, ToolContext, tool
from crewmix.errors import ToolDefinitionError
from crewmix.tools.function import from_function


class Item(BaseModel):
    sku: str
    amount: int = Field(1, ge=1)


@tool
def price(item: Item, country: Literal["de", "fr"] = "de", note: str | None = None) -> str:
    """Work out a price.

    Taxes are included.

    Args:
        item: What to price.
        country (str): Where it goes, which decides the tax
            and the currency.
        note: Printed on the bill.

    Returns:
        The price in euros.
    """
    return f"{item.sku} * {item.amount} @ {country} {note}"


def test_the_model_sees_name_description_and_arguments() -> None:
    assert price.name == "price"
    assert price.description == "Work out a price.\n\nTaxes are included.\n\nReturns:\n    The price in euros."
    assert price.parameters["required"] == ["item"]
    assert set(price.parameters) == {"type", "properties", "required", "$defs"}
    properties = price.parameters["properties"]
    assert properties["country"] == {
        "type": "string",
        "enum": ["de", "fr"],
        "default": "de",
        "description": "Where it goes, which decides the tax and the currency.",
    }
    assert properties["note"] == {"type": "string", "description": "Printed on the bill."}
    assert properties["item"]["description"] == "What to price."
    assert (price.risk, price.timeout) == ("read", 60.0)
    assert price.spec.parameters is price.parameters


def test_a_tool_is_still_the_function() -> None:
    assert price(Item(sku="a", amount=2), note="hi") == "a * 2 @ de hi"

    @tool(risk="net", timeout=5, name="getWeather")
    async def weather(city: str) -> str:
        """The weather."""
        return f"sunny in {city}"

    assert asyncio.run(weather("Lyon")) == "sunny in Lyon"
    assert (weather.name, weather.risk, weather.timeout) == ("get_weather", "net", 5.0)
    with pytest.raises(TypeError):
        price()


def test_a_tool_made_by_hand_cannot_be_called_like_a_function() -> None:
    by_hand = Tool("by_hand", "Does it.", {"type": "object", "properties": {}}, lambda arguments, context: "done")
    with pytest.raises(ToolDefinitionError, match="was not made from a function"):
        by_hand()


def test_the_context_is_hidden_from_the_model() -> None:
    @tool
    def where(context: ToolContext, deep: bool = False) -> str:
        """Where we are."""
        return str(context.project)

    assert list(where.parameters["properties"]) == ["deep"]


def test_types_keep_their_constraints() -> None:
    @tool
    def plan(day: date, hours: Annotated[int, Field(ge=1, le=12, description="Full hours.")] = 8) -> str:
        """Plan a day."""
        return f"{day} {hours}"

    assert plan.parameters["properties"] == {
        "day": {"type": "string", "format": "date"},
        "hours": {"type": "integer", "minimum": 1, "maximum": 12, "default": 8, "description": "Full hours."},
    }


@pytest.mark.parametrize("name", ["json", "copy", "schema", "model_dump", "model_x", "validate", "self_", "class_name"])
def test_no_parameter_name_is_forbidden(name: str) -> None:
    scope: dict[str, Any] = {}
    exec(f"def show({name}: str) -> str:\n    'Show it.'\n    return {name}", scope)
    shown = from_function(scope["show"])
    assert list(shown.parameters["properties"]) == [name]
    assert shown(**{name: "x"}) == "x"


@dataclass
class Anything:
    call: Any


def undocumented(x: int) -> int:
    return x


def only_arguments(x: int) -> int:
    """
    Args:
        x: A number.
    """
    return x


def untyped(x) -> int:  # type: ignore[no-untyped-def]
    """Does it."""
    return x


def star(*values: int) -> int:
    """Does it."""
    return sum(values)


def stars(**values: int) -> int:
    """Does it."""
    return len(values)


def positional(x: int, /) -> int:
    """Does it."""
    return x


def private(_x: int) -> int:
    """Does it."""
    return _x


def _local() -> Any:
    class Local(BaseModel):
        x: int

    def local(thing: Local) -> int:
        """Does it."""
        return thing.x

    return local


def odd(thing: asyncio.Lock) -> str:
    """Does it."""
    return str(thing)


def yields(x: int) -> Any:
    """Does it."""
    yield x


REFUSALS: list[tuple[Any, str]] = [
    (undocumented, "`undocumented` .* has no docstring"),
    (only_arguments, "has no docstring"),
    (untyped, "its parameter `x` has no type"),
    (star, r"cannot fill in the parameter `\*values"),
    (stars, r"cannot fill in the parameter `\*\*values"),
    (positional, "cannot fill in the parameter `x"),
    (private, "`_x` begins with an underscore"),
    (_local(), "type `Local` of its parameter `thing` cannot be found"),
    (odd, "type of its parameter `thing` cannot be described"),
    (yields, "it yields"),
    (Anything, "it is not a function"),
    ("population", "'population' cannot be a tool: it is not a function"),
    (lambda x: x, "has no docstring"),
]


@pytest.mark.parametrize(("function", "message"), REFUSALS, ids=lambda value: getattr(value, "__name__", None))
def test_what_cannot_be_a_tool_says_why(function: Any, message: str) -> None:
    with pytest.raises(ToolDefinitionError, match=message):
        tool(function)


def test_a_refusal_names_file_and_line() -> None:
    with pytest.raises(ToolDefinitionError, match=r"test_tool_function\.py:\d+\)"):
        tool(REFUSALS[0][0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"risk": "fun"}, "risk 'fun' is unknown"),
        ({"timeout": 0}, "timeout must be"),
        ({"timeout": float("inf")}, "timeout must be"),
        ({"name": "日本"}, "cannot be a tool's name"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    def works(x: int) -> int:
        """Does it."""
        return x

    with pytest.raises(ToolDefinitionError, match=message):
        tool(**options)(works)


def test_an_unresolvable_return_type_does_no_harm() -> None:
    def works(x: int) -> Nowhere:  # type: ignore[name-defined]  # noqa: F821
        """Does it."""

    assert tool(works).name == "works"
