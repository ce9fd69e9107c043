"""Arithmetic, exact where it can be, without `eval`."""

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction

from crewmix import ToolResult, tool

Number = Fraction | float

MAX_CHARACTERS = 500
MAX_BITS = 13_000  # about 3,900 digits
MAX_SHOWN = 60


@tool
def calculate(expression: str) -> str | ToolResult:
    """Work out an arithmetic expression, exactly where possible.

    It knows + - * / // % ** and parentheses, abs, round, floor, ceil, min, max, sqrt, exp, log, log2, log10, sin, cos, tan,
    asin, acos, atan, radians, degrees, factorial, gcd, lcm, and the constants pi and e. Angles are in radians.

    Args:
        expression: For example (3 + 4.5) * 2 ** 10 / 7
    """
    try:
        return _shown(_value(_parsed(expression)))
    except RecursionError:
        problem = "the expression is nested too deeply"
    except ZeroDivisionError:
        problem = "division by zero"
    except OverflowError:
        problem = "a number gets too large"
    except (ValueError, TypeError) as error:
        problem = str(error)
    return ToolResult(f"calculate: {problem}", ok=False)


def _parsed(expression: str) -> ast.expr:
    if len(expression) > MAX_CHARACTERS:
        raise ValueError(f"the expression is longer than {MAX_CHARACTERS} characters")
    plain = expression.strip().replace("×", "*").replace("÷", "/").replace("−", "-")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(plain, mode="eval").body
    except (SyntaxError, ValueError, MemoryError) as error:
        raise ValueError(f"{expression!r} is not an arithmetic expression") from error
    for node in ast.walk(tree):  # decimals are taken as they are written: 0.1 means one tenth
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            node.value = _decimal(ast.get_source_segment(plain, node) or "")
    return tree


def _decimal(text: str) -> Fraction:
    exponent = re.search(r"e([+-]?\d+)$", text := text.replace("_", "").lower())
    if exponent and abs(int(exponent[1])) > 1000:
        raise OverflowError
    return Fraction(text)


def _value(node: ast.expr) -> Number:
    match node:
        case ast.Constant(value=Fraction() as value):
            return value
        case ast.Constant(value=int() as value) if not isinstance(value, bool):
            return _bounded(Fraction(value))
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand)
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _OPERATIONS:
            return _bounded(_OPERATIONS[type(operation)](_value(left), _value(right)))
        case ast.BinOp(op=ast.BitXor()):
            raise ValueError("write ** for powers")
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _called(name, [_value(argument) for argument in arguments])
        case ast.Tuple():
            raise ValueError("commas only separate arguments; write 1000, not 1,000")
        case _:
            raise ValueError(f"{ast.unparse(node)[:80]} is not arithmetic")


def _bounded(value: Number) -> Number:
    if isinstance(value, Fraction) and value.numerator.bit_length() + value.denominator.bit_length() > MAX_BITS:
        raise OverflowError
    if isinstance(value, float) and not math.isfinite(value):
        raise OverflowError
    return value


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        bits = base.numerator.bit_length() + base.denominator.bit_length()
        if abs(base) not in (0, 1) and bits * abs(exponent) > 2 * MAX_BITS:
            raise OverflowError
        return base**exponent.numerator
    result = float(base) ** float(exponent)
    if isinstance(result, complex):
        raise ValueError("that power is no real number")
    return result


def _called(name: str, arguments: list[Number]) -> Number:
    try:
        result = _FUNCTIONS[name](*arguments)
    except TypeError as error:
        raise ValueError(f"{name} does not take {len(arguments)} such arguments") from error
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return _bounded(Fraction(result) if isinstance(result, int) else result)


def _whole(value: Number) -> int:
    if value != int(value):
        raise ValueError("only whole numbers")
    return int(value)


def _factorial(value: Number) -> int:
    if value > 1400:
        raise OverflowError
    return math.factorial(_whole(value))


def _round(value: Number, digits: Number = Fraction(0)) -> Number:
    if abs(digits) > 300:
        raise ValueError("at most 300 digits")
    return Fraction(round(value if isinstance(value, Fraction) else Fraction(value), _whole(digits)))


def _root(value: Number) -> Number:
    if isinstance(value, Fraction) and value >= 0:
        exact = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
        if exact * exact == value:
            return exact
    return math.sqrt(value)


_CONSTANTS = {"pi": math.pi, "e": math.e}
_OPERATIONS: dict[type, Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda a, b: Fraction(a // b),
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_FUNCTIONS: dict[str, Callable[..., Number]] = {
    "abs": abs,
    "round": _round,
    "floor": math.floor,
    "ceil": math.ceil,
    "min": min,
    "max": max,
    "sqrt": _root,
    "factorial": _factorial,
    "gcd": lambda *values: math.gcd(*map(_whole, values)),
    "lcm": lambda *values: math.lcm(*map(_whole, values)),
    **{name: getattr(math, name) for name in "exp log log2 log10 sin cos tan asin acos atan radians degrees".split()},
}


def _shown(value: Number) -> str:
    if isinstance(value, float):
        return f"{value:.15g}"
    if value.denominator == 1:
        return str(value.numerator)
    exact = _as_decimal(value)
    if exact and len(exact) <= MAX_SHOWN:
        return exact
    with localcontext(prec=15):
        about = str((Decimal(value.numerator) / Decimal(value.denominator)).normalize())
    fraction = f"{value.numerator}/{value.denominator}"
    return f"{fraction} (about {about})" if len(fraction) <= MAX_SHOWN else f"about {about}"


def _as_decimal(value: Fraction) -> str:
    """The fraction written out, or nothing when its digits do not end."""
    places = next((n for n in range(1, MAX_SHOWN) if 10**n % value.denominator == 0), 0)
    if not places:
        return ""
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"
