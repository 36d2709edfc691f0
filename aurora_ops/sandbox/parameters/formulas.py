"""Formulas in parameter groups: LEAST({DBInstanceClassMemory/9531392},5000), by "Specifying DB parameters" of the User Guide.

Whole numbers, the four variables that Aurora has here, * and /, and the functions GREATEST, LEAST, SUM and log (to base 2); the result is cut
to a whole number. A Serverless v2 instance's memory is that of its ceiling.
"""

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

from aurora_ops.capacity.acu import VCPU_PER_ACU, AcuRange
from aurora_ops.core.errors import InputError

_CONNECTIONS_DIVISOR = 9531392  # max_connections is LEAST({DBInstanceClassMemory/9531392},5000)
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "GREATEST": max,
    "LEAST": min,
    "SUM": lambda *all_: sum(all_),
    "log": math.log2,
}
_OPERATORS: dict[type, Callable[[float, float], float]] = {ast.Mult: operator.mul, ast.Div: operator.truediv}


class FormulaError(InputError):
    """The text is not a formula that Aurora computes."""


def is_formula(text: str) -> bool:
    """Whether a parameter's value is one."""
    return "{" in text


def variables(ceiling_acu: float, port: int = 5432) -> dict[str, float]:
    """The variables of formulas, for an instance with this ceiling.

    DBInstanceClassMemory is the memory that is available to the engine, in bytes. For Serverless v2 AWS publishes only the resulting
    max_connections, which are linear in the ceiling; the memory is computed from these, so that Aurora's formula gives Aurora's figure.

    >>> [compute("LEAST({DBInstanceClassMemory/9531392},5000)", variables(acu)) for acu in (1, 8, 16, 32)]
    [189, 1668, 3360, 5000]
    """
    low, high = (AcuRange(1, ceiling).max_connections for ceiling in (1, 16))
    connections = low + (max(ceiling_acu, 1.0) - 1) * (high - low) / 15
    return {
        "DBInstanceClassMemory": round(connections * _CONNECTIONS_DIVISOR),
        "DBInstanceVCPU": max(1, math.ceil(ceiling_acu * VCPU_PER_ACU)),
        "EndPointPort": port,
        "AllocatedStorage": 1,
    }


def compute(text: str, known: dict[str, float]) -> int:
    """The value of a formula.

    Raises
    ------
    FormulaError
        Not a formula of Aurora's, or a division by zero.

    >>> compute("GREATEST({log(DBInstanceClassMemory/21474836480)*600},200)", {"DBInstanceClassMemory": 2**36})
    1006
    """
    try:
        tree = ast.parse(text.replace("${", "(").replace("{", "(").replace("}", ")").strip(), mode="eval").body
        return math.trunc(_value(tree, known))
    except (SyntaxError, ValueError, TypeError, ZeroDivisionError, OverflowError) as error:
        raise FormulaError(f"{text!r} is not a formula of a parameter group: {error}") from None


def _value(node: Any, known: dict[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, known)
        case ast.Name(id=name) if name in known:
            return known[name]
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
            return _OPERATORS[type(sign)](_value(left, known), _value(right, known))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*(_value(one, known) for one in arguments))
    raise ValueError(ast.unparse(node))
