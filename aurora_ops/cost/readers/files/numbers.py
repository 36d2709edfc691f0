"""Cells that are numbers: decimal points and commas, units, and what stands for "nothing was measured"."""

import math
import re
from collections.abc import Sequence

import numpy as np

from aurora_ops.capacity.demand import Floats
from aurora_ops.capacity.history import HistoryError

_NOTHING = {"", "null", "nan", "none", "undefined", "n/a", "na", "-", "nil", "no data"}
_NUMBER = re.compile(r"([+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?)\s*(%|ACUs?|acus?)?")


def is_number(cell: str) -> bool:
    """Whether a cell is one, with or without a unit."""
    return _NUMBER.fullmatch(cell.strip()) is not None


def is_nothing(cell: str) -> bool:
    """Whether a cell stands for a value that was not measured."""
    return cell.strip().lower() in _NOTHING


def is_percent(cells: Sequence[str]) -> bool:
    """Whether the numbers carry the sign of percent."""
    return any(cell.rstrip().endswith("%") for cell in cells)


def read(file: str, column: str, cells: Sequence[str], lines: Sequence[int]) -> Floats:
    """The numbers of a column; nothing is NaN.

    A comma is a decimal sign: a capacity never has thousands. `lines` say where in the file each cell stands.

    Raises
    ------
    HistoryError
        A cell that is neither a number nor nothing.
    """
    found = np.empty(len(cells))
    for position, cell in enumerate(cells):
        number = _NUMBER.fullmatch(cell.strip())
        if number is None and not is_nothing(cell):
            raise HistoryError(
                f"{file}, line {lines[position]}: {column}={cell.strip()!r} is no number; correct it, or leave the cell empty."
            )
        found[position] = math.nan if number is None else float(number[1].replace(",", "."))
    return found
